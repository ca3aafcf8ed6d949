"""The journal as a file: its schema, its lock, its errors, and paths as SQLite keeps them."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TypeAlias

from filelock import FileLock, Timeout

from srcli.errors import DiskFullError, OutputError
from srcli.io.addresses import Address, address_of, is_remote
from srcli.io.files import full, refused, takes_no_file

JOURNAL_NAME = ".srcli-journal.sqlite"
LOCK_NAME = ".srcli-journal.lock"
WORK_NAME = ".srcli-work"
SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE settings (fingerprint TEXT PRIMARY KEY, meaning TEXT NOT NULL);
CREATE TABLE pictures (
    source, settings TEXT REFERENCES settings, model TEXT,
    bytes INTEGER, stamp TEXT, sha256 TEXT,
    status TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed', 'stopped')),
    output, output_bytes INTEGER,
    error TEXT, hint TEXT, seconds REAL,
    tries INTEGER NOT NULL DEFAULT 1,
    changed TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    PRIMARY KEY (source, settings, model)
);
CREATE INDEX pictures_by_output ON pictures (output);
"""
# What no run has written: SQLite keeps any kind of value in any column, whatever its type.
_IMPOSSIBLE = """
SELECT 1 FROM pictures WHERE status NOT IN ('running', 'done', 'failed', 'stopped')
    OR typeof(source) NOT IN ('text', 'blob') OR typeof(output) NOT IN ('text', 'blob', 'null')
    OR instr(CAST(source AS BLOB), x'00') OR instr(CAST(output AS BLOB), x'00')
    OR typeof(settings) != 'text' OR typeof(model) != 'text'
    OR typeof(status) != 'text' OR typeof(tries) != 'integer'
    OR typeof(bytes) NOT IN ('integer', 'null') OR typeof(output_bytes) NOT IN ('integer', 'null')
    OR typeof(stamp) NOT IN ('text', 'null') OR typeof(sha256) NOT IN ('text', 'null')
    OR typeof(error) NOT IN ('text', 'null') OR typeof(hint) NOT IN ('text', 'null') LIMIT 1
"""
Text: TypeAlias = str | bytes  # a path as SQLite keeps it: bytes where it is no UTF-8


def take_lock(folder: Path) -> FileLock:
    """Keep other processes out of the folder's journal. Raises OutputError where one is in."""
    lock = FileLock(folder / LOCK_NAME, thread_local=False)  # taken and given back by any thread
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(
            f"another srcli is at work on {folder}",
            hint="wait until it is done, or choose another folder with --output",
        ) from None
    except OSError as error:
        hint = "choose another folder with --output, or use --no-journal"
        raise refused(folder, "cannot be written", error, hint=hint) from None
    return lock


def open_read_only(path: Path) -> sqlite3.Connection:
    """An existing journal, to look at.

    SQLite itself wants to write beside one, unless it is told that nobody writes there: then a log
    that a killed run left is not read.
    """
    is_writable = os.access(path.parent, os.W_OK)
    address = f"{path.absolute().as_uri()}?{'mode=ro' if is_writable else 'immutable=1'}"
    database = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None)
    database.text_factory = _decoded
    return database


def open_database(path: Path, *, is_index: bool = False) -> sqlite3.Connection:
    """The journal at `path`, made if need be.

    Raises OutputError where its schema is another, DiskFullError where there is no room for it.

    An index is made anew by each run, so it need not outlive anything.
    """
    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    database.text_factory = _decoded
    try:
        database.execute(f"PRAGMA journal_mode = {'MEMORY' if is_index else 'WAL'}")
        # A row must outlive a power cut, too.
        database.execute(f"PRAGMA synchronous = {'OFF' if is_index else 'FULL'}")
        if not has_schema(database, path):
            database.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")
    except BaseException as error:
        database.close()
        is_full = isinstance(error, sqlite3.OperationalError) and takes_no_file(path.parent)
        _remove_empty_log(path)  # which makes room for a file
        if is_full:
            raise full(path) from error
        raise
    return database


def _remove_empty_log(path: Path) -> None:
    """SQLite leaves its log beside a journal that it could not open; with no byte in it, no row."""
    log = path.with_name(f"{path.name}-wal")
    with suppress(OSError):
        if log.stat().st_size == 0:
            log.unlink()


def has_schema(database: sqlite3.Connection, path: Path | str) -> bool:
    """Whether the journal was made to its end. Raises OutputError where its schema is another.

    Raises sqlite3.DatabaseError, to be translated, where a row is none that srcli writes.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in (0, SCHEMA_VERSION):
        raise OutputError(
            f"{path} was made by another version of srcli (schema {version})",
            hint="use that version, or --no-journal, or move the journal away",
        )
    if version:
        _check_rows(database)
    return bool(version)


def _check_rows(database: sqlite3.Connection) -> None:
    """A wound that SQLite does not see: in the text of the schema, or in the kind of a value."""
    made = frozenset(database.execute(_MADE_OF).fetchall())
    if made != _made_of_schema() or database.execute(_IMPOSSIBLE).fetchone():
        damage = sqlite3.DatabaseError("it holds what srcli does not write")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage


_MADE_OF = "SELECT type, name, tbl_name, sql FROM sqlite_master"


@cache
def _made_of_schema() -> frozenset[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(_SCHEMA)
        return frozenset(database.execute(_MADE_OF).fetchall())


def _decoded(text: bytes) -> str:
    """A damaged text is another text; it is no reason to stop."""
    return text.decode("utf-8", "replace")


@contextmanager
def translated(path: Path | str) -> Iterator[None]:
    """What SQLite says about the file, in our words. A mistake in our SQL stays a bug."""
    try:
        yield
    except UnicodeDecodeError as error:  # Python's, where SQLite quotes what is in a damaged file
        raise _damaged(path, "its schema cannot be read") from error
    except sqlite3.DatabaseError as error:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if primary == sqlite3.SQLITE_FULL:
            raise DiskFullError(
                f"no space left to write {path}", hint="free some space, then run it again"
            ) from error
        is_of_no_format = "unsupported file format" in str(error)  # SQLite has no code for it
        if primary in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT) or is_of_no_format:
            raise _damaged(path, str(error)) from error
        if primary in (
            *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR),
            *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY),
        ):
            if takes_no_file(Path(path).parent):
                raise full(Path(path)) from error
            raise OutputError(
                f"{path} cannot be written: {error}", hint="choose another --output folder"
            ) from error
        raise


def _damaged(path: Path | str, reason: str) -> OutputError:
    hint = "delete it; --overwrite then does again what is done"
    told = "".join(each if each.isprintable() else " " for each in reason)  # it quotes the file
    return OutputError(f"{path} is damaged: {told}", hint=hint)


def partials_of(output: Path) -> list[Path]:
    """What `io.files.replacing` left beside `output` when its process was killed."""
    stem, suffix = re.escape(output.stem[:40]), re.escape(output.suffix)
    name = re.compile(rf"\.{stem}\.[0-9a-f]{{8}}\.partial{suffix}")
    with suppress(OSError):  # gone since, or no longer ours to look at
        return [path for path in output.parent.iterdir() if name.fullmatch(path.name)]
    return []


def to_text(path: Path) -> Text:
    """A path as SQLite keeps it.

    >>> to_text(Path("a/é.png")), to_path(to_text(Path("a")))
    ('a/é.png', PosixPath('a'))
    """
    text = path.as_posix()
    return text if is_text(text) else os.fsencode(text)


def to_path(text: Text) -> Path:
    """The path that `to_text` made a value of."""
    return Path(os.fsdecode(text))


def text_of(address: Address) -> Text:
    """A path or the address of a store as SQLite keeps it."""
    return to_text(address) if isinstance(address, Path) else str(address)


def address_in(text: Text) -> Address:
    """What `text_of` made a value of."""
    return address_of(text) if isinstance(text, str) and is_remote(text) else to_path(text)


def is_text(text: str) -> bool:
    """Whether a name is text, not bytes of some other encoding in disguise."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def plain(text: str) -> str:
    """Text that can be encoded, whatever file names are in it."""
    return text.encode(errors="backslashreplace").decode()
