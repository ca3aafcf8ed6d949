"""A disk that is full at every write: the command says so, leaves nothing, and succeeds with room.

    sudo python benchmarks/torture/disks.py picture       a real file system, n pages of it free
    sudo python benchmarks/torture/disks.py folder --axis files      and with n files left in it
    python benchmarks/torture/disks.py png --axis size     no root: files that may have n bytes

The command runs with room for n = 0, 1, 2, ... until it succeeds. Laws, for every n:

- the exit code is 5 (1 among several inputs), the message says that no space is left, no traceback;
- what lies under a final name is whole, and nothing else is left;
- with room, the same command ends with 0 and its files are those of an undisturbed run.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from conclusion import conclude
from forked import Ended, import_everything, run
from killed import DISK_TRIALS, State, Trial

PAGE = 4096
MOST_TRIES = 2000
PHRASES = ("no space left", "no room", "free")


@dataclass(slots=True)
class Tally:
    """What came out."""

    tries: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    needed: int | None = None  # the least room with which it succeeded
    faults: list[str] = field(default_factory=list)


class Disk:
    """A file system in memory, of which `leave` leaves so much free."""

    def __init__(self, place: Path, axis: str) -> None:
        self.place, self.axis = place, axis
        place.mkdir()
        if axis != "size":
            _system("mount", "-t", "tmpfs", "-o", "size=256m,mode=777", "tmpfs", place)

    def leave(self, room: int) -> None:
        if self.axis == "size":
            return
        used = os.statvfs(self.place)
        if self.axis == "pages":
            size = (used.f_blocks - used.f_bfree) * used.f_frsize + room * PAGE
            _system("mount", "-o", f"remount,size={max(size, PAGE)}", self.place)
        else:
            files = used.f_files - used.f_ffree + room
            _system("mount", "-o", f"remount,nr_inodes={files}", self.place)

    def limit(self, room: int) -> None:
        """In the child."""
        shutil.disk_usage = _plenty  # type: ignore[assignment]  # what looks ahead sees room
        if self.axis == "size":
            resource.setrlimit(resource.RLIMIT_FSIZE, (room * PAGE, resource.RLIM_INFINITY))

    def enlarge(self) -> None:
        if self.axis != "size":
            _system("mount", "-o", "remount,size=256m,nr_inodes=100000", self.place)

    def clear(self) -> None:
        for path in self.place.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def close(self) -> None:
        if self.axis != "size":
            _system("umount", self.place)


def _plenty(path: object) -> tuple[int, int, int]:
    return shutil._ntuple_diskusage(1 << 50, 0, 1 << 50)  # type: ignore[attr-defined]


def _system(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True)


def main() -> None:
    options = _options()
    import_everything()
    with tempfile.TemporaryDirectory(prefix="srcli-disks-") as name:
        place = Path(name)
        trial = DISK_TRIALS[options.trial](place)
        disk = Disk(place / "disk", options.axis)
        try:
            tally = fill(trial, disk, place, stride=options.stride, seconds=options.seconds)
        finally:
            disk.close()
            trial.close()
    report = {
        "trial": options.trial,
        "axis": options.axis,
        "tries": tally.tries,
        "exit_codes": {str(code): count for code, count in sorted(tally.codes.items())},
        "least_room": tally.needed,
        "faults": tally.faults,
    }
    conclude(report)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trial", choices=sorted(DISK_TRIALS))
    parser.add_argument("--axis", choices=("pages", "files", "size"), default="pages")
    parser.add_argument("--stride", type=int, default=1, help="Try every so manyeth room.")
    parser.add_argument("--seconds", type=float, default=1e9, help="End after so long.")
    return parser.parse_args()


def fill(trial: Trial, disk: Disk, place: Path, *, stride: int, seconds: float) -> Tally:
    """Every room, from none to enough."""
    tally = Tally()
    folder = disk.place / "case"
    right = _undisturbed(trial, disk, folder)
    until = time.monotonic() + seconds
    least = 1 if disk.axis == "size" else 0  # that limit is for what the command says, too
    for room in range(least, MOST_TRIES, stride):
        if time.monotonic() > until:
            break
        disk.clear()
        folder.mkdir()
        trial.prepare(folder)
        environment = trial.environment(folder)
        before = trial.state(folder)
        disk.leave(room)
        ended = _run(trial, folder, environment, disk, room)
        disk.enlarge()
        tally.tries += 1
        tally.codes[ended.code] += 1
        found = _faults(trial, folder, ended, before, right)
        tally.faults += [f"room for {room}: {fault}" for fault in found]
        if ended.code == 0:
            tally.needed = room
            break
    return tally


def _run(trial: Trial, folder: Path, environment: dict[str, str], disk: Disk, room: int) -> Ended:
    def before() -> None:
        trial.before()
        disk.limit(room)

    return run(
        trial.first,
        folder=folder,
        log=disk.place.with_name("log"),
        environment=environment,
        before=before,
    )


def _undisturbed(trial: Trial, disk: Disk, folder: Path) -> State:
    folder.mkdir()
    trial.prepare(folder)
    ended = _run(trial, folder, trial.environment(folder), disk, 1 << 20)
    assert ended.code == 0 and not ended.fault, ended.said
    return trial.state(folder)


def _faults(trial: Trial, folder: Path, ended: Ended, before: State, right: State) -> list[str]:
    said = ended.said.strip()[-300:]
    if ended.fault:
        return [f"{ended.fault}: {said}"]
    found = []
    if ended.code not in (0, *trial.full_codes):
        found.append(f"exit code {ended.code}: {said}")
    elif ended.code and "no space left" not in ended.said:
        found.append(f"does not say that no space is left: {said}")
    found += trial.faults(folder, right)
    left = trial.state(folder).keys() - before.keys() - right.keys()
    left = {name for name in left if not trial.may_stay(name)}
    if left:
        found.append(f"left {sorted(left)}")
    again = run(
        trial.second(folder),
        folder=folder,
        environment=trial.environment(folder),
        before=trial.before,
    )
    if again.code or again.fault:
        return [*found, f"with room: {again.code}: {again.said.strip()[-300:]}"]
    state = trial.state(folder)
    return found if state == right else [*found, f"with room: {trial.difference(state, right)}"]


if __name__ == "__main__":
    main()
