"""A list of pictures in a file: text with an address on each line, or a column of Parquet.

Addresses are paths or addresses of stores. A path that is not absolute lies below the folder of
the list, wherever the list itself is. In text, blank lines and lines that begin with # say nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO

from srcli.errors import ImageError, SrcliError, UsageError
from srcli.io.addresses import Address, Remote, address_of, is_remote
from srcli.io.looks import is_folder
from srcli.services.depot import Depot
from srcli.services.folder import Found

if TYPE_CHECKING:
    from pyarrow import Array

SUFFIXES = (".txt", ".parquet")
COLUMNS = ("address", "url", "path")  # of Parquet: the first of these, or the only one of text


_MOST_ENTRIES = 10_000_000
_LONGEST_BYTES = 1 << 16  # of an address
_BATCH_ROWS = 1024


def is_manifest(address: Address) -> bool:
    """Whether a name is that of a list, not of a picture; a folder may be called as it likes."""
    is_named_so = address.suffix.lower() in SUFFIXES
    return is_named_so and not (isinstance(address, Path) and is_folder(address))


def read_manifest(manifest: Address) -> list[Found]:
    """The pictures of a list in its order, each found below what those of its store share.

    Raises ImageError where the list cannot be read or a line of it is no address.
    """
    with Depot() as depot:
        file = depot.slot().fetch(manifest)
        try:
            with file.open("rb") as opened:
                lines = _parquet if manifest.suffix.lower() == ".parquet" else _text
                addresses = list(_addresses(manifest, lines(manifest, opened)))
        except OSError as error:
            raise ImageError(
                f"{manifest} cannot be read: {error.strerror}", hint="check that it is there"
            ) from None
    addresses = _comparable(addresses)
    roots = _roots(addresses)
    return [Found(address, roots[_store_of(address)]) for address in addresses]


def _text(manifest: Address, file: BinaryIO) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
        except UnicodeDecodeError:
            raise ImageError(
                f"{manifest}, line {number}: not UTF-8", hint="save the list as UTF-8"
            ) from None
        if text.strip() and not text.startswith("#"):
            yield text


def _parquet(manifest: Address, file: BinaryIO) -> Iterator[str]:
    try:
        from pyarrow import ArrowException, types
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UsageError(
            f"{manifest}: Parquet needs a package that is not installed",
            hint="pip install 'srcli[parquet]'",
        ) from None
    try:
        named = ParquetFile(file).schema_arrow
        column = _column(
            manifest,
            [
                field.name
                for field in named
                if types.is_string(field.type) or types.is_large_string(field.type)
            ],
        )
        # A text that is stored once for many rows is kept once, and no row can make it many.
        table = ParquetFile(file, read_dictionary=[column])
        for batch in table.iter_batches(columns=[column], batch_size=_BATCH_ROWS):
            _check_texts(manifest, batch.column(0))
            yield from (text for text in batch.column(0).unique().to_pylist() if text)
    except (ArrowException, UnicodeDecodeError) as error:
        reason = "".join(each if each.isprintable() else " " for each in str(error))
        raise ImageError(
            f"{manifest} cannot be read as Parquet: {reason}", hint="write the list again"
        ) from None


def _check_texts(manifest: Address, column: Array) -> None:
    from pyarrow import compute

    texts = getattr(column, "dictionary", column)
    longest = compute.max(compute.binary_length(texts)).as_py() or 0
    if longest > _LONGEST_BYTES:
        raise ImageError(
            f"{manifest} holds an address of {longest:,} bytes", hint="write the list again"
        )


def _column(manifest: Address, names: list[str]) -> str:
    known = [name for name in COLUMNS if name in names] or (names if len(names) == 1 else [])
    if not known:
        raise ImageError(
            f"{manifest} has no column of addresses", hint=f"call it {' or '.join(COLUMNS)}"
        )
    return known[0]


def _addresses(manifest: Address, lines: Iterable[str]) -> Iterator[Address]:
    seen: set[str] = set()
    for number, text in enumerate(lines, 1):
        if number > _MOST_ENTRIES:
            raise ImageError(
                f"{manifest} has more than {_MOST_ENTRIES:,} entries",
                hint="cut it into several lists",
            )
        if text in seen:  # a file that repeats itself packs to nothing
            continue
        seen.add(text)
        is_below = not is_remote(text) and not text.startswith("file:")
        try:
            yield _below(manifest, text) if is_below else address_of(text)
        except SrcliError as error:
            raise ImageError(f"{manifest}, entry {number}: {error}", hint=error.hint) from None


def _below(manifest: Address, text: str) -> Address:
    folder = manifest.parent
    return folder / text if isinstance(folder, Remote) else address_of(folder / text)


def _comparable(addresses: list[Address]) -> list[Address]:
    """The addresses; paths of one kind, so that one folder can be above all: else absolute ones."""
    paths = [each for each in addresses if isinstance(each, Path)]
    kinds = {path.anchor for path in paths}
    if len(kinds) < 2 and not any(".." in path.parts for path in paths):
        return addresses
    return [_absolute(each) if isinstance(each, Path) else each for each in addresses]


def _absolute(path: Path) -> Path:
    """Without links and `..` above it; a link itself keeps its name."""
    return Path(os.path.realpath(path.parent), path.name)


def _store_of(address: Address) -> str:
    """What tells two stores apart: a scheme, on the web a host, else a bucket; here a drive."""
    if isinstance(address, PurePath):
        return address.drive
    return f"{address.scheme}://{address.key.partition('/')[0]}"


def _roots(addresses: Iterable[Address]) -> dict[str, Address]:
    """The folder that all addresses of a store have in common."""
    shared: dict[str, list[str]] = {}
    for address in addresses:
        store = _store_of(address)
        parts = list(address.parent.parts)
        before = shared.setdefault(store, parts)
        same = os.path.commonprefix([before, parts])
        shared[store] = list(same)
    return {store: _joined(store, parts) for store, parts in shared.items()}


def _joined(store: str, parts: list[str]) -> Address:
    if "://" not in store:
        return Path(*parts)
    return Remote(store.partition("://")[0], "/".join(parts[1:]))
