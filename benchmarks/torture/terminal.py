"""Ctrl-C in a real terminal: of one picture, of a folder, and twice.

    python benchmarks/torture/terminal.py picture --cases 20
    python benchmarks/torture/terminal.py folder --cases 20
    python benchmarks/torture/terminal.py twice --cases 20

Laws: the command ends with 130 and says what became of the work; the terminal shows its cursor and
echoes as before; nothing half written is left, at the latest after the next run, which ends well
and leaves what an undisturbed run leaves.
"""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import sys
import tempfile
import termios
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import forked
from conclusion import asked, conclude
from forked import import_everything, run
from killed import digest, noise, weights

MOST_SECONDS = 30
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
INTERRUPTED = 130


@dataclass(slots=True)
class Tally:
    """What came out."""

    cases: int = 0
    too_late: int = 0  # the run had ended
    slowest: float = 0.0  # seconds from the last Ctrl-C to the end
    done: Counter[int] = field(default_factory=Counter)  # pictures when a folder ended
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Seen:
    """How a command ended that was interrupted."""

    code: int
    shown: str
    seconds: float
    echoes: bool

    @property
    def hides_cursor(self) -> bool:
        return self.shown.rfind(HIDE) > self.shown.rfind(SHOW)


def main() -> None:
    options = asked(__doc__, KINDS, cases=20)
    import_everything()
    with tempfile.TemporaryDirectory(prefix="srcli-terminal-") as place:
        trial = KINDS[options.kind](Path(place), pictures=12, width=120)
        tally = torment(trial, options.cases, Random(options.seed))
    report = {
        "kind": options.kind,
        "seed": options.seed,
        "cases": tally.cases,
        "ended_before": tally.too_late,
        "slowest_seconds": round(tally.slowest, 2),
        "pictures_done": dict(sorted(tally.done.items())),
        "faults": tally.faults,
    }
    conclude(report)


def torment(trial: Picture, cases: int, random: Random) -> Tally:
    """An undisturbed run, and then those that are interrupted."""
    tally, place = Tally(), trial.place
    began = time.monotonic()
    ended = run(trial.command("right"), folder=place)
    assert ended.code == 0, ended.said
    whole = time.monotonic() - began
    right = trial.results("right")
    for number in range(cases):
        name = f"out-{number}"
        seen = watch(place, trial.command(name), random.uniform(0, whole), twice=trial.is_twice)
        tally.cases += 1
        tally.slowest = max(tally.slowest, seen.seconds)
        if seen.code == 0:
            tally.too_late += 1
        tally.done[len(trial.results(name))] += 1
        found = [*_faults(seen), *trial.faults(seen, name, right), *trial.again(name, right)]
        tally.faults += [f"case {number}: {fault}" for fault in found]
    return tally


def _faults(seen: Seen) -> list[str]:
    found = []
    is_early = seen.code == -signal.SIGINT and seen.shown in ("", "^C")  # nobody listened yet
    if not is_early and (seen.code not in (0, INTERRUPTED) or "Traceback" in seen.shown):
        found.append(f"{seen.code}: {seen.shown[-400:]!r}")
    if seen.hides_cursor:
        found.append("leaves the terminal without a cursor")
    if not seen.echoes:
        found.append("leaves the terminal without an echo")
    return found


class Picture:
    """One large picture."""

    is_twice = False
    source = "big.png"
    words = "interrupted: nothing half done was kept"

    def __init__(self, place: Path, *, pictures: int, width: int) -> None:
        self.place, self.network = place, weights(place)
        noise(place / "big.png", 0, (7 * width, 9 * width))
        for number in range(pictures):
            noise(place / f"in/{number}.png", number, ((4 + number) * width // 4, 2 * width))

    def command(self, name: str) -> tuple[object, ...]:
        plan = ("-m", self.network, "-d", "cpu", "--plan", "stream")
        return ("upscale", self.source, "-o", self.output(name), *plan)

    def output(self, name: str) -> str:
        return f"{name}.png"

    def results(self, name: str) -> dict[str, str]:
        """What lies under final names."""
        found = [self.place / self.output(name)]
        return {path.name: digest(path) for path in found if path.exists()}

    def faults(self, seen: Seen, name: str, right: dict[str, str]) -> list[str]:
        found = [f"does not say: {self.words}"] if self._is_silent(seen) else []
        torn = [n for n, what in self.results(name).items() if right.get(n, what) != what]
        found += [f"{torn} are not what they become"] if torn else []
        left = [] if self.is_twice else self._hidden()
        return found + ([f"left {left}"] if left else [])

    def again(self, name: str, right: dict[str, str]) -> list[str]:
        """The next run ends well, and nothing else is left."""
        ended = run((*self.command(name), *self.more), folder=self.place)
        state = sorted(self.results(name).values())
        if ended.code or ended.fault or state != sorted(right.values()) or self._hidden():
            return [f"next run {ended.code}, {self._hidden()}: {ended.said[-300:]}"]
        return []

    more: tuple[str, ...] = ("--overwrite",)

    def _is_silent(self, seen: Seen) -> bool:
        return seen.code == INTERRUPTED and not re.search(self.words, seen.shown)

    def _hidden(self) -> list[str]:
        kinds = (".*.partial*", ".srcli-work", ".srcli-????????")
        return [str(path) for kind in kinds for path in self.place.rglob(kind)]


class Folder(Picture):
    """A folder of small ones: it says what was done, and how to go on."""

    source = "in"
    words = r"(?s)stopping after what is under way.*(\d+ left in|interrupted)"
    more = ()

    def output(self, name: str) -> str:
        return name

    def results(self, name: str) -> dict[str, str]:
        return {path.name: digest(path) for path in (self.place / name).glob("[!.]*")}

    def _is_silent(self, seen: Seen) -> bool:
        if "interrupted" in seen.shown and "stopping" not in seen.shown:
            return False  # before there was anything to stop
        left = re.search(r"(\d+) left in", seen.shown)
        goes_on = "run the same command again to do the rest" in seen.shown
        return super()._is_silent(seen) or (left is not None and not goes_on)


class Twice(Folder):
    """The same, and once more a tenth of a second later."""

    is_twice = True
    words = "stopping after what is under way|interrupted"


def watch(place: Path, arguments: tuple[object, ...], after: float, *, twice: bool) -> Seen:
    """Run it in a terminal and press Ctrl-C, or press it twice."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(place)
        os.environ.update(TERM="xterm", COLUMNS="100")
        code = 70
        try:
            code = forked._main([str(each) for each in arguments])
        finally:
            sys.stdout.flush()
            os._exit(code)
    before = termios.tcgetattr(terminal)
    shown = bytearray()
    _listen(terminal, shown, after)
    for press in range(2 if twice else 1):
        _listen(terminal, shown, 0.1 * press)
        os.write(terminal, b"\x03")
    began = time.monotonic()
    _listen(terminal, shown, MOST_SECONDS)
    seconds = time.monotonic() - began
    echoes = termios.tcgetattr(terminal)[3] == before[3]
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    code = os.waitstatus_to_exitcode(status)
    return Seen(code, shown.decode(errors="replace"), seconds, echoes)


def _listen(terminal: int, shown: bytearray, seconds: float) -> None:
    """Read what is shown for so long, or to the end."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        ready, _, _ = select.select([terminal], [], [], left)
        try:
            data = os.read(terminal, 4096) if ready else b""
        except OSError:  # the other end is closed
            return
        if ready and not data:
            return
        shown += data


KINDS: dict[str, type[Picture]] = {
    "picture": Picture,
    "folder": Folder,
    "twice": Twice,
}

if __name__ == "__main__":
    main()
