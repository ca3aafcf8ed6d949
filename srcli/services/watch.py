"""New pictures of a folder, each once it is completely written; by looking again and again.

Looking works on every file system, network folders included, which notifications do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from srcli.io.addresses import Address
from srcli.io.files import has_writer
from srcli.services.folder import Found, Survey
from srcli.services.stop import Stop

LOOK_SECONDS = 1.0
LOOKS_AT_REST = 2  # the same size and time over so many more looks: written to its end
OLD_SECONDS = 10.0  # not touched for so long: written before anybody looked
WRITER_LOOKS = 20  # the same for so long, though a program has it open: at rest, too

_State = tuple[int, int]  # size and time


@dataclass(slots=True)
class Watch:
    """Gives each file once for each time that it was written."""

    look: Callable[[], Survey]
    stop: Stop
    _last: dict[Path, _State] = field(default_factory=dict)
    _rests: dict[Path, int] = field(default_factory=dict)  # looks without a change
    _given: dict[Path, _State] = field(default_factory=dict)
    _told: set[Address] = field(default_factory=set)  # problems

    def arrivals(self) -> Iterator[tuple[Survey, list[Found]]]:
        """All there is, with what is ready now; until `stop` is set."""
        while not self.stop.is_set():
            surveyed = self.look()
            ready = [
                found
                for found in surveyed.found
                if isinstance(found.path, Path) and self._is_ready(found.path)
            ]
            fresh = tuple(each for each in surveyed.problems if each.path not in self._told)
            self._told.update(each.path for each in fresh)
            if ready or fresh:
                yield Survey(found=surveyed.found, problems=fresh, passed_over=0), ready
            self.stop.wait(LOOK_SECONDS)

    def _is_ready(self, path: Path) -> bool:
        try:
            facts = path.stat()
        except OSError:  # gone again
            return False
        state = (facts.st_size, facts.st_mtime_ns)
        is_same = self._last.get(path) == state
        self._rests[path] = self._rests.get(path, 0) + 1 if is_same else 0
        self._last[path] = state
        if self._given.get(path) == state:
            return False
        is_old = time.time() - facts.st_mtime > OLD_SECONDS
        if self._rests[path] < LOOKS_AT_REST and not is_old:
            return False
        if self._rests[path] < WRITER_LOOKS and has_writer(path):  # a copy that falters
            return False
        self._given[path] = state
        return True
