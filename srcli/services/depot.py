"""Room on this machine's disk for pictures on their way from a store and to one.

Decoders need a file, and an encoder that fails must leave nothing in the store. So an object is
copied here before its turn, a result is written here whole and then handed over. How many are here
at once is bounded by the stages of the line that ask for room.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from srcli.errors import DiskFullError
from srcli.io import stores
from srcli.io.addresses import Address, Remote
from srcli.io.files import output_errors, scratch

_SPARE_BYTES = 64 << 20  # left free on the disk for everybody else
_MOST_NAME = 80  # characters of a key's last part that its copy keeps


class Depot:
    """A temporary folder, made when it is first needed. Threads may share it."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._resources = ExitStack()
        self._numbers = count()
        self._mutex = Lock()

    def slot(self) -> Slot:
        """Room for one picture."""
        return Slot(self)

    def new_folder(self) -> Path:
        """A folder of its own for one picture."""
        with self._mutex:
            if self._folder is None:
                self._folder = self._resources.enter_context(scratch())
        folder = self._folder / str(next(self._numbers))
        with output_errors(folder, hint="point $TMPDIR to a folder that you may write"):
            folder.mkdir()
        return folder

    def close(self) -> None:
        """Remove all that is here."""
        self._resources.close()
        self._folder = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Slot:
    """Room for one picture; `close` frees it.

    A result whose place `is_elsewhere`, on another machine, is kept here to be sent there.
    """

    def __init__(self, depot: Depot, *, is_elsewhere: bool = False) -> None:
        self._depot, self.is_elsewhere = depot, is_elsewhere
        self._folder: Path | None = None
        self._fetched: Path | None = None

    def fetch(self, source: Address, size: int | None = None) -> Path:
        """The file of a source: itself, or its copy, which is made once.

        Raises ImageError where it cannot be read, DiskFullError where it has no room.
        """
        if self._fetched is None:
            if isinstance(source, Path):
                return source
            path = self._make() / f"source-{source.name[-_MOST_NAME:]}"
            _check_room(path, source, size or 0)
            stores.fetch(source, path)
            self._fetched = path
        return self._fetched

    def take(self, data: bytes, source: Address) -> Path:
        """The bytes of a source that somebody else fetched, as a file; `fetch` then gives it."""
        path = self._make() / f"source-{source.name[-_MOST_NAME:]}"
        with output_errors(path):
            path.write_bytes(data)
        self._fetched = path
        return path

    def room_for(self, target: Address) -> Path:
        """Where a result is to be written: its place, or a file for `hand_over`."""
        if isinstance(target, Path) and not self.is_elsewhere:
            return target
        return self._make() / f"result-{target.name[-_MOST_NAME:]}"

    def close(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _make(self) -> Path:
        if self._folder is None:
            self._folder = self._depot.new_folder()
        return self._folder


def hand_over(file: Path, target: Address) -> None:
    """Bring a result from its room to its place. Raises OutputError where the store refuses."""
    if isinstance(target, Remote):
        stores.put(file, target)


def _check_room(path: Path, source: Remote, size: int) -> None:
    if size + _SPARE_BYTES > shutil.disk_usage(path.parent).free:
        raise DiskFullError(
            f"no space left for {source} ({size / 1e6:.1f} MB) in {path.parent.parent}",
            hint="free some space, or point $TMPDIR to another disk",
        )
