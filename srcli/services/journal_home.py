"""Where a journal lies: a folder of this machine, or a folder of a store.

A journal is an SQLite database either way. In a folder it is a file there. A store cannot change
parts of an object, so the truth there is a log of rows (services.journal_log), and the database is
an index that each run makes anew from it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Protocol

from filelock import FileLock

from srcli.errors import SrcliError
from srcli.io import stores
from srcli.io.addresses import Address, Remote
from srcli.io.files import output_errors, scratch_place
from srcli.io.leftovers import remove_unless_held
from srcli.io.looks import is_file
from srcli.services.journal_file import (
    JOURNAL_NAME,
    WORK_NAME,
    Text,
    has_schema,
    open_database,
    open_read_only,
    partials_of,
    take_lock,
    to_path,
    to_text,
)
from srcli.services.journal_log import Changes, Log
from srcli.services.lease import HEARTBEAT_SECONDS, Lease

LOG_NAME = ".srcli-journal"  # of the folder in a store


class Home(Protocol):
    """A place that holds a journal and the results it names."""

    def open(self, mutex: Lock) -> sqlite3.Connection:
        """The database, to be used with `mutex` held.

        Raises OutputError where the place is in use, damaged or refuses.
        """
        ...

    def exists(self) -> bool:
        """Whether there is a journal."""
        ...

    def inside(self, output: Address) -> Text:
        """An output as it lies below here, so that the folder can move."""
        ...

    def outside(self, text: Text) -> Address:
        """The output that `inside` made a text of."""
        ...

    def size(self, output: Address, *, now: bool = False) -> int | None:
        """Bytes of a result, None where it is not there; `now` does not trust what was listed."""
        ...

    def added(self, output: Address, size: int | None) -> int:
        """A result is in its place; its size."""
        ...

    def delete(self, output: Address) -> None:
        """Remove a result."""
        ...

    def sweep(self, begun: Iterable[Address]) -> None:
        """Remove what a killed run left of the results that it had begun."""
        ...

    def work_folder(self) -> Path | None:
        """Where large things on the way go; None: where $TMPDIR says."""
        ...

    def sync(self) -> None:
        """Return when all that was changed so far outlives a kill."""
        ...

    def close(self, database: sqlite3.Connection) -> None:
        """Close the database and give the place back."""
        ...


class FolderHome:
    """A folder of this machine. `read_only` takes no lock and writes nothing."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._folder, self._is_read_only = folder, read_only
        self._root = Path(os.path.realpath(folder))
        self._path = folder / JOURNAL_NAME
        self._lock: FileLock | None = None

    def __str__(self) -> str:
        return str(self._path)

    def exists(self) -> bool:
        return is_file(self._path)

    def open(self, mutex: Lock) -> sqlite3.Connection:
        if self._is_read_only:
            return open_read_only(self._path)
        self._lock = take_lock(self._folder)
        try:
            return open_database(self._path)
        except BaseException:
            self._lock.release()
            raise

    def inside(self, output: Address) -> Text:
        assert isinstance(output, Path)
        real = real_path(output)
        return to_text(real.relative_to(self._root) if real.is_relative_to(self._root) else real)

    def outside(self, text: Text) -> Path:
        return self._folder / to_path(text)

    def size(self, output: Address, *, now: bool = False) -> int | None:
        assert isinstance(output, Path)
        try:
            return output.stat().st_size
        except OSError:
            return None

    def added(self, output: Address, size: int | None) -> int:
        assert isinstance(output, Path)
        return output.stat().st_size if size is None else size  # it may have been taken away

    def delete(self, output: Address) -> None:
        assert isinstance(output, Path)
        if real_path(output).is_relative_to(self._root):  # a journal may name any file
            output.unlink(missing_ok=True)

    def sweep(self, begun: Iterable[Address]) -> None:
        shutil.rmtree(self._folder / WORK_NAME, ignore_errors=True)
        for output in begun:
            assert isinstance(output, Path)
            for partial in partials_of(output):
                remove_unless_held(partial)  # by a run over single files, which has no journal

    def work_folder(self) -> Path:
        folder = self._folder / WORK_NAME
        with output_errors(folder):
            folder.mkdir(exist_ok=True)
        return folder

    def sync(self) -> None:
        """Nothing to do: SQLite flushes each change."""

    def close(self, database: sqlite3.Connection) -> None:
        if self._lock is not None:
            shutil.rmtree(self._folder / WORK_NAME, ignore_errors=True)
        database.close()
        if self._lock is not None:
            self._lock.release()


class StoreHome:
    """A folder of a store: a log of rows, a lease, and the sizes of what was there at first."""

    def __init__(self, folder: Remote, *, read_only: bool = False) -> None:
        self._folder, self._is_read_only = folder, read_only
        self._log = Log(folder / LOG_NAME)
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._lease: Lease | None = None
        self._changes: Changes | None = None
        self._sizes: dict[str, int | None] = {}
        self._turn = Lock()  # of who writes to the log
        self._heart = Thread(target=self._beat, daemon=True, name="srcli lease")
        self._is_closed = Event()

    def __str__(self) -> str:
        return str(self._folder / LOG_NAME)

    def exists(self) -> bool:
        return self._log.exists()

    def open(self, mutex: Lock) -> sqlite3.Connection:
        if not self._is_read_only:
            self._lease = Lease.take(self._folder, self._folder / LOG_NAME / "lease.json")
        try:
            return self._opened(mutex)
        except BaseException:
            if self._lease is not None:
                self._lease.give_back()
            raise

    def inside(self, output: Address) -> Text:
        assert isinstance(output, Remote)
        return output.below(self._folder).as_posix()

    def outside(self, text: Text) -> Remote:
        return self._folder / (text if isinstance(text, str) else os.fsdecode(text))

    def size(self, output: Address, *, now: bool = False) -> int | None:
        assert isinstance(output, Remote)
        if not now:
            return self._sizes.get(output.key)
        entry = stores.entry_at(output)
        return None if entry is None or entry.is_folder else entry.bytes or 0

    def added(self, output: Address, size: int | None) -> int:
        assert isinstance(output, Remote) and size is not None
        self._sizes[output.key] = size
        return size

    def delete(self, output: Address) -> None:
        assert isinstance(output, Remote)
        stores.delete(output)
        self._sizes.pop(output.key, None)

    def sweep(self, begun: Iterable[Address]) -> None:
        """Nothing to do: an upload that did not end left nothing."""

    def work_folder(self) -> None:
        return None

    def sync(self) -> None:
        """Whoever comes while another is writing finds his rows written, or writes for all."""
        assert self._lease is not None and self._changes is not None
        with self._turn:
            self._lease.check()
            with self._changes.taken() as rows:
                if rows:
                    self._log.append(rows)

    def close(self, database: sqlite3.Connection) -> None:
        self._is_closed.set()
        try:
            if self._changes is not None:
                self._heart.join()
                self.sync()
        finally:
            database.close()
            if self._lease is not None:
                self._lease.give_back()
            if self._scratch is not None:
                self._scratch.cleanup()

    def _opened(self, mutex: Lock) -> sqlite3.Connection:
        self._scratch = tempfile.TemporaryDirectory(
            prefix="srcli-journal-", dir=scratch_place(), ignore_cleanup_errors=True
        )
        database = open_database(Path(self._scratch.name, JOURNAL_NAME), is_index=True)
        try:
            self._log.load(database, compact=not self._is_read_only)
            has_schema(database, str(self))  # rows that no run has written
            self._sizes = {
                entry.address.key: entry.bytes for entry in stores.listing(self._folder, below=True)
            }
        except BaseException:
            database.close()
            self._scratch.cleanup()
            raise
        if not self._is_read_only:
            self._changes = Changes(database, mutex)
            self._heart.start()
        return database

    def _beat(self) -> None:
        assert self._lease is not None
        while not self._is_closed.wait(HEARTBEAT_SECONDS):
            with suppress(SrcliError):  # what could not be written is told by the next `sync`
                self._lease.renew()
                self.sync()


def home_of(folder: Address, *, read_only: bool = False) -> Home:
    """The home of a journal in `folder`."""
    if isinstance(folder, Remote):
        return StoreHome(folder, read_only=read_only)
    return FolderHome(folder, read_only=read_only)


def real_path(path: Path) -> Path:
    """The path without links above it; a link itself keeps its name."""
    return Path(os.path.realpath(path.parent), path.name)
