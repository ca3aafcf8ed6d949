"""What the torture runs share: cases tried in forked children under watch, and one line of figures.

A child is forked from a process that has imported everything, so a thousand of them cost little.
It tells its parent before and after each case; a case that takes too long, or kills the child,
is a failure with its number, and the rest goes on in a fresh child.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

from srcli.errors import SrcliError

Case = TypeVar("Case")
Attempt: TypeAlias = "Callable[[Case], str]"
ADDRESS_SPACE_ROOM = 6 << 30  # over what the parent has: a hard stop far above every bound
MOST_SHOWN = 20
BUSY_MACHINE = 10


class FallenError(Exception):
    """A case that broke the law of its run; the text says how."""


class Stated(str):
    """An outcome for which so much memory was stated beforehand."""

    nbytes: int

    def __new__(cls, outcome: str, nbytes: int) -> Stated:
        stated = super().__new__(cls, outcome)
        stated.nbytes = nbytes
        return stated


@dataclass
class Tally:
    """Cases and what came of them."""

    name: str
    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    most_mib: int = 0  # memory that one case took on top of what it stated
    slowest_s: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def count(self, outcome: str) -> None:
        self.cases += 1
        self.outcomes[outcome] += 1

    def fail(self, case: object, reason: str) -> None:
        self.cases += 1
        self.outcomes["FAILED"] += 1
        self.failures.append(f"{case}: {reason}")

    def line(self, **more: object) -> str:
        return json.dumps(
            {
                "run": self.name,
                "cases": self.cases,
                "failed": len(self.failures),
                "outcomes": dict(self.outcomes.most_common()),
                "most_mib": self.most_mib,
                "slowest_s": round(self.slowest_s, 2),
                "seconds": round(time.monotonic() - self.started, 1),
                **more,
                "failures": self.failures[:MOST_SHOWN],
            }
        )

    def end(self, **more: object) -> int:
        """Print the line; the exit code of the run."""
        print(self.line(**more), flush=True)
        return 1 if self.failures else 0


def outcome_of(action: Callable[[], object]) -> str:
    """`read`, or the name of the srcli error that came out. Anything else passes through."""
    try:
        action()
    except SrcliError as error:
        told = f"{error}{error.hint}"
        if "\n" in told or not error.hint or not str(error):
            raise FallenError(f"an error that is not one line with a hint: {told!r}") from error
        return type(error).__name__
    return "read"


def in_children(
    tally: Tally,
    cases: Sequence[Case],
    attempt: Attempt[Case],
    *,
    seconds: float = 10,
    bound_mib: int = 400,
    group: int = 50,
    minutes: float = 1e9,
) -> None:
    """Try each case in a forked child: `attempt` returns its outcome or raises `FallenError`.

    A case fails too where anything else is raised, where it takes longer than `seconds`, where it
    takes over `bound_mib` of memory on top of what it `Stated`, or where the child dies. After so
    many `minutes` the rest is left.
    """
    place = 0
    while place < len(cases) and time.monotonic() - tally.started < minutes * 60:
        place += _child(tally, cases[place : place + group], attempt, seconds, bound_mib)


def _child(
    tally: Tally,
    cases: Sequence[Case],
    attempt: Attempt[Case],
    seconds: float,
    bound_mib: int,
) -> int:
    """How many of the cases were dealt with before the child ended."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.setsid()
        _work(cases, attempt, writer)
    os.close(writer)
    done, fate = 0, ""
    try:
        for line, took in _lines(reader, child, seconds):
            _account(tally, cases[done], json.loads(line), bound_mib, took)
            done += 1
    except TimeoutError:
        fate = f"a hang: over {seconds:g} s"
        os.killpg(child, signal.SIGKILL)
    os.close(reader)
    _, status = os.waitpid(child, 0)
    if done < len(cases):
        tally.fail(cases[done], fate or f"the process died: {os.waitstatus_to_exitcode(status)}")
        done += 1
    return done


def _lines(reader: int, child: int, seconds: float) -> Iterator[tuple[bytes, float]]:
    """What the child tells of each case, and the seconds it took. Raises TimeoutError on a hang."""
    begun, worked, rest = time.monotonic(), 0.0, b""
    while True:
        ready, _, _ = select.select([reader], [], [], 1.0)
        if not ready:
            if _is_hung(child, worked, seconds, begun):
                raise TimeoutError
            continue
        data = os.read(reader, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line, time.monotonic() - begun
            begun, worked = time.monotonic(), _seconds_of(child)


def _is_hung(child: int, worked: float, seconds: float, begun: float) -> bool:
    """Over its time of work; or, on a machine that may be busy, over ten times that of waiting."""
    return (
        _seconds_of(child) - worked > seconds or time.monotonic() - begun > BUSY_MACHINE * seconds
    )


def _seconds_of(child: int) -> float:
    """Seconds of work that a process has done."""
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _work(cases: Sequence[Case], attempt: Attempt[Case], writer: int) -> None:
    limit = _virtual_bytes() + ADDRESS_SPACE_ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        for case in cases:
            before, outcome = forget_peak(), ""
            try:
                outcome = attempt(case)
                record = {"outcome": outcome}
            except FallenError as fallen:
                record = {"failure": str(fallen)}
            except BaseException:
                record = {"failure": traceback.format_exc(limit=-6)}
            stated = outcome.nbytes if isinstance(outcome, Stated) else 0
            record["mib"] = max(peak_bytes() - before - stated, 0) >> 20
            os.write(writer, json.dumps(record).encode() + b"\n")
    finally:
        os._exit(0)


def _account(
    tally: Tally, case: object, record: dict[str, object], bound_mib: int, seconds: float
) -> None:
    mib = int(str(record["mib"]))
    tally.most_mib, tally.slowest_s = max(tally.most_mib, mib), max(tally.slowest_s, seconds)
    if "failure" in record:
        tally.fail(case, str(record["failure"]))
    elif mib > bound_mib:
        tally.fail(case, f"took {mib} MiB on top ({record['outcome']})")
    else:
        tally.count(str(record["outcome"]))


def forget_peak() -> int:
    """Start to measure the peak of resident memory anew; what is resident now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def peak_bytes() -> int:
    """The most memory that was resident since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def _virtual_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
