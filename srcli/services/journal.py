"""What became of each picture of a folder, so that a second run goes on where the first ended.

It lies in the folder of the results, which may be one of a store (services.journal_home). A row is
one source under one group of settings and one network:

    (no row) --begin--> running --done--> done       the output is whole and in its place
                           |------failed--> failed   with the reason; tried again next time
                           `------stopped-> stopped  given up when the run was ended, or killed

A row is `running` on the disk before its output can appear, and the output is whole before the
row is `done`. So whenever the process is killed, every output in the folder has a row that names
it, and a row that says `done` has its output. docs/reference/journal.md has the columns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from srcli.errors import OutputError, SrcliError
from srcli.io import stores
from srcli.io.addresses import Address
from srcli.io.looks import is_gone
from srcli.services.fingerprint import Content, Settings, content_of, quick_content_of
from srcli.services.journal_file import JOURNAL_NAME, has_schema, translated
from srcli.services.journal_home import Home, home_of, real_path
from srcli.services.journal_rows import Row, Rows, Status

__all__ = ["JOURNAL_NAME", "Journal", "Row", "Status", "results_in"]


class Journal:
    """The journal of one folder, for one run: one network, one group of settings.

    Several threads may use it. While it is open no other process can open it.
    """

    def __init__(self, folder: Address, settings: Settings, model: str) -> None:
        """Open or make the journal in `folder`, which exists.

        Raises OutputError where another process holds it, where it is damaged or made by another
        version, or where the folder cannot be written; DiskFullError where the disk is full.
        """
        self._prepare(home_of(folder), settings, model)
        try:
            with self._safely():
                self._rows.add_settings(settings)
            self._sweep()
        except BaseException:
            self.close()
            raise

    @classmethod
    def peek(cls, folder: Address, settings: Settings, model: str) -> Self | None:
        """An existing journal to look at, without the lock; None where there is none.

        Raises OutputError where it is damaged or made by another version.
        """
        home = home_of(folder, read_only=True)
        if not home.exists():
            return None
        journal = cls.__new__(cls)
        journal._prepare(home, settings, model, read_only=True)
        try:
            with journal._safely():
                is_whole = has_schema(journal._database, str(home))
        except BaseException:
            journal.close()
            raise
        if not is_whole:  # killed while it was made
            journal.close()
            return None
        return journal

    def _prepare(
        self, home: Home, settings: Settings, model: str, *, read_only: bool = False
    ) -> None:
        self._home, self._is_read_only = home, read_only
        self._mutex = Lock()
        with translated(str(home)):
            self._database = home.open(self._mutex)
        self._rows = Rows(self._database, home, (settings.fingerprint, model))

    def finished(self, source: Address, now: Content | None = None) -> Address | None:
        """The output of a source that is done, unchanged, and still there; else None.

        `now` is what the source is known to be. Without a digest it can only say that nothing was
        written since; a file of this machine is then read, an object is not.
        """
        row = self.row(source)
        if row is None or row.status is not Status.DONE or row.output is None:
            return None
        if not self._has_size(row.output, row.output_bytes):
            return None
        now = now or quick_content_of(source)
        if now.same_file(row.content):
            return row.output
        if now.bytes != row.content.bytes:
            return None
        if now.sha256 is None and isinstance(source, Path):
            now = content_of(source, now)
        if now.sha256 is None or now.sha256 != row.content.sha256:
            return None
        if not self._is_read_only:
            self._change("stamp = ?", now.stamp, source=source)
        return row.output

    def begin(
        self, source: Address, output: Address, content: Content | None = None, *, overwrite: bool
    ) -> Address | None:
        """Write down that `source` is about to become `output`; `sync` before it can appear.

        `content` is the source's with its digest; without, a file of this machine is read. When
        the same picture became that output under another path, and is not there any more, the row
        moves with it and the finished output is returned: nothing is left to do, unless
        `overwrite` asks for it.

        Raises OutputError where the output belongs to another picture, or to nobody and
        `overwrite` is not set.
        """
        if content is None or content.sha256 is None:
            assert isinstance(source, Path)
            content = content_of(source, content)
        exists = self._home.size(output, now=True) is not None
        with self._safely(), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            if self._settle_owner(
                source, output, content, may_replace=overwrite or not exists, overwrite=overwrite
            ):
                return output
            before = self._rows.find(source)
            if before is not None and before.output != output:
                self._delete_replaced(before)
                before = replace(before, output_bytes=None)
            self._rows.begin(source, output, content, before)
        return None

    def done(
        self, source: Address, output: Address, seconds: float, size: int | None = None
    ) -> None:
        """The output is whole and in its place; `size` says its bytes, always of an object."""
        change = "status = 'done', output_bytes = ?, seconds = ?, error = NULL, hint = NULL"
        self._change(change, self._home.added(output, size), seconds, source=source)

    def failed(self, source: Address, error: SrcliError) -> None:
        """The source could not be done, and why."""
        with self._safely():
            self._rows.fail(source, error)

    def stopped(self, source: Address) -> None:
        """The source was given up because the run was ended."""
        self._change("status = 'stopped'", source=source)

    def sync(self) -> None:
        """Return when all that was written down so far outlives a kill. Raises OutputError.

        In a folder of this machine it does at once; in a store this is one object for all.
        """
        self._home.sync()

    def row(self, source: Address) -> Row | None:
        """What the journal knows of a source under this run's settings."""
        with self._safely():
            return self._rows.find(source)

    def work_folder(self) -> Path | None:
        """A folder for large things on the way; removed with all that a kill left in it."""
        return self._home.work_folder()

    def close(self) -> None:
        """Give the journal back."""
        self._home.close(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _sweep(self) -> None:
        """Remove what a killed run left half written, and only that: it is named by a row.

        Such a row is then `stopped`, with the size of what lies in its place: if the kill came when
        the result was there, that is still known for srcli's when this run too is ended early.
        """
        with self._safely():
            begun = self._rows.begun()
        self._home.sweep(begun)
        with self._safely():
            for output in begun:
                self._rows.give_up(output, self._home.size(output))

    def _settle_owner(
        self,
        source: Address,
        output: Address,
        content: Content,
        *,
        may_replace: bool,
        overwrite: bool,
    ) -> bool:
        """Whether the output is already this picture's, done under a path it had before.

        What exists is replaced only where a row says that srcli wrote it, from this picture.
        """
        owners = self._rows.owners(output)
        for owner in owners:
            is_moved = owner.sha256 == content.sha256 and not _exists(owner.source)
            if owner.status is not Status.RUNNING and not self._has_size(
                output, owner.output_bytes
            ):
                continue  # gone, or changed by somebody since
            if owner.key[0] == self._rows.key(source)[0] or is_moved:
                may_replace = True
            elif not overwrite:
                raise OutputError(
                    f"{output} is the result of another picture, {owner.source}",
                    hint="choose another --suffix or --output, or use --overwrite",
                )
            is_finished = owner.status is Status.DONE and owner.key[1:] == self._rows.run
            if is_moved and is_finished and not overwrite:
                self._rows.adopt(owner, source, content)
                return True
        if not may_replace:
            was_ours = any(owner.status is Status.DONE for owner in owners)
            what = "was changed since srcli wrote it" if was_ours else "exists already"
            raise OutputError(f"{output} {what}", hint="use --overwrite to replace it")
        self._rows.disown(output, but=source)
        return False

    def _change(self, change: str, *values: str | int | float | None, source: Address) -> None:
        with self._safely():
            self._rows.change(change, *values, source=source)

    def _delete_replaced(self, before: Row) -> None:
        """A changed source may get another name (x3.1, not x2.5): its old result goes."""
        if before.output is not None and self._has_size(before.output, before.output_bytes):
            self._home.delete(before.output)

    def _has_size(self, output: Address, size: int | None) -> bool:
        found = self._home.size(output)
        return found is not None and found == size

    @contextmanager
    def _safely(self) -> Iterator[None]:
        with self._mutex, translated(str(self._home)):
            yield


def results_in(folder: Address) -> frozenset[Address]:
    """The results that a journal in `folder` names, by their real paths; none where there is none.

    Read without the lock. A file that is no journal names nothing.
    """
    home = home_of(folder, read_only=True)
    if not home.exists():
        return frozenset()
    try:
        database = home.open(Lock())
        try:
            # Of another schema nothing is asked: a view can count for ever. What a damaged index
            # says was not looked at, as the rows were.
            outputs = (
                has_schema(database, str(home))
                and database.execute(
                    "SELECT output FROM pictures NOT INDEXED WHERE output IS NOT NULL"
                ).fetchall()
            )
        finally:
            home.close(database)
    except (sqlite3.DatabaseError, UnicodeDecodeError, OutputError):
        return frozenset()  # told when somebody opens it to write
    if not outputs:
        return frozenset()
    outside = (home.outside(output) for (output,) in outputs)
    return frozenset(real_path(each) if isinstance(each, Path) else each for each in outside)


def _exists(source: Address) -> bool:
    if isinstance(source, Path):
        return not is_gone(source)
    return stores.entry_at(source) is not None
