"""A little of every torture, for CI: JSON with the cases, faults and seconds of work of each.

    python benchmarks/torture/short.py

Each has a process of its own, so that what ends or hangs one is its fault alone, and is told.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import sys
import tempfile
import traceback
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from random import Random

import disks
import folders
import killed
import kills
import memory
import network
import terminal
import together
from forked import import_everything

WAYS = ["cut-once", "html", "redirect-loop", "range-lies", "busy-503", "claims-more", "chunked"]
HUB_WAYS = ["cut-once", "busy-503"]
MOST_SECONDS = 120  # of one torture, which takes three

Found = tuple[int, list[str]]  # cases, and what is wrong
Torture = Callable[[Path], Found]


def main() -> None:
    import_everything()
    report = {}
    for name, torture in TORTURES.items():
        with tempfile.TemporaryDirectory(prefix="srcli-short-") as place:
            before = _seconds_of_work()
            cases, faults = _alone(torture, Path(place))
        seconds = round(_seconds_of_work() - before, 1)
        report[name] = {"cases": cases, "seconds": seconds, "faults": faults}
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    raise SystemExit(any(each["faults"] for each in report.values()))


def _seconds_of_work() -> float:
    """Of all processes so far that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _alone(torture: Torture, place: Path) -> Found:
    """In a process of its own; its end before its time is a fault."""
    answer, inside = place / "answer", place / "inside"
    inside.mkdir()
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        faulthandler.dump_traceback_later(MOST_SECONDS, exit=True)
        try:
            found = torture(inside)
        except BaseException:
            found = (0, [traceback.format_exc()])
        answer.write_text(json.dumps(found))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if not answer.exists():
        return 0, [f"its process ended with {os.waitstatus_to_exitcode(status)}"]
    cases, faults = json.loads(answer.read_text())
    return cases, faults


def _kills(kind: Callable[[Path], killed.Trial], cases: int = 3) -> Torture:
    """The signals in turn, every other at a moment, every other before a touch of a file."""

    def torture(place: Path) -> Found:
        trial = kind(place)
        try:
            options = Namespace(cases=cases, seed=7, signal=None, seconds=1e9)
            tally = kills.torment(trial, place, options)
        finally:
            trial.close()
        return tally.cases, tally.faults

    return torture


class Picture(killed.Picture):
    """One that takes less time."""

    pages, size = 1, (12, 14)


class Folder(killed.Folder):
    """The same of three pictures."""

    suffixes, size = ("png", "jpg", "tif"), (20, 20)


class Training(killed.Training):
    """Three steps."""

    text = killed.TRAINING.replace("steps = 6", "steps = 3").replace("keep = 2", "keep = 1")


def _disk(place: Path) -> Found:
    trial, disk = killed.DISK_TRIALS["png"](place), disks.Disk(place / "disk", "size")
    tally = disks.fill(trial, disk, place, stride=3, seconds=1e9)
    return tally.tries, tally.faults


def _network(kind: str, ways: list[str]) -> Torture:
    def torture(place: Path) -> Found:
        trial = network.Network(place, kind)
        try:
            tally = trial.torment(ways)
        finally:
            trial.close()
        return tally.cases, tally.faults

    return torture


def _together(kind: str, cases: int) -> Torture:
    def torture(place: Path) -> Found:
        tally = together.Tally()
        together.KINDS[kind](place, cases, Random(7), tally)
        return tally.cases, tally.faults

    return torture


def _terminal(place: Path) -> Found:
    """Ctrl-C during a folder, and twice."""
    tallies = []
    for kind in ("folder", "twice"):
        (place / kind).mkdir()
        trial = terminal.KINDS[kind](place / kind, pictures=3, width=16)
        tallies.append(terminal.torment(trial, 1, Random(7)))
    return sum(tally.cases for tally in tallies), [
        each for tally in tallies for each in tally.faults
    ]


def _refused(place: Path) -> Found:
    """Only root can become another user; anybody else tries nothing."""
    tally = folders.Tally()
    if os.geteuid() == 0:
        place.parent.chmod(0o755)
        folders.refused(place, 0, Random(7), tally)
    return tally.cases, tally.faults


def _memory(place: Path) -> Found:
    tally = memory.Tally()
    options = Namespace(plan="stream", ticks=2, precision="fp32", tta=False, for_good=False)
    options.stride, options.seconds = 1301, 1e9
    memory.injected(place, options, tally)
    return tally.places, tally.faults


def _little_memory(place: Path) -> Found:
    tally = memory.Tally()
    memory.really(place, Namespace(rooms=(4, 12, 40), size=(160, 120), seconds=1e9), tally)
    return tally.places, tally.faults


TORTURES: dict[str, Torture] = {
    "kill a picture": _kills(Picture),
    "kill a folder": _kills(Folder),
    "kill a pull": _kills(killed.Pull, 6),
    "kill a pull from the hub": _kills(killed.PullFromHub),
    "kill a training": _kills(Training),
    "full disk": _disk,
    "network": _network("address", WAYS),
    "hub": _network("hub", HUB_WAYS),
    "two processes": _together("processes", 1),
    "eight threads": _together("threads", 1),
    "interleavings": _together("convoy", 8),
    "terminal": _terminal,
    "refused": _refused,
    "memory": _memory,
    "little memory": _little_memory,
}

if __name__ == "__main__":
    main()
