"""A journal's rows in a store: small objects that are only ever added, read in their order.

    OUT/.srcli-journal/0000000001.jsonl     rows as they changed, a JSON object a line
                       0000000002.jsonl     a later row of the same key counts
                       lease.json           who is at work

A row that says `running` is in the store before its output is, because whoever writes the output
waits for `append`. Objects that became many are written again as one, and then removed, the oldest
first: so what a kill leaves says the same.
"""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from threading import Lock
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from srcli.errors import OutputError
from srcli.io import stores
from srcli.io.addresses import Remote

COLUMNS = (
    *("source", "settings", "model", "bytes", "stamp", "sha256", "status", "output"),
    *("output_bytes", "error", "hint", "seconds", "tries", "changed"),
)
KEY = COLUMNS[:3]
MANY_PARTS = 256
PART_ROWS = 20_000  # of an object that replaces others

_PART = re.compile(r"[0-9]{10,18}\.jsonl")

# Columns that are not NULL; or {"gone": key}; or a {"fingerprint": ..., "meaning": ...}.
Row: TypeAlias = dict[str, Any]
Integer: TypeAlias = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]


class _Line(BaseModel):
    model_config = ConfigDict(strict=True)


class _Bytes(_Line):
    base64: str


class _Meaning(_Line):
    fingerprint: str
    meaning: str


class _Gone(_Line):
    gone: Annotated[list[str | _Bytes], Field(min_length=len(KEY), max_length=len(KEY))]


class _Picture(_Line):
    source: str | _Bytes
    settings: str
    model: str
    bytes: Integer | None = None
    stamp: str | None = None
    sha256: str | None = None
    status: Literal["running", "done", "failed", "stopped"]
    output: str | _Bytes | None = None
    output_bytes: Integer | None = None
    error: str | None = None
    hint: str | None = None
    seconds: float | None = None
    tries: Integer
    changed: str


class Log:
    """The objects of one journal."""

    def __init__(self, folder: Remote) -> None:
        self._folder = folder
        self._next = 1
        self._small: list[tuple[Remote, list[Row]]] = []  # of this run, not yet made one

    def exists(self) -> bool:
        return bool(self._parts())

    def load(self, database: sqlite3.Connection, *, compact: bool) -> None:
        """Fill an index. Raises OutputError where an object is damaged."""
        parts = self._parts()
        database.execute("BEGIN")
        for part in parts:
            with _refusing_damage(part):
                for line in stores.read(part).splitlines():
                    _apply(database, _read(line))
        database.execute("COMMIT")
        self._next = int(parts[-1].stem) + 1 if parts else 1
        if compact and len(parts) > MANY_PARTS:
            self._replace(parts, _all_rows(database))

    def append(self, rows: list[Row]) -> None:
        """Add rows; they are in the store when this returns. Raises OutputError."""
        self._small.append((self._write(rows), rows))
        if len(self._small) >= MANY_PARTS:
            latest = {_identity(row): row for _, rows in self._small for row in rows}
            small = [part for part, _ in self._small]
            self._small = []
            self._replace(small, iter(latest.values()))

    def _replace(self, parts: list[Remote], rows: Iterator[Row]) -> None:
        while chunk := list(islice(rows, PART_ROWS)):
            self._write(chunk)
        for part in parts:
            stores.delete(part)

    def _write(self, rows: list[Row]) -> Remote:
        part = self._folder / f"{self._next:010}.jsonl"
        stores.write("".join(f"{json.dumps(row)}\n" for row in rows).encode(), part)
        self._next += 1
        return part

    def _parts(self) -> list[Remote]:
        entries = stores.listing(self._folder, below=False)
        found = (entry.address for entry in entries if _PART.fullmatch(entry.address.name))
        return sorted(found, key=lambda part: int(part.stem))


class Changes:
    """Which rows of an index changed since they were last taken, told by triggers."""

    def __init__(self, database: sqlite3.Connection, mutex: Lock) -> None:
        self._database, self._mutex = database, mutex
        key = ", ".join(KEY)
        database.executescript(
            f"CREATE TEMP TABLE changes ({key});"
            "CREATE TEMP TABLE told (fingerprint PRIMARY KEY);"
            "INSERT INTO told SELECT fingerprint FROM settings;"
            + _trigger("INSERT", "NEW")
            + _trigger("UPDATE", "NEW", "OLD")
            + _trigger("DELETE", "OLD")
        )

    @contextmanager
    def taken(self) -> Iterator[list[Row]]:
        """The rows that changed; they stay changed if the block fails."""
        with self._mutex:
            query = f"SELECT DISTINCT {', '.join(KEY)} FROM changes"
            keys = self._database.execute(query).fetchall()
            new = self._database.execute(
                "SELECT fingerprint, meaning FROM settings"
                " WHERE fingerprint NOT IN (SELECT fingerprint FROM told)"
            ).fetchall()
            rows = [{"fingerprint": name, "meaning": meaning} for name, meaning in new]
            rows += [self._row(key) for key in keys]
            self._database.execute("DELETE FROM changes")
        try:
            yield rows
        except BaseException:
            with self._mutex:
                self._remember(keys)
            raise
        with self._mutex:
            self._database.executemany("INSERT INTO told VALUES (?)", [(name,) for name, _ in new])

    def _remember(self, keys: list[tuple[object, ...]]) -> None:
        statement = f"INSERT INTO changes ({', '.join(KEY)}) VALUES (?, ?, ?)"
        self._database.executemany(statement, keys)

    def _row(self, key: tuple[object, ...]) -> Row:
        where = " AND ".join(f"{name} = ?" for name in KEY)
        query = f"SELECT {', '.join(COLUMNS)} FROM pictures WHERE {where}"
        values = self._database.execute(query, key).fetchone()
        return {"gone": [_coded(each) for each in key]} if values is None else _as_row(values)


def _trigger(event: str, *images: str) -> str:
    # No "OR IGNORE" on unique keys here: the statement that fires it would override that.
    notes = "".join(
        f"INSERT INTO changes ({', '.join(KEY)})"
        f" VALUES ({', '.join(f'{image}.{name}' for name in KEY)});"
        for image in images
    )
    return f"CREATE TEMP TRIGGER after_{event} AFTER {event} ON main.pictures BEGIN {notes} END;"


@contextmanager
def _refusing_damage(part: Remote) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        reason = str(error).partition("\n")[0] if isinstance(error, ValidationError) else str(error)
        raise OutputError(
            f"{part} is damaged: {reason}", hint="delete it: what it tells will be done again"
        ) from None


def _read(line: bytes) -> Row:
    """A line as `append` writes it. Raises ValueError, of pydantic, where it is none."""
    row: Row = from_json(line)
    keys = row if isinstance(row, dict) else ()
    kind = _Meaning if "meaning" in keys else _Gone if "gone" in keys else _Picture
    kind.model_validate(row)
    return row


def _apply(database: sqlite3.Connection, row: Row) -> None:
    if "meaning" in row:
        values = (row["fingerprint"], row["meaning"])
        database.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", values)
    elif "gone" in row:
        where = " AND ".join(f"{name} = ?" for name in KEY)
        database.execute(f"DELETE FROM pictures WHERE {where}", [_decoded(v) for v in row["gone"]])
    else:
        marks = ", ".join("?" * len(COLUMNS))
        statement = f"INSERT OR REPLACE INTO pictures ({', '.join(COLUMNS)}) VALUES ({marks})"
        database.execute(statement, [_decoded(row.get(name)) for name in COLUMNS])


def _all_rows(database: sqlite3.Connection) -> Iterator[Row]:
    for name, meaning in database.execute("SELECT fingerprint, meaning FROM settings").fetchall():
        yield {"fingerprint": name, "meaning": meaning}
    for values in database.execute(f"SELECT {', '.join(COLUMNS)} FROM pictures"):
        yield _as_row(values)


def _as_row(values: tuple[object, ...]) -> Row:
    pairs = zip(COLUMNS, values, strict=True)
    return {name: _coded(value) for name, value in pairs if value is not None}


def _identity(row: Row) -> str:
    key = row.get("gone") or row.get("fingerprint") or [row.get(name) for name in KEY]
    if "meaning" in row:
        key = ["meaning", key]
    return json.dumps(key)


def _coded(value: object) -> object:
    """Bytes, a name that is no text, as JSON can hold them."""
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _decoded(value: Any) -> object:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value
