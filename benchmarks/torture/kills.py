"""Kill srcli at random moments; the next run must be as if nothing had been.

    python benchmarks/torture/kills.py picture --cases 200
    python benchmarks/torture/kills.py folder --cases 200 --signal SIGKILL

Half of the kills come at a random moment of the run, half just before the n-th time that it touches
a file, because those moments are few and short. Laws:

- what lies under a final name after a kill is whole, byte by byte;
- SIGINT and SIGTERM end with 130, unless the work was done already or had not begun, and without
  a traceback;
- the next run ends with 0, its files are those of an undisturbed run, and nothing else is there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from conclusion import conclude
from forked import Child, Ended, import_everything, run, start
from killed import TRIALS, Trial

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")
INTERRUPTED = 130
_FILE_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}


@dataclass(slots=True)
class Tally:
    """What came out."""

    cases: int = 0
    signals: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    too_late: int = 0  # the run had ended
    slowest_stop: float = 0.0  # seconds from SIGINT or SIGTERM to the end
    faults: list[str] = field(default_factory=list)


def main() -> None:
    options = _options()
    import_everything()
    with tempfile.TemporaryDirectory(prefix="srcli-kills-") as place:
        trial = TRIALS[options.trial](Path(place))
        try:
            tally = torment(trial, Path(place), options)
        finally:
            trial.close()
    report = {
        "trial": options.trial,
        "seed": options.seed,
        "cases": tally.cases,
        "signals": dict(tally.signals),
        "exit_codes": {str(code): count for code, count in sorted(tally.codes.items())},
        "ended_before_the_signal": tally.too_late,
        "slowest_stop_seconds": round(tally.slowest_stop, 2),
        "faults": tally.faults,
    }
    conclude(report)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trial", choices=sorted(TRIALS))
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9, help="End after so long.")
    parser.add_argument("--signal", choices=SIGNALS, help="Only this one; else all in turn.")
    return parser.parse_args()


def torment(trial: Trial, place: Path, options: argparse.Namespace) -> Tally:
    """Undisturbed once, to know what is right and how long it takes; then every case."""
    random, tally = Random(options.seed), Tally()
    whole, events = _undisturbed(trial, place / "undisturbed")
    right = trial.state(place / "undisturbed")
    until = time.monotonic() + options.seconds
    for number in range(options.cases):
        if time.monotonic() > until:
            break
        name = options.signal or SIGNALS[number % len(SIGNALS)]
        folder = place / f"case-{number}"
        folder.mkdir()
        trial.prepare(folder)
        case = _Case(trial, folder, getattr(signal, name), random.random())
        ended = case.by_file(events) if number % 2 else case.by_time(whole)
        tally.cases += 1
        tally.signals[name] += 1
        tally.codes[ended.code] += 1
        tally.too_late += case.was_late
        if name != "SIGKILL" and not case.was_late:
            tally.slowest_stop = max(tally.slowest_stop, case.stopping_seconds)
        found = [*case.faults(ended), *trial.faults(folder, right), *case.again(right)]
        tally.faults += [f"case {number} ({name}, {case.moment}): {fault}" for fault in found]
        trial.reset()
        if not found:
            shutil.rmtree(folder)
    return tally


def _undisturbed(trial: Trial, folder: Path) -> tuple[float, int]:
    """Seconds of a run, and how often it touches a file."""
    folder.mkdir()
    trial.prepare(folder)
    counted = folder.with_name("events")
    ended = run(
        trial.first,
        folder=folder,
        environment=trial.environment(folder),
        before=lambda: (trial.before(), _watch_files(folder, _Writing(counted)))[0],
    )
    assert ended.code == 0 and not ended.fault, ended.said
    trial.reset()
    return ended.seconds, len(counted.read_bytes())


@dataclass(frozen=True, slots=True)
class _Writing:
    """Notes each touch in a file, which outlives the child."""

    path: Path

    def __call__(self, touch: int) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, b".")
        os.close(descriptor)


def _watch_files(folder: Path, heard: Callable[[int], None]) -> None:
    """Call `heard` before each change of a file below `folder`."""
    touches, is_inside = 0, False

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal touches, is_inside
        if is_inside or not _is_change(event, arguments, str(folder)):
            return
        is_inside = True
        touches += 1
        heard(touches)
        is_inside = False

    sys.addaudithook(hook)


def _is_change(event: str, arguments: tuple[object, ...], folder: str) -> bool:
    if event == "open":
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        if not flags & (os.O_WRONLY | os.O_RDWR):
            return False
    elif event not in _FILE_EVENTS:
        return False
    path = arguments[0]
    if isinstance(path, int):
        return False
    return str(Path(os.fsdecode(path)).absolute()).startswith(folder)


class _Case:
    """One run that is killed, and the one after it."""

    def __init__(self, trial: Trial, folder: Path, number: int, share: float) -> None:
        self.trial, self.folder, self.number, self.share = trial, folder, number, share
        self.moment = ""
        self.was_late = False
        self.stopping_seconds = 0.0

    def by_time(self, whole: float) -> Ended:
        seconds = self.share * whole
        self.moment = f"after {seconds:.3f} s"
        child = self._start(self.trial.before)
        time.sleep(seconds)
        return self._killed(child)

    def by_file(self, events: int) -> Ended:
        touch = 1 + int(self.share * events)
        self.moment = f"before touch {touch} of {events}"

        def die(touches: int) -> None:
            if touches == touch:
                os.kill(os.getpid(), self.number)

        def before() -> None:
            self.trial.before()
            _watch_files(self.folder, die)

        ended = self._start(before).wait()
        self.was_late = ended.code == 0
        return ended

    def _start(self, before: Callable[[], None]) -> Child:
        environment = self.trial.environment(self.folder)
        return start(self.trial.first, folder=self.folder, environment=environment, before=before)

    def _killed(self, child: Child) -> Ended:
        told = time.monotonic()
        child.kill(self.number)
        ended = child.wait()
        self.stopping_seconds = time.monotonic() - told
        self.was_late = ended.code == 0
        return ended

    def faults(self, ended: Ended) -> list[str]:
        if ended.fault:
            return [ended.fault]
        at_once = 128 + self.number  # before the command could listen
        is_right = ended.code == at_once and (self.number == signal.SIGKILL or not ended.said)
        if not is_right and ended.code not in (0, INTERRUPTED):
            return [f"exit code {ended.code}: {ended.said.strip()[-200:]}"]
        return []

    def again(self, right: object) -> list[str]:
        """The next run: it must end well, and leave what an undisturbed one leaves."""
        ended = run(
            self.trial.second(self.folder),
            folder=self.folder,
            environment=self.trial.environment(self.folder),
            before=self.trial.before,
        )
        if ended.fault or ended.code:
            return [f"next run: {ended.fault or ended.code}: {ended.said.strip()[-300:]}"]
        state = self.trial.state(self.folder)
        return [] if state == right else [f"next run: {self.trial.difference(state, right)}"]


if __name__ == "__main__":
    main()
