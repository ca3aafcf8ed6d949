"""File and folder names that nobody should give, through every way into `srcli upscale`.

    python benchmarks/torture/names.py --random 400

Each name is that of a picture and of a folder: by itself, after `--`, in a folder, in a folder
again (nothing is to be done then), in a dry run, in a list of pictures, watched, with JSON and with
text. The law: one result, named as the picture is, told by its exact name; or, where the name with
`_x2` is too long for the file system, one error and nothing left. No control character of a name
reaches the terminal.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Timer

os.environ.setdefault("OMP_NUM_THREADS", "1")

import typer.main
from command import heard, make_weights, run
from PIL import Image
from tally import FallenError, Tally, in_children

from srcli.cli import app as command_line
from srcli.services.batch import UpscaleRequest, upscale_files
from srcli.services.engine import EngineOptions
from srcli.services.stop import Stop
from srcli.services.tasks import FolderOptions

LONGEST = 255
PATIENCE_S = 30  # until a watched picture must have ended
TELLING: tuple[bytes, ...] = (
    *(b"plain", b"with space", b" leading space", b"trailing space ", b"two  spaces", b"new\nline"),
    *(b"\nfirst", b"last\n", b"carriage\rreturn", b"tab\there", b"vertical\vtab", b"form\ffeed"),
    *(
        b"bell\x07",
        b"back\x08space",
        b"delete\x7f",
        b"escape\x1b[31mred\x1b[0m",
        b"\x1b]0;title\x07",
    ),
    *(b"\x01\x02\x03", b"\x9b31m", "\x9b31m".encode(), "\x85next".encode()),
    *("smile 😀".encode(), "family 👨‍👩‍👧‍👦".encode(), "flag 🇩🇪".encode(), "naïve".encode()),
    *("nai\u0308ve".encode(), "图片".encode(), "日本語".encode(), "한국어".encode()),
    *("العربية".encode(), "\u202ereversed".encode(), "\u200bzero width".encode()),
    *("\u2028line separator".encode(), "\ufeffmark".encode(), "\ufffd".encode(), "ß".encode()),
    *("ﬁ".encode(), "İ".encode(), "\U000e0041".encode(), "\U0010ffff".encode()),
    *(b"\xff\xfe", b"latin \xe9", b"cut \xf0\x9f\x98", b"surrogate \xed\xa0\x80", b"\x80" * 50),
    *(b"-dash", b"--overwrite", b"-", b"--", b"-o", b"-h", b"--help", b"--model=x", b"-m"),
    *(b"trailing.", b"trailing..", b"a.b.c.d", b"a.jpg", b"a.JPG", b"a.txt"),
    *(b"nul", b"con", b"aux", b"com1", b"lpt1.x", b"prn", b"CLOCK$", b"desktop.ini.x"),
    *(b"*", b"?", b"[a]", b"[!a]", b"{a,b}", b"a*b?c[d]", b"**", b"!", b"^", b"[", b"]"),
    *(
        b"%s%d%n",
        b"%",
        b"%20",
        b"{}",
        b"{0}",
        b"$HOME",
        b"${HOME}",
        b"`id`",
        b"$(id)",
        b"a;b",
        b"a|b",
    ),
    *(
        b"a|b",
        b"a&b",
        b"a>b",
        b"a<b",
        b"a'b",
        b'a"b',
        b"a\\b",
        b"\\",
        b"\\n",
        b"#hash",
        b"~",
        b"~root",
    ),
    *(
        b"@file",
        b"=",
        b"a=b",
        b"+",
        b",",
        b"a,b",
        b":",
        b"a:b",
        b"C:",
        b"file:x",
        b"s3:x",
        b"http:",
    ),
    *(b"[bold red]markup[not bold]", b"[]", b"[link=x]y[link]", b"<b>", b"&amp;", b"\\[x]"),
    *(b"select * from pictures; --", b"' or 1=1 --", b"NULL", b"None", b"nan", b"0", b"-1", b"1e9"),
    *(b"x" * 200, b"y" * 248, b"z" * 251, "ü".encode() * 120, "😀".encode() * 61, b"\xff" * 244),
    *(b"s" * 40 + b"\xff" * 100, b"s" * 39 + "😀".encode() * 20, b"t" * 245, b"u" * 247),
)


@dataclass(frozen=True)
class Name:
    """A name without its ending, and the ending."""

    stem: bytes

    @property
    def file(self) -> bytes:
        return self.stem + b".png"

    @property
    def result(self) -> bytes:
        return os.fsencode(f"{Path(os.fsdecode(self.file)).stem}_x2.png")

    @property
    def is_too_long(self) -> bool:
        """Whether its result, or the file that becomes it, can have no name."""
        return len(self.result) > LONGEST

    def __str__(self) -> str:
        return ascii(self.file)


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="srcli-names-") as place:
        root = Path(place)
        weights = make_weights(root / "tiny.safetensors")
        command_line.app = typer.main.get_command(command_line.app)  # type: ignore[assignment]
        stems = (*TELLING, *random_stems(options.random, options.seed))
        cases = [(name, way) for name in map(Name, stems) for way in WAYS]
        tally = Tally("names")
        in_children(
            tally,
            cases[options.first :],
            lambda case: attempt(root, weights, *case),
            group=len(WAYS) * 5,
            minutes=options.minutes,
        )
        tally.failures = [failure[:700] for failure in tally.failures]
        ways = [way.__name__ for way in WAYS]
        sys.exit(tally.end(first=options.first, all=len(cases), names=len(stems), ways=ways))


def random_stems(count: int, seed: int) -> list[bytes]:
    """Names of any bytes that a file system takes."""
    random = Random(seed)
    allowed = [byte for byte in range(1, 256) if byte != 0x2F]
    lengths = (1, 2, 3, 8, 40, 100, 244, 247, 248, 251)
    made = (bytes(random.choices(allowed, k=random.choice(lengths))) for _ in range(count))
    return [b"r" + stem[1:] if stem.startswith(b".") else stem for stem in made]


def attempt(root: Path, weights: Path, name: Name, way: Callable[[Bench, Name], str]) -> str:
    """One name, one way in."""
    work = root / "work"
    shutil.rmtree(work, ignore_errors=True)
    bench = Bench(root, work, weights)
    (work / "in").mkdir(parents=True)
    os.chdir(work / "in")
    try:
        return f"{way.__name__}: {way(bench, name)}"
    except FallenError as fallen:
        raise FallenError(f"{name} {way.__name__}: {fallen}") from None
    finally:
        os.chdir(root)


@dataclass(frozen=True)
class Bench:
    """Where a case works, and how it calls srcli there."""

    root: Path
    work: Path
    weights: Path

    @property
    def results(self) -> set[bytes]:
        """Visible files below the output folder."""
        below = (path for path in (self.work / "out").rglob("*") if path.is_file())
        return {os.fsencode(path.name) for path in below if not path.name.startswith(".srcli-")}

    def draw(self, file: bytes, folder: Path | None = None) -> Path:
        """A picture of that name, written an hour ago."""
        path = (folder or self.work / "in") / os.fsdecode(file)
        Image.new("RGB", (5, 4), (200, 100, 50)).save(self.root / "drawn.png")
        shutil.move(self.root / "drawn.png", path)
        os.utime(path, (1e9, 1e9))
        return path

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of `srcli upscale`."""
        with heard(self.root) as said:
            code = run(["-m", str(self.weights), "-d", "cpu", *arguments])
        return code, said["out"], said["err"]

    def hold(self, name: Name, source: Path, called: tuple[int, str, str]) -> str:
        """A call with --json: one result, told by its name; or one error and nothing left."""
        code, out, err = called
        records = [json.loads(line) for line in out.splitlines()]
        told = [record for record in records if record["type"] == "file"]
        if "Traceback" in err or len(told) != 1:
            raise FallenError(f"exit code {code}, told {told}, said {err[-300:]}")
        if os.fsencode(told[0]["source"]) != os.fsencode(source):
            raise FallenError(f"told {told[0]['source']!r}")
        if name.is_too_long:
            if code == 0 or self.results or "too long" not in told[0]["error"]:
                raise FallenError(f"too long, but exit code {code}, {self.results}, {told}")
            return "refused, too long"
        if code != 0 or self.results != {name.result}:
            raise FallenError(f"exit code {code}, results {self.results}, told {told}")
        return told[0]["status"]


def alone(bench: Bench, name: Name) -> str:
    source = bench.draw(name.file)
    return bench.hold(name, source, bench.call(str(source), "-o", f"{bench.work}/out/", "--json"))


def after_two_dashes(bench: Bench, name: Name) -> str:
    bench.draw(name.file)
    source = Path(os.fsdecode(name.file))
    called = bench.call("--json", "-o", f"{bench.work}/out/", "--", str(source))
    return bench.hold(name, source, called)


def named_output(bench: Bench, name: Name) -> str:
    (bench.work / "out").mkdir()
    source = bench.draw(b"plain.png")
    target = bench.work / "out" / os.fsdecode(name.file)
    code, out, err = bench.call(str(source), "-o", str(target), "--json")
    if code != 0 or bench.results != {name.file}:
        raise FallenError(f"exit code {code}, results {bench.results}, {out[-400:]} {err[-300:]}")
    return "done"


def in_a_folder(bench: Bench, name: Name) -> str:
    source = bench.draw(name.file)
    arguments = (f"{bench.work}/in", "-o", f"{bench.work}/out/", "--json")
    first = bench.hold(name, source, bench.call(*arguments))
    again = bench.hold(name, source, bench.call(*arguments))
    if not name.is_too_long and (first, again) != ("done", "skipped"):
        raise FallenError(f"first {first}, again {again}")
    return again


def in_place(bench: Bench, name: Name) -> str:
    """A folder whose results lie beside the pictures, twice: results are no pictures to do."""
    bench.draw(name.file)
    for _ in range(2):
        code, out, err = bench.call(f"{bench.work}/in", "--json")
        if (code != 0) is not name.is_too_long:
            raise FallenError(f"exit code {code}: {out[-400:]} {err[-300:]}")
    found = {os.fsencode(path.name) for path in (bench.work / "in").iterdir()}
    visible = {file for file in found if not file.startswith(b".srcli-")}
    expected = {name.file} if name.is_too_long else {name.file, name.result}
    if visible != expected:
        raise FallenError(f"found {found}")
    return "refused, too long" if name.is_too_long else "done"


def below_a_folder(bench: Bench, name: Name) -> str:
    """The name is that of a folder, three deep."""
    folder = bench.work / "in"
    for _ in range(3):
        folder /= os.fsdecode(name.stem)
    folder.mkdir(parents=True)
    source = bench.draw(b"a.png", folder)
    called = bench.call(f"{bench.work}/in", "-r", "-o", f"{bench.work}/out/", "--json")
    return bench.hold(Name(b"a"), source, called)


def dry_run(bench: Bench, name: Name) -> str:
    bench.draw(name.file)
    code, out, err = bench.call(
        f"{bench.work}/in", "-o", f"{bench.work}/out/", "--dry-run", "--json"
    )
    for line in out.splitlines():
        json.loads(line)
    if "Traceback" in err or (bench.work / "out").exists() or (code and not name.is_too_long):
        raise FallenError(f"exit code {code}: {out[-400:]} {err[-300:]}")
    return "planned"


def in_a_list(bench: Bench, name: Name) -> str:
    try:
        text = name.file.decode()
    except UnicodeDecodeError:
        return "no line of a list"
    if set(text) & set("\r\n"):
        return "no line of a list"
    source = bench.draw(name.file)
    (bench.work / "list.txt").write_text(f"# a list\n{source}\n", "utf-8")
    called = bench.call(f"{bench.work}/list.txt", "-o", f"{bench.work}/out/", "--json")
    return bench.hold(name, source, called)


def watched(bench: Bench, name: Name) -> str:
    bench.draw(name.file)
    stop, ended = Stop(), 0
    late = Timer(PATIENCE_S, stop.set)
    late.start()
    request = UpscaleRequest(
        model=str(bench.weights),
        engine=EngineOptions(device="cpu"),
        folder=FolderOptions(watch=True),
    )
    for outcome in upscale_files(request, [bench.work / "in"], f"{bench.work}/out/", stop=stop):
        stop.set()
        ended += 1
        if (outcome.error is not None) is not name.is_too_long:
            raise FallenError(f"ended so: {outcome}")
    late.cancel()
    if not ended or bench.results != (set() if name.is_too_long else {name.result}):
        raise FallenError(f"results {bench.results}")
    return "refused, too long" if name.is_too_long else "done"


def as_text(bench: Bench, name: Name) -> str:
    """What people see: no control character of the name, and no line more for it."""
    bench.draw(name.file)
    bench.draw(b"other \x1b[2J.png").write_bytes(b"no picture")
    code, out, err = bench.call(f"{bench.work}/in", "-o", f"{bench.work}/out/", "--verbose")
    controls = [c for c in out + err if not c.isprintable() and c != "\n"]
    if code != 1 or "Traceback" in err or controls:
        raise FallenError(f"exit code {code}, controls {controls[:9]}: {err[-400:]!r}")
    return "shown"


WAYS: tuple[Callable[[Bench, Name], str], ...] = (
    *(alone, after_two_dashes, named_output, in_a_folder, in_place, below_a_folder),
    *(dry_run, in_a_list, watched, as_text),
)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=int, default=400, help="names of random bytes on top")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from", type=int, default=0, dest="first", help="number of the first")
    parser.add_argument("--minutes", type=float, default=600, help="then the rest is left")
    return parser.parse_args()


if __name__ == "__main__":
    main()
