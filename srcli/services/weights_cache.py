"""What is in the cache: listed, checked, added to, and removed from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import srcli
from srcli.errors import BadWeightsError, SrcliError, UnknownWeightsError, UsageError
from srcli.io.cache import Cache, Record
from srcli.io.catalogue import Entry, Source, WantedFile, catalogue, key
from srcli.io.containers import recognise
from srcli.io.files import expanded
from srcli.io.looks import is_gone
from srcli.io.sources import held_nearby
from srcli.services.weights import (
    OnEvent,
    WeightsFile,
    digests_of,
    ignore,
    local_files,
    obtain,
)
from srcli.services.weights_cost import cost_of
from srcli.services.weights_fetching import joined, remembered
from srcli.services.weights_openmodeldb import is_commercial


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One row of the list; what an imported file is good for, only the user knows."""

    name: str
    role: str
    scale: int | None
    size: int | None  # bytes
    licence: str
    commercial: bool
    purpose: str
    aliases: tuple[str, ...]
    cached: bool
    imported: bool
    speed: str | None = None  # fast, medium or slow; None where the shape is not known
    operations: float | None = None  # of one input pixel
    memory: float | None = None  # GB of activations for an input megapixel at once, in fp16


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """All that is known of one name; `entry` is None for imported weights."""

    row: Listed
    entry: Entry | None
    sources: tuple[str, ...]
    files: tuple[Path, ...]  # in the cache; () if it is not there
    sample: Path | None = None  # a picture that srcli ships of what they make


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What became of one name: the weights or the failure."""

    name: str
    weights: WeightsFile | None = None
    failure: SrcliError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A file of the cache after it was hashed; a damaged one was removed."""

    name: str  # whose file it is; empty if nobody's
    path: Path
    status: Literal["ok", "damaged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Weights that are in the cache now, under this name."""

    name: str
    digest: str
    files: tuple[Path, ...]
    known: bool  # whether the catalogue has these very bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was taken out of the cache, and copies that belong to other programs and stay."""

    name: str
    files: int
    freed: int  # bytes
    elsewhere: tuple[Path, ...]


def list_weights() -> tuple[Listed, ...]:
    """All weights of the catalogue in its order, then the imported ones. Opens no connection."""
    cache = Cache()
    records = cache.records()
    known = (_row(entry, cache, records.get(entry.name)) for entry in catalogue())
    own = (_own_row(record, cache) for record in records.values() if record.is_imported)
    return (*known, *own)


def show_weights(name: str) -> Shown:
    """One entry or imported file in full. Raises UnknownWeightsError."""
    cache = Cache()
    entry, record = _find(name, cache)
    if entry:
        row = _row(entry, cache, record)
        sources = tuple(map(str, entry.sources))
    elif record:
        row, sources = _own_row(record, cache), (record.source,)
    files = next((found for found in _files(entry, record, cache) if found), ())
    if entry and entry.is_shipped:
        files = held_nearby(entry.sources[0]) or files
    return Shown(row=row, entry=entry, sources=sources, files=files, sample=_sample(row.name))


def pull_weights(
    names: Iterable[str],
    *,
    offline: bool | None = None,
    trust: bool = False,
    on_event: OnEvent = ignore,
) -> Iterator[Pulled]:
    """Fetch each name that is not in the cache; one that fails does not stop the others."""
    for name in names:
        try:
            weights = obtain(name, offline=offline, trust=trust, on_event=on_event)
            yield Pulled(name=name, weights=weights)
        except SrcliError as failure:
            yield Pulled(name=name, failure=failure)


def verify_weights() -> Iterator[Verified]:
    """Hash every file in the cache; a damaged one is removed, so that it is fetched again.

    Raises BadWeightsError where one may not be read, OutputError where one cannot be removed.
    """
    cache = Cache()
    owners = _owners(cache)
    for path in cache.blobs():
        name = owners.get(path.stem, "")
        try:
            (digest,) = digests_of((path,))
        except BadWeightsError:
            if is_gone(path):  # another process took it away meanwhile
                continue
            raise
        if digest == path.stem:
            yield Verified(name=name, path=path, status="ok")
        else:
            cache.discard(path)
            yield Verified(name=name, path=path, status="damaged")


def import_weights(path: Path, name: str | None = None) -> Imported:
    """Copy a file, or an ncnn pair by one half, into the cache, to be used by name, also offline.

    A file whose digest the catalogue has becomes that entry's, whatever it is called. Another one
    is found under `name`, by default that of the file, in lower case with hyphens.

    Raises BadWeightsError if it is no file of weights, UsageError if the name is taken.
    """
    files = local_files(path)
    if not files:
        raise UnknownWeightsError(f"no file {path}", hint="check the path")
    recognise(files[0])
    digests = digests_of(files)
    entry, source = catalogue().with_digest(digests) or (None, None)
    cache = Cache()
    if entry and source and (name is None or catalogue().find(name) is entry):
        kept = _copied(files, source.files, cache)
        return Imported(name=entry.name, digest=joined(digests), files=kept, known=True)
    wanted = tuple(
        WantedFile(path=file.name, sha256=digest, size=file.stat().st_size)
        for file, digest in zip(files, digests, strict=True)
    )
    record = _new_record(name or files[0].stem, path, wanted, cache)
    kept = _copied(files, record.files, cache)
    cache.write_record(record)
    return Imported(name=record.name, digest=joined(digests), files=kept, known=False)


def path_of_weights(name: str) -> WeightsFile:
    """The weights if they are on this machine. Raises UnavailableWeightsError if not."""
    return obtain(name, offline=True)


def remove_weights(name: str) -> Removed:
    """Take a name's files out of the cache; files that another name needs stay."""
    cache = Cache()
    entry, record = _find(name, cache)
    ours = entry.name if entry else record.name if record else name
    others = {file.sha256 for other in _claims(cache) if other[0] != ours for file in other[1]}
    found = [file for files in _wanted(entry, record) for file in files if cache.holds(file)]
    unshared = [file for file in found if file.sha256 not in others]
    freed = sum(map(cache.remove, unshared))
    if record:
        cache.remove_record(record.name)
    nearby = [held_nearby(source) or () for source in entry.sources] if entry else []
    elsewhere = tuple(dict.fromkeys(path for paths in nearby for path in paths))
    return Removed(name=ours, files=len(unshared), freed=freed, elsewhere=elsewhere)


def _find(name: str, cache: Cache) -> tuple[Entry | None, Record | None]:
    records = cache.records()
    if entry := catalogue().find(name):
        return entry, records.get(entry.name)
    for record in records.values():
        if key(record.name) == key(name):
            return None, record
    raise catalogue().unknown(name, tuple(records))


def _copied(
    files: tuple[Path, ...], wanted: tuple[WantedFile, ...], cache: Cache
) -> tuple[Path, ...]:
    pairs = zip(files, wanted, strict=True)
    return tuple(cache.keep(path, file, may_share=False) for path, file in pairs)


def _new_record(name: str, path: Path, wanted: tuple[WantedFile, ...], cache: Cache) -> Record:
    source = str(expanded(path).absolute())
    if entry := catalogue().find(name):
        blind = _blind_source(entry)
        if not blind:
            message = f"{entry.name} is a name of the catalogue, and this file has another digest"
            raise UsageError(message, hint="choose another name with --name")
        if len(blind.files) != len(wanted):
            raise UsageError(f"{entry.name} is one file", hint="choose another name with --name")
        named = zip(wanted, blind.files, strict=True)
        files = tuple(file.model_copy(update={"path": known.path}) for file, known in named)
        return Record(name=entry.name, source=str(blind), files=files, is_imported=False)
    plain = re.sub(r"[^a-z0-9.+]+", "-", name.lower()).strip("-.")
    if not plain:
        raise UsageError(f"{name!r} is no name", hint="use letters, digits and hyphens")
    for other in cache.records().values():
        if key(other.name) == key(plain) and other.files != wanted:
            message = f"{other.name} was imported before from another file"
            raise UsageError(message, hint=f"choose another name, or remove {other.name} first")
    return Record(name=plain, source=source, files=wanted, is_imported=True)


def _blind_source(entry: Entry) -> Source | None:
    """The first source without a digest, if no source of the entry has one."""
    if any(file.sha256 for source in entry.sources for file in source.files):
        return None
    return entry.sources[0]


def _row(entry: Entry, cache: Cache, record: Record | None) -> Listed:
    cost = cost_of(entry)
    return Listed(
        name=entry.name,
        role=entry.role,
        scale=entry.scale,
        size=entry.size,
        licence=entry.licence,
        commercial=entry.commercial,
        purpose=entry.purpose,
        aliases=entry.aliases,
        cached=entry.is_shipped or any(_files(entry, record, cache)),
        imported=False,
        speed=str(cost.speed) if cost else None,
        operations=cost.operations if cost else None,
        memory=cost.gigabytes() if cost else None,
    )


def _sample(name: str) -> Path | None:
    path = Path(srcli.__file__).parent / "samples" / f"{name}.webp"
    return path if path.is_file() else None


def _own_row(record: Record, cache: Cache) -> Listed:
    return Listed(
        name=record.name,
        role="unknown",
        scale=record.scale,
        size=sum(file.size or 0 for file in record.files),
        licence=record.licence or "unknown",
        commercial=is_commercial(record.licence),
        purpose=record.purpose or "imported",
        aliases=(),
        cached=any(_files(None, record, cache)),
        imported=True,
    )


def _wanted(entry: Entry | None, record: Record | None) -> Iterator[tuple[WantedFile, ...]]:
    if record and record.taken_from:
        yield record.files
    if entry:
        yield from (remembered(source, record).files for source in entry.sources)
    elif record:
        yield record.files


def _files(entry: Entry | None, record: Record | None, cache: Cache) -> Iterator[tuple[Path, ...]]:
    for files in _wanted(entry, record):
        yield tuple(map(cache.blob, files)) if all(map(cache.holds, files)) else ()


def _claims(cache: Cache) -> Iterator[tuple[str, tuple[WantedFile, ...]]]:
    for entry in catalogue():
        yield from ((entry.name, source.files) for source in entry.sources)
    yield from ((record.name, record.files) for record in cache.records().values())


def _owners(cache: Cache) -> dict[str, str]:
    return {file.sha256 or "": name for name, files in _claims(cache) for file in files}
