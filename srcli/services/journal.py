"""What became of each picture of a folder, so that a second run goes on where the first ended.

One SQLite file lies in the folder of the results. A row is one source under one group of settings
and one network:

    (no row) --begin--> running --done--> done       the output is whole and in its place
                           |------failed--> failed   with the reason; tried again next time
                           `------stopped-> stopped  given up when the run was ended

A row is `running` on the disk before its output can appear, and the output is whole before the
row is `done`. So whenever the process is killed, every output in the folder has a row that names
it, and a row that says `done` has its output. docs/reference/journal.md has the columns.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self, TypeAlias

from filelock import FileLock

from srcli.errors import OutputError, SrcliError
from srcli.io.files import output_errors
from srcli.services.fingerprint import Content, Settings, content_of, quick_content_of
from srcli.services.journal_file import (
    JOURNAL_NAME,
    WORK_NAME,
    Text,
    open_database,
    open_read_only,
    partials_of,
    plain,
    take_lock,
    to_path,
    to_text,
    translated,
)

_KEY = "source = ? AND settings = ? AND model = ?"
_NOW = "changed = strftime('%Y-%m-%dT%H:%M:%fZ')"

Key: TypeAlias = tuple[Text, str, str]  # source, settings, model


class Status(StrEnum):
    """How a picture of the journal stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One picture as the journal knows it."""

    source: Path
    status: Status
    content: Content
    output: Path | None
    output_bytes: int | None
    error: str | None
    hint: str | None
    tries: int


class Journal:
    """The journal of one folder, for one run: one network, one group of settings.

    Several threads may use it. While it is open no other process can open it.
    """

    _lock: FileLock | None  # None: only looked at

    def __init__(self, folder: Path, settings: Settings, model: str) -> None:
        """Open or make the journal in `folder`, which exists.

        Raises OutputError where another process holds it, where it is damaged or made by another
        version, or where the folder cannot be written; DiskFullError where the disk is full.
        """
        self._lock = take_lock(folder)
        try:
            with translated(folder / JOURNAL_NAME):
                database = open_database(folder / JOURNAL_NAME)
                database.execute(
                    "INSERT OR IGNORE INTO settings VALUES (?, ?)",
                    (settings.fingerprint, settings.meaning),
                )
            self._prepare(folder, settings, model, database)
            self._sweep()
        except BaseException:
            self._lock.release()
            raise

    @classmethod
    def peek(cls, folder: Path, settings: Settings, model: str) -> Self | None:
        """An existing journal to look at, without the lock; None where there is none."""
        path = folder / JOURNAL_NAME
        if not path.is_file():
            return None
        journal = cls.__new__(cls)
        journal._lock = None
        with translated(path):
            journal._prepare(folder, settings, model, open_read_only(path))
        return journal

    def _prepare(
        self, folder: Path, settings: Settings, model: str, database: sqlite3.Connection
    ) -> None:
        self.folder = folder
        self._path = folder / JOURNAL_NAME
        self._root = Path(os.path.realpath(folder))
        self._run = (settings.fingerprint, model)
        self._database = database
        self._mutex = Lock()

    def finished(self, source: Path) -> Path | None:
        """The output of a source that is done, unchanged, and still there; else None."""
        row = self.row(source)
        if row is None or row.status is not Status.DONE or row.output is None:
            return None
        if not _has_size(row.output, row.output_bytes):
            return None
        now = quick_content_of(source)
        if now.same_file(row.content):
            return row.output
        if now.bytes != row.content.bytes or content_of(source).sha256 != row.content.sha256:
            return None
        if self._lock is not None:
            self._change("stamp = ?", now.stamp, source=source)
        return row.output

    def begin(self, source: Path, output: Path, *, overwrite: bool) -> Path | None:
        """Write down that `source` is about to become `output`.

        When the same picture became that output under another path, and is not there any more,
        the row moves with it and the finished output is returned: nothing is left to do.

        Raises OutputError where the output belongs to another picture, or to nobody and
        `overwrite` is not set.
        """
        content = content_of(source)
        with self._mutex, translated(self._path), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            if self._settle_owner(source, output, content, overwrite=overwrite):
                return output
            before = self._before(source)
            if before is not None and before.output != output:
                _delete_replaced(before)
                before = replace(before, output_bytes=None)
            self._database.execute(
                "INSERT OR REPLACE INTO pictures (source, settings, model, bytes, stamp, sha256,"
                " status, output, output_bytes, tries) VALUES (?, ?, ?, ?, ?, ?, 'running',"
                " ?, ?, ?)",
                (
                    *(*self._key(source), content.bytes, content.stamp, content.sha256),
                    *(self._inside(output), before and before.output_bytes),
                    before.tries + 1 if before else 1,
                ),
            )
        return None

    def done(self, source: Path, output: Path, seconds: float) -> None:
        """The output is whole and in its place."""
        change = "status = 'done', output_bytes = ?, seconds = ?, error = NULL, hint = NULL"
        self._change(change, output.stat().st_size, seconds, source=source)

    def failed(self, source: Path, error: SrcliError) -> None:
        """The source could not be done, and why."""
        with self._mutex, translated(self._path):
            self._database.execute(
                "INSERT INTO pictures (source, settings, model, status, error, hint)"
                " VALUES (?, ?, ?, 'failed', ?, ?) ON CONFLICT DO UPDATE SET"
                " tries = tries + (status != 'running'), status = 'failed',"
                f" error = excluded.error, hint = excluded.hint, {_NOW}",
                (*self._key(source), plain(str(error)), plain(error.hint)),
            )

    def stopped(self, source: Path) -> None:
        """The source was given up because the run was ended."""
        self._change("status = 'stopped'", source=source)

    def row(self, source: Path) -> Row | None:
        """What the journal knows of a source under this run's settings."""
        with self._mutex, translated(self._path):
            return self._before(source)

    def work_folder(self) -> Path:
        """A folder for large things on the way; removed with all that a kill left in it."""
        folder = self.folder / WORK_NAME
        with output_errors(folder):
            folder.mkdir(exist_ok=True)
        return folder

    def close(self) -> None:
        """Give the journal back."""
        with self._mutex:
            if self._lock is not None:
                shutil.rmtree(self.folder / WORK_NAME, ignore_errors=True)
            self._database.close()
            if self._lock is not None:
                self._lock.release()

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
        """Remove what a killed run left half written, and only that: it is named by a row."""
        with self._mutex, translated(self._path):
            left = self._database.execute(
                "SELECT output FROM pictures WHERE status = 'running' AND output IS NOT NULL"
            ).fetchall()
        shutil.rmtree(self.folder / WORK_NAME, ignore_errors=True)
        for (output,) in left:
            for partial in partials_of(self.folder / to_path(output)):
                partial.unlink(missing_ok=True)

    def _settle_owner(
        self, source: Path, output: Path, content: Content, *, overwrite: bool
    ) -> bool:
        """Whether the output is already this picture's, done under a path it had before.

        What exists is replaced only where a row says that srcli wrote it, from this picture.
        """
        owners = self._database.execute(
            "SELECT source, settings, model, status, sha256, output_bytes FROM pictures"
            " WHERE output = ?",
            (self._inside(output),),
        ).fetchall()
        key = self._key(source)
        may_replace = overwrite or not output.exists()
        for path, settings, model, status, digest, size in owners:
            is_moved = digest == content.sha256 and not to_path(path).exists()
            if status != Status.RUNNING and not _has_size(output, size):
                continue  # gone, or changed by somebody since
            if path == key[0] or is_moved:
                may_replace = True
            elif not overwrite:
                raise OutputError(
                    f"{output} is the result of another picture, {to_path(path)}",
                    hint="choose another --suffix or --output, or use --overwrite",
                )
            if is_moved and (settings, model, status) == (*self._run, Status.DONE):
                self._adopt((path, settings, model), source, content)
                return True
        if not may_replace:
            was_ours = any(owner[3] == Status.DONE for owner in owners)
            what = "was changed since srcli wrote it" if was_ours else "exists already"
            raise OutputError(f"{output} {what}", hint="use --overwrite to replace it")
        self._database.execute(
            f"DELETE FROM pictures WHERE output = ? AND NOT ({_KEY})", (self._inside(output), *key)
        )
        return False

    def _adopt(self, before: Key, source: Path, content: Content) -> None:
        self._database.execute(f"DELETE FROM pictures WHERE {_KEY}", self._key(source))
        self._database.execute(
            f"UPDATE pictures SET source = ?, stamp = ?, {_NOW} WHERE {_KEY}",
            (self._key(source)[0], content.stamp, *before),
        )

    def _before(self, source: Path) -> Row | None:
        found = self._database.execute(
            "SELECT source, status, bytes, stamp, sha256, output, output_bytes, error, hint,"
            f" tries FROM pictures WHERE {_KEY}",
            self._key(source),
        ).fetchone()
        if found is None:
            return None
        path, status, size, stamp, digest, output, output_bytes, error, hint, tries = found
        return Row(
            source=to_path(path),
            status=Status(status),
            content=Content(bytes=size, stamp=stamp, sha256=digest),
            output=None if output is None else self.folder / to_path(output),
            output_bytes=output_bytes,
            error=error,
            hint=hint,
            tries=tries,
        )

    def _change(self, change: str, *values: str | int | float | None, source: Path) -> None:
        with self._mutex, translated(self._path):
            self._database.execute(
                f"UPDATE pictures SET {change}, {_NOW} WHERE {_KEY}", (*values, *self._key(source))
            )

    def _key(self, source: Path) -> Key:
        return to_text(_real(source)), *self._run

    def _inside(self, output: Path) -> Text:
        """An output as it lies below the journal's folder, so that the folder can move."""
        real = _real(output)
        return to_text(real.relative_to(self._root) if real.is_relative_to(self._root) else real)


def results_in(folder: Path) -> frozenset[Path]:
    """The real paths of all results that a journal in `folder` names; none where there is none.

    Read without the lock. A file that is no journal names nothing.
    """
    path = folder / JOURNAL_NAME
    if not path.is_file():
        return frozenset()
    try:
        with closing(open_read_only(path)) as database:
            outputs = database.execute(
                "SELECT output FROM pictures WHERE output IS NOT NULL"
            ).fetchall()
    except sqlite3.DatabaseError:  # told when somebody opens it to write
        return frozenset()
    root = Path(os.path.realpath(folder))
    return frozenset(root / to_path(output) for (output,) in outputs)


def _real(path: Path) -> Path:
    """The path without links above it; a link itself keeps its name."""
    return Path(os.path.realpath(path.parent), path.name)


def _delete_replaced(before: Row) -> None:
    """A changed source may get another name (x3.1, not x2.5): its old result goes."""
    if before.output is not None and _has_size(before.output, before.output_bytes):
        before.output.unlink(missing_ok=True)


def _has_size(path: Path, size: int | None) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
