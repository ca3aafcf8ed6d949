"""The rows of a journal: what stands in one, and the SQL that reads and changes them.

What may be done, and when, is decided in services.journal; it also keeps threads apart.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from srcli.errors import SrcliError
from srcli.io.addresses import Address
from srcli.services.fingerprint import Content, Settings
from srcli.services.journal_file import Text, address_in, plain, text_of
from srcli.services.journal_home import Home, real_path

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

    source: Address
    status: Status
    content: Content
    output: Address | None
    output_bytes: int | None
    error: str | None
    hint: str | None
    tries: int


@dataclass(frozen=True, slots=True)
class Owner:
    """A row that names an output, under any settings and network."""

    key: Key
    status: Status
    sha256: str | None
    output_bytes: int | None

    @property
    def source(self) -> Address:
        return address_in(self.key[0])


class Rows:
    """The rows of one run: one network, one group of settings. Others are met only as owners."""

    def __init__(self, database: sqlite3.Connection, home: Home, run: tuple[str, str]) -> None:
        self._database, self._home, self.run = database, home, run

    def key(self, source: Address) -> Key:
        """Of a source in this run."""
        return text_of(real_path(source) if isinstance(source, Path) else source), *self.run

    def find(self, source: Address) -> Row | None:
        """The row of a source."""
        found = self._database.execute(
            "SELECT source, status, bytes, stamp, sha256, output, output_bytes, error, hint,"
            f" tries FROM pictures WHERE {_KEY}",
            self.key(source),
        ).fetchone()
        if found is None:
            return None
        path, status, size, stamp, digest, output, output_bytes, error, hint, tries = found
        return Row(
            source=address_in(path),
            status=Status(status),
            content=Content(bytes=size, stamp=stamp, sha256=digest),
            output=None if output is None else self._home.outside(output),
            output_bytes=output_bytes,
            error=error,
            hint=hint,
            tries=tries,
        )

    def owners(self, output: Address) -> list[Owner]:
        """All rows that name an output."""
        found = self._database.execute(
            "SELECT source, settings, model, status, sha256, output_bytes FROM pictures"
            " WHERE output = ?",
            (self._home.inside(output),),
        )
        return [Owner((*row[:3],), Status(row[3]), *row[4:]) for row in found]

    def begun(self) -> list[Address]:
        """The outputs of all rows that say `running`."""
        # By the rows, which were looked at; an index may be damaged.
        found = self._database.execute(
            "SELECT output FROM pictures NOT INDEXED"
            " WHERE status = 'running' AND output IS NOT NULL"
        )
        return [self._home.outside(output) for (output,) in found]

    def give_up(self, output: Address, size: int | None) -> None:
        """The rows of an output that say `running` become `stopped`; `size` is what lies there."""
        self._database.execute(
            f"UPDATE pictures SET status = 'stopped', output_bytes = ?, {_NOW}"
            " WHERE status = 'running' AND output = ?",
            (size, self._home.inside(output)),
        )

    def add_settings(self, settings: Settings) -> None:
        """Write down what a fingerprint means."""
        self._database.execute(
            "INSERT OR IGNORE INTO settings VALUES (?, ?)",
            (settings.fingerprint, settings.meaning),
        )

    def begin(self, source: Address, output: Address, content: Content, before: Row | None) -> None:
        """The row becomes `running`; of the one `before` it keeps the count and the size."""
        self._database.execute(
            "INSERT OR REPLACE INTO pictures (source, settings, model, bytes, stamp, sha256,"
            " status, output, output_bytes, tries) VALUES (?, ?, ?, ?, ?, ?, 'running',"
            " ?, ?, ?)",
            (
                *(*self.key(source), content.bytes, content.stamp, content.sha256),
                *(self._home.inside(output), before and before.output_bytes),
                before.tries + 1 if before else 1,
            ),
        )

    def fail(self, source: Address, error: SrcliError) -> None:
        """The row becomes `failed`; its count goes up unless it had begun."""
        self._database.execute(
            "INSERT INTO pictures (source, settings, model, status, error, hint)"
            " VALUES (?, ?, ?, 'failed', ?, ?) ON CONFLICT DO UPDATE SET"
            " tries = tries + (status != 'running'), status = 'failed',"
            f" error = excluded.error, hint = excluded.hint, {_NOW}",
            (*self.key(source), plain(str(error)), plain(error.hint)),
        )

    def change(self, change: str, *values: str | int | float | None, source: Address) -> None:
        """Set columns of the row."""
        self._database.execute(
            f"UPDATE pictures SET {change}, {_NOW} WHERE {_KEY}", (*values, *self.key(source))
        )

    def adopt(self, owner: Owner, source: Address, content: Content) -> None:
        """The owner's row becomes that of `source`."""
        self._database.execute(f"DELETE FROM pictures WHERE {_KEY}", self.key(source))
        self._database.execute(
            f"UPDATE pictures SET source = ?, stamp = ?, {_NOW} WHERE {_KEY}",
            (self.key(source)[0], content.stamp, *owner.key),
        )

    def disown(self, output: Address, *, but: Address) -> None:
        """Remove the rows that name an output, except that of one source."""
        self._database.execute(
            f"DELETE FROM pictures WHERE output = ? AND NOT ({_KEY})",
            (self._home.inside(output), *self.key(but)),
        )
