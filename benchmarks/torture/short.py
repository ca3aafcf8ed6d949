"""A little of every torture in one process, for CI: JSON with the cases and faults of each.

python benchmarks/torture/short.py
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from random import Random

import disks
import killed
import kills
import memory
import network
import together
from forked import import_everything

WAYS = ["cut-once", "html", "redirect-loop", "range-lies", "busy-503", "claims-more", "chunked"]


def main() -> None:
    import_everything()
    report = {}
    for name, torture in TORTURES.items():  # those that compute in this process come last
        with tempfile.TemporaryDirectory(prefix="srcli-short-") as place:
            began = time.perf_counter()
            cases, faults = torture(Path(place))
        seconds = round(time.perf_counter() - began, 1)
        report[name] = {"cases": cases, "seconds": seconds, "faults": faults}
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    raise SystemExit(any(each["faults"] for each in report.values()))


def _kills(kind: str, cases: int) -> Callable[[Path], tuple[int, list[str]]]:
    def torture(place: Path) -> tuple[int, list[str]]:
        trial = killed.TRIALS[kind](place)
        try:
            options = Namespace(cases=cases, seed=7, signal=None, seconds=1e9)
            tally = kills.torment(trial, place, options)
        finally:
            trial.close()
        return tally.cases, tally.faults

    return torture


def _disk(place: Path) -> tuple[int, list[str]]:
    trial, disk = killed.DISK_TRIALS["png"](place), disks.Disk(place / "disk", "size")
    tally = disks.fill(trial, disk, place, stride=2, seconds=1e9)
    return tally.tries, tally.faults


def _network(place: Path) -> tuple[int, list[str]]:
    trial = network.Network(place, "address")
    try:
        tally = trial.torment(WAYS)
    finally:
        trial.close()
    return tally.cases, tally.faults


def _convoys(place: Path) -> tuple[int, list[str]]:
    tally = together.Tally()
    together.convoys(place, 25, Random(7), tally)
    return tally.cases, tally.faults


def _memory(place: Path) -> tuple[int, list[str]]:
    tally = memory.Tally()
    options = Namespace(plan="stream", ticks=2, precision="fp32", tta=False, for_good=False)
    options.stride, options.seconds, options.real = 401, 1e9, False
    memory.injected(place, options, tally)
    return tally.places, tally.faults


TORTURES: dict[str, Callable[[Path], tuple[int, list[str]]]] = {
    "kill a picture": _kills("picture", 4),
    "kill a pull": _kills("pull", 4),
    "full disk": _disk,
    "network": _network,
    "interleavings": _convoys,
    "memory": _memory,
}

if __name__ == "__main__":
    main()
