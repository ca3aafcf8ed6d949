"""Places that srcli may be started in, each with what is promised there.

A surrounding is a prefix of the command line (another user, no network), a change of the
environment, and the outcome that is right. Nowhere may a traceback be seen.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PICTURE = "photo é.png"
UPSCALE = ("upscale", PICTURE, "-m", "swift", "-d", "cpu", "-o", "large.png")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
STRANGER = ("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups")  # nobody knows its home
PATIENCE_SECONDS = 120
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # of a terminal, which cut names up
NO_LIBVIPS = "raise OSError('cannot load library libvips.so.42')\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrounding:
    """One place, one command, and what must come of it."""

    name: str
    arguments: tuple[str, ...] = UPSCALE
    prefix: tuple[str, ...] = ()
    script: str = 'exec "$@"'  # what the shell does with prefix and command, in the work folder
    environment: dict[str, str | None] = field(default_factory=dict)  # None: not set at all
    shim: str = ""  # a module `pyvips` in place of the real one
    python: tuple[str, ...] = ()  # options of the interpreter
    columns: int = 0  # of a terminal that it runs in
    exit_code: int = 0
    says: str = ""  # somewhere in what is printed
    makes: str = "large.png"  # a picture, below the work folder

    @property
    def needs(self) -> str:
        """The program that must be there and may not be."""
        return self.prefix[0] if self.prefix else "sh"


CLOSED = "a closed "
SURROUNDINGS = (
    Surrounding(name="as it is"),
    Surrounding(name="help", arguments=("--help",), makes="", says="upscale"),
    Surrounding(name="version", arguments=("--version",), makes="", says="srcli "),
    Surrounding(name="another user", prefix=NOBODY),
    Surrounding(name="a user without an entry and a home", prefix=STRANGER,
                environment={"HOME": None, "XDG_CACHE_HOME": None, "USER": None}),
    Surrounding(name="no HOME", environment={"HOME": None, "XDG_CACHE_HOME": None}),
    Surrounding(name="an empty HOME", environment={"HOME": "", "XDG_CACHE_HOME": None}),
    Surrounding(name="a HOME that is not there", environment={"HOME": "/nowhere/at/all"}),
    Surrounding(name="a read-only HOME", prefix=NOBODY,
                environment={"HOME": "{place}/locked", "XDG_CACHE_HOME": None}),
    Surrounding(name="a read-only HOME, weights to fetch",
                arguments=("upscale", PICTURE, "-d", "cpu"), makes="", exit_code=1,
                prefix=("unshare", "-n", *NOBODY), says="SRCLI_HOME",
                environment={"HOME": "{place}/locked", "XDG_CACHE_HOME": None,
                             "SRCLI_HOME": "{place}/locked/cache"}),
    Surrounding(name="a TMPDIR that is not there", environment={"TMPDIR": "/nowhere/at/all"}),
    Surrounding(name="a read-only TMPDIR", prefix=NOBODY, environment={"TMPDIR": "{place}/locked"}),
    Surrounding(name="nowhere to write but the output", prefix=("unshare", "-m"),
                script='mount -t tmpfs -o ro none /tmp && mount -t tmpfs -o ro none /var/tmp &&'
                       ' exec "$@"'),
    Surrounding(name="nowhere to write at all, into a pipe", prefix=("unshare", "-m"), exit_code=1,
                arguments=("upscale", PICTURE, "-m", "swift", "-d", "cpu", "-o", "-"), makes="",
                script='mount --bind . /mnt && mount -o remount,ro,bind /mnt && cd /mnt &&'
                       ' mount -t tmpfs -o ro none /tmp && mount -t tmpfs -o ro none /var/tmp &&'
                       ' "$@" | cat > /dev/null; exit ${PIPESTATUS[0]}', says="$TMPDIR"),
    Surrounding(name="a read-only folder of results", prefix=NOBODY, exit_code=1, makes="",
                arguments=(*UPSCALE[:-1], "locked/large.png"), says="no permission"),
    Surrounding(name="LANG=C", environment={"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0",
                                            "PYTHONCOERCECLOCALE": "0"}),
    Surrounding(name="ASCII, and help", arguments=("upscale", "--help"), makes="",
                says="--long-side",
                environment={"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0",
                             "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}),
    Surrounding(name="ASCII, and an error", arguments=("upscale", "nö 🌞.png", "-m", "swift"),
                makes="", exit_code=4, says="error: ",
                environment={"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0",
                             "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}),
    Surrounding(name="40 columns, help", columns=40, arguments=("upscale", "--help"), makes="",
                says="--long-side"),
    Surrounding(name="40 columns, a picture", columns=40),
    Surrounding(name="30 columns, a list", columns=30, arguments=("weights", "list"), makes="",
                says="swift"),
    Surrounding(name="NO_COLOR", columns=80, environment={"NO_COLOR": "1"}),
    Surrounding(name="TERM=dumb", columns=80, environment={"TERM": "dumb"}),
    Surrounding(name=f"{CLOSED}stdout", script='exec "$@" >&-'),
    Surrounding(name=f"{CLOSED}stdout, JSON", script='exec "$@" >&-',
                arguments=(*UPSCALE, "--json")),
    Surrounding(name=f"{CLOSED}stderr", script='exec "$@" 2>&-'),
    Surrounding(name=f"{CLOSED}stdin", script='exec "$@" <&-'),
    Surrounding(name="all three closed", script='exec "$@" <&- >&- 2>&-'),
    Surrounding(name=f"{CLOSED}stdout, help", script='exec "$@" >&-', arguments=("--help",),
                makes=""),
    Surrounding(name=f"{CLOSED}stderr, an error", script='exec "$@" 2>&-', makes="", exit_code=4,
                arguments=("upscale", "absent.png", "-m", "swift")),
    Surrounding(name="a full stdout", script='exec "$@" > /dev/full', exit_code=5,
                arguments=("weights", "list"), makes="", says="no space left"),
    Surrounding(name="a full stdout, JSON", script='exec "$@" > /dev/full', exit_code=5,
                arguments=("weights", "list", "--json"), makes="", says="no space left"),
    Surrounding(name="a full stdout, help", script='exec "$@" > /dev/full', exit_code=5,
                arguments=("--help",), makes="", says="no space left"),
    Surrounding(name="a full stderr, an error", script='exec "$@" 2> /dev/full', exit_code=4,
                arguments=("upscale", "absent.png", "-m", "swift"), makes=""),
    Surrounding(name="a full stdout, a picture", script='exec "$@" > /dev/full', exit_code=5,
                arguments=("upscale", PICTURE, "-m", "swift", "-d", "cpu", "-o", "-"), makes="",
                says="no space left"),
    Surrounding(name="a pipe that nobody reads", exit_code=1, makes="", says="nobody reads",
                script='"$@" | true; exit ${PIPESTATUS[0]}',
                arguments=("upscale", PICTURE, "-m", "swift", "-d", "cpu", "-o", "-")),
    Surrounding(name="a list that nobody reads to its end", makes="",
                script='"$@" | head -n 1', arguments=("weights", "list"), exit_code=0),
    Surrounding(name="no network", prefix=("unshare", "-n")),
    Surrounding(name="no network, weights to fetch", prefix=("unshare", "-n"), makes="",
                arguments=("upscale", PICTURE, "-d", "cpu"), exit_code=3, says="no source gave",
                environment={"SRCLI_HOME": "{place}/empty"}),
    Surrounding(name="no network, doctor", prefix=("unshare", "-n"), arguments=("doctor",),
                makes="", says="libvips"),
    Surrounding(name="no network, bench", prefix=("unshare", "-n"), makes="", exit_code=3,
                arguments=("weights", "pull", "realesrgan-x4plus"),
                environment={"SRCLI_HOME": "{place}/empty"}, says="hint: "),
    Surrounding(name="no libvips", shim=NO_LIBVIPS, makes="", exit_code=1, says="pyvips[binary]"),
    Surrounding(name="no libvips, help", shim=NO_LIBVIPS, arguments=("upscale", "--help"), makes="",
                says="--scale"),
    Surrounding(name="no libvips, doctor", shim=NO_LIBVIPS, arguments=("doctor",), makes="",
                says="pyvips[binary]"),
    Surrounding(name="no libvips, weights", shim=NO_LIBVIPS, arguments=("weights", "list"),
                makes="", says="swift"),
    Surrounding(name="no GPU, and one asked for", arguments=(*UPSCALE[:5], "cuda"), exit_code=2,
                environment={"CUDA_VISIBLE_DEVICES": ""}, makes="", says="cuda"),
    Surrounding(name="without assertions", python=("-OO",)),
    Surrounding(name="isolated", python=("-P",)),
    Surrounding(name="no bytecode to be written", environment={"PYTHONDONTWRITEBYTECODE": "1"}),
    Surrounding(name="a working folder that was deleted", makes="", says="no longer there",
                exit_code=2,
                script='mkdir gone && cd gone && rmdir ../gone && exec "$@"',
                arguments=("--help",)),
    Surrounding(name="a deleted working folder, a picture", makes="",
                script='mkdir gone && cd gone && rmdir ../gone && exec "$@"',
                arguments=("upscale", "../" + PICTURE, "-m", "swift", "-d", "cpu"), exit_code=2),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a surrounding; `fault` is empty where it is what was promised."""

    surrounding: Surrounding
    fault: str
    printed: str


def run_all(
    command: tuple[str, ...], surroundings: tuple[Surrounding, ...] = SURROUNDINGS
) -> Iterator[Outcome]:
    """Run `command` (an interpreter that has srcli) in each of the surroundings."""
    for surrounding in surroundings:
        with tempfile.TemporaryDirectory(prefix="srcli-place-", dir=os.environ.get("PLACE")) as at:
            yield try_out(surrounding, command, Path(at))


def try_out(surrounding: Surrounding, command: tuple[str, ...], place: Path) -> Outcome:
    """One of them in the folder `place`, which gets the picture and a folder nobody may write."""
    if not shutil.which(surrounding.needs):
        return Outcome(surrounding, f"{surrounding.needs} is not there", "")
    place.chmod(0o777)
    (place / "locked").mkdir(mode=0o555)
    gradient = Image.linear_gradient("L").resize((24, 20))
    Image.merge("RGB", (gradient, gradient.rotate(90), gradient.rotate(180))).save(place / PICTURE)
    line = [*surrounding.prefix, "bash", "-c", surrounding.script, "bash", *command]
    line += [*surrounding.python, "-m", "srcli", *surrounding.arguments]
    run = _in_terminal if surrounding.columns else _in_pipes
    try:
        code, printed = run(line, place, _environment(surrounding, place), surrounding.columns)
    except subprocess.TimeoutExpired:
        return Outcome(surrounding, f"no end within {PATIENCE_SECONDS} s", "")
    return Outcome(surrounding, _fault(surrounding, place, code, printed), printed)


def _fault(surrounding: Surrounding, place: Path, code: int, printed: str) -> str:
    if "Traceback" in printed:
        return f"a traceback: {printed.strip().splitlines()[-1]}"
    if code != surrounding.exit_code:
        return f"exit code {code}, not {surrounding.exit_code}: {printed.strip()[-300:]}"
    if surrounding.says not in printed:
        return f"does not say {surrounding.says!r}: {printed.strip()[-300:]}"
    if surrounding.makes:
        try:
            size = Image.open(place / surrounding.makes).size
        except OSError as error:
            return f"no picture: {error}"
        if size != (96, 80):
            return f"a picture of {size}"
    litter = {file.name for file in place.iterdir()} - {PICTURE, "locked", "large.png", "shim"}
    litter -= {"empty", "gone"}
    return f"left behind: {', '.join(sorted(litter))}" if litter else ""


def _environment(surrounding: Surrounding, place: Path) -> dict[str, str]:
    changes = {"OMP_NUM_THREADS": "1", "COLUMNS": None, **surrounding.environment}
    if surrounding.shim:
        (place / "shim").mkdir()
        (place / "shim" / "pyvips.py").write_text(surrounding.shim)
        known = os.environ.get("PYTHONPATH", "")
        changes["PYTHONPATH"] = os.pathsep.join(filter(None, (f"{place}/shim", known)))
    kept = {name: value for name, value in os.environ.items() if name not in changes}
    given = {name: value for name, value in changes.items() if value is not None}
    return kept | {name: value.replace("{place}", str(place)) for name, value in given.items()}


def _in_pipes(line: list[str], place: Path, environment: dict[str, str], _: int) -> tuple[int, str]:
    done = subprocess.run(
        line,
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


def _in_terminal(
    line: list[str], place: Path, environment: dict[str, str], columns: int
) -> tuple[int, str]:
    """The same with a terminal of that width on all three streams."""
    ours, theirs = pty.openpty()
    sized = ["bash", "-c", f'stty cols {columns} rows 24 && exec "$@"', "bash", *line]
    started = subprocess.Popen(
        sized, cwd=place, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    printed = bytearray()
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # how Linux says that the other side is gone
            break
        if not chunk:
            break
        printed += chunk
    os.close(ours)
    return started.wait(PATIENCE_SECONDS), CODES.sub("", printed.decode("utf-8", "replace"))


def main() -> None:
    """All of them for this interpreter, or those of a slice: 10:20."""
    start, stop = (int(word) for word in (sys.argv[1:] or ["0:999"])[0].split(":"))
    for outcome in run_all((sys.executable,), SURROUNDINGS[start:stop]):
        sys.stdout.write(f"{outcome.surrounding.name}: {outcome.fault or 'as promised'}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
