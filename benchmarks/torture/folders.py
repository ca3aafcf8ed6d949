"""Folders under odd circumstances: slow copies, one huge picture, places that refuse.

    python benchmarks/torture/folders.py watch --cases 10
    python benchmarks/torture/folders.py huge --cases 5
    sudo python benchmarks/torture/folders.py refused

Laws: with `--watch` no picture is taken before it is whole, and each is done; one huge picture
delays none that is small by more than its share, takes no more memory than alone, and is done; for
a user who may not write there is an error with a hint, no traceback, and nothing is changed.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from conclusion import asked, conclude
from forked import Child, import_everything, run, start
from killed import digest, noise, weights

NOBODY = 65534
REFUSED = 5
MOST_SECONDS = 60
MEGABYTE = 1 << 20


@dataclass(slots=True)
class Tally:
    """What came out."""

    cases: int = 0
    figures: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def most(self, name: str, value: int) -> None:
        self.figures[name] = max(self.figures[name], value)


def main() -> None:
    options = asked(__doc__, KINDS, cases=10)
    import_everything()
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="srcli-folders-") as place:
        KINDS[options.kind](Path(place), options.cases, Random(options.seed), tally)
    report = {
        "kind": options.kind,
        "seed": options.seed,
        "cases": tally.cases,
        "figures": dict(tally.figures),
        "faults": tally.faults,
    }
    conclude(report)


def _results(folder: Path) -> dict[str, str]:
    return {path.name: digest(path) for path in sorted(folder.glob("[!.]*"))}


def watched(place: Path, cases: int, random: Random, tally: Tally) -> None:
    """Copies that take seconds, falter, start over, or appear at once."""
    ready = place / "ready"
    for number in range(8):
        suffix = ("png", "jpg", "tif", "webp")[number % 4]
        noise(ready / f"{number}.{suffix}", number, (60, 50 + number))
    command = ("-m", weights(place), "-d", "cpu")
    ended = run(("upscale", "ready", "-o", "right", *command), folder=place)
    assert ended.code == 0, ended.said
    right = _results(place / "right")
    for case in range(cases):
        folder = place / f"in-{case}"
        folder.mkdir()
        child = start(("upscale", folder, "-o", f"out-{case}", "--watch", *command), folder=place)
        copies = [
            threading.Thread(target=_copy, args=(path, folder, Random(random.random()), tally))
            for path in sorted(ready.iterdir())
        ]
        for copy in copies:
            copy.start()
        for copy in copies:
            copy.join()
        fault = _done(child, place / f"out-{case}", right)
        tally.cases += 1
        if fault:
            tally.faults.append(f"case {case}: {fault}")


def _copy(source: Path, folder: Path, random: Random, tally: Tally) -> None:
    """Bring a picture into the folder as other programs do."""
    data, target = source.read_bytes(), folder / source.name
    way = random.choice(("at once", "slowly", "falters", "starts over", "renamed", "old"))
    tally.figures[way] += 1
    time.sleep(random.random() * 3)
    if way == "renamed":
        (folder / f".{source.name}.part").write_bytes(data)
        (folder / f".{source.name}.part").rename(target)
    elif way in ("at once", "old"):
        target.write_bytes(data)
        if way == "old":
            os.utime(target, (1e9, 1e9))  # as a copy that keeps times
    else:
        pauses = {"slowly": [0.5] * 6, "falters": [4.0], "starts over": [0.3, 2.6]}[way]
        _write(target, data, pauses)
        if way == "starts over":
            _write(target, data, [0.5])


def _write(target: Path, data: bytes, pauses: list[float]) -> None:
    piece = len(data) // (len(pauses) + 1) + 1
    with target.open("wb", buffering=0) as file:
        for number, pause in enumerate([*pauses, 0]):
            file.write(data[number * piece : (number + 1) * piece])
            time.sleep(pause)


def _done(child: Child, out: Path, right: dict[str, str]) -> str:
    """Wait until all is there, and end it; what is wrong."""
    deadline = time.monotonic() + MOST_SECONDS
    while _results(out) != right and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(0.5)
    child.kill(signal.SIGINT)
    ended = child.wait()
    if ended.code or ended.fault or "error" in ended.said:
        return f"{ended.code} {ended.fault}: {ended.said[-400:]}"
    return "" if _results(out) == right else f"{sorted(_results(out))} are there"


def one_huge(place: Path, cases: int, random: Random, tally: Tally) -> None:
    """One huge picture somewhere among many tiny ones."""
    noise(place / "huge.png", 0, (1600, 1200))
    noise(place / "alone/huge.png", 0, (1600, 1200))
    command = ("-m", weights(place), "-d", "cpu")
    alone = _measured(("upscale", "alone", "-o", "out-alone", *command), place)
    tally.figures["alone, MiB"] = alone.peak >> 20
    tally.figures["alone, ms"] = round(1000 * alone.seconds)
    for case in range(cases):
        folder, out = place / f"in-{case}", place / f"out-{case}"
        at = random.randrange(61)
        names = [f"{number:02}.png" for number in range(61)]
        for number, name in enumerate(names):
            if number != at:
                noise(folder / name, number, (16, 16))
        shutil.copyfile(place / "huge.png", folder / names[at])
        ran = _measured(("upscale", folder, "-o", out, *command), place)
        tally.cases += 1
        tally.most("MiB", ran.peak >> 20)
        tally.most("ms", round(1000 * ran.seconds))
        later = [path for path in out.glob("[!.]*") if path.stem > names[at][:2]]
        huge = next(out.glob(f"{names[at][:2]}*"), None)
        if ran.code or len(_results(out)) != 61 or huge is None:
            tally.faults.append(f"case {case}: {ran.code}: {ran.said[-300:]}")
            continue
        passed = sum(path.stat().st_mtime_ns < huge.stat().st_mtime_ns for path in later)
        tally.figures["later ones that were done before the huge one"] += passed
        tally.figures["later ones"] += len(later)
        if digest(huge) != digest(next((place / "out-alone").glob("[!.]*"))):
            tally.faults.append(f"case {case}: the huge one has other bytes")
        if ran.peak > 1.15 * alone.peak + 64 * MEGABYTE:
            tally.faults.append(f"case {case}: {ran.peak >> 20} MiB, alone {alone.peak >> 20}")


@dataclass(frozen=True, slots=True)
class Measured:
    """A run with the most memory that it had."""

    code: int
    said: str
    seconds: float
    peak: int  # bytes


def _measured(arguments: tuple[object, ...], place: Path) -> Measured:
    child = start(arguments, folder=place)
    peak, done = 0, threading.Event()

    def look() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, _peak(child.pid))

    looking = threading.Thread(target=look)
    looking.start()
    ended = child.wait()
    done.set()
    looking.join()
    return Measured(ended.code, ended.said + ended.fault, ended.seconds, peak)


def _peak(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = status.partition("VmHWM:")[2].split()
    return int(found[0]) << 10 if found else 0


def refused(place: Path, cases: int, random: Random, tally: Tally) -> None:
    """Places that another user may not write."""
    os.chmod(place, 0o755)  # noqa: PTH101
    network = weights(place)
    network.chmod(0o644)
    for name, prepare in REFUSALS.items():
        folder = place / name.replace(" ", "-")
        (folder / "home").mkdir(parents=True)
        os.chown(folder / "home", NOBODY, NOBODY)
        noise(folder / "in/a.png", 1, (20, 20))
        noise(folder / "in/b.png", 2, (20, 20))
        arguments = prepare(folder)
        before = _tree(folder)
        environment = {"SRCLI_HOME": str(folder / "home"), "HOME": str(folder / "home")}
        ended = run(
            ("upscale", *arguments, "-m", network, "-d", "cpu"),
            folder=folder,
            log=place / "log",
            environment=environment,
            before=_become_nobody,
        )
        tally.cases += 1
        tally.figures[f"exit code {ended.code}"] += 1
        words = [line for line in ended.said.splitlines() if line.startswith(("error:", "hint:"))]
        if ended.fault or ended.code not in (1, 4, REFUSED) or len(words) not in (1, 2):
            tally.faults.append(f"{name}: {ended.code} {ended.fault}: {ended.said[-300:]}")
        if changed := _tree(folder) ^ before:
            tally.faults.append(f"{name}: changed {sorted(changed)}")


def _become_nobody() -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def _tree(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if "home" not in p.parts}


def _output_folder(folder: Path) -> tuple[str, ...]:
    (folder / "out").mkdir(mode=0o755)
    return "in", "-o", "out"


def _parent(folder: Path) -> tuple[str, ...]:
    return "in", "-o", "out"


def _beside(folder: Path) -> tuple[str, ...]:
    return ("in",)


def _one_picture(folder: Path) -> tuple[str, ...]:
    return "in/a.png", "-o", "a.png"


def _no_journal(folder: Path) -> tuple[str, ...]:
    (folder / "out").mkdir(mode=0o755)
    return "in", "-o", "out", "--no-journal"


def _journal_of_another(folder: Path) -> tuple[str, ...]:
    (folder / "out").mkdir()
    (folder / "out").chmod(0o777)
    (folder / "out/.srcli-journal.sqlite").touch(mode=0o644)
    (folder / "out/.srcli-journal.lock").touch(mode=0o644)
    return "in", "-o", "out"


def _unreadable(folder: Path) -> tuple[str, ...]:
    (folder / "out").mkdir()
    (folder / "out").chmod(0o777)
    (folder / "in").chmod(0o700)
    return "in", "-o", "out", "--no-journal"


REFUSALS: dict[str, Callable[[Path], tuple[str, ...]]] = {
    "an output folder": _output_folder,
    "the folder of the output folder": _parent,
    "results beside the pictures": _beside,
    "one picture": _one_picture,
    "without a journal": _no_journal,
    "a journal of another user": _journal_of_another,
    "pictures that cannot be read": _unreadable,
}
KINDS: dict[str, Callable[[Path, int, Random, Tally], None]] = {
    "watch": watched,
    "huge": one_huge,
    "refused": refused,
}

if __name__ == "__main__":
    main()
