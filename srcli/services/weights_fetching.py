"""Weights of the catalogue: from the cache, from nearby, or from the first source that can."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from srcli.errors import BadWeightsError, DiskFullError, OutputError, UnavailableWeightsError
from srcli.io.cache import Cache, Record
from srcli.io.catalogue import Entry, ShippedSource, Source, WantedFile, pinned
from srcli.io.sources import Hosts, SourceError, fetch, forget_nearby, held_nearby
from srcli.io.sources.check import measured
from srcli.io.sources.network import HostDownError
from srcli.services.weights_part import cut

BLIND = "nobody recorded its digest, so it needs --trust"


@dataclass(frozen=True, slots=True)
class SourceFailed:
    """A source did not give the weights; the next one is tried."""

    name: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Downloading:
    """Bytes that have arrived from a source, of how many where that is known."""

    name: str
    source: str
    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class LicenceNotice:
    """The licence forbids commercial use; told once for each name."""

    name: str
    licence: str
    homepage: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Another process is fetching the same weights."""

    name: str


@dataclass(frozen=True, slots=True)
class CacheDamaged:
    """A file in the cache was not what it should be, and was removed."""

    name: str
    path: Path


Event: TypeAlias = SourceFailed | Downloading | LicenceNotice | Waiting | CacheDamaged
OnEvent: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """Weights on this machine: one file, or the .param and .bin of an ncnn network."""

    name: str
    files: tuple[Path, ...]
    entry: Entry | None  # what the catalogue says, if it knows these very bytes
    digest: str  # sha256 of the file; for a pair, of the two hexadecimal digests joined
    source: str
    licence: str = ""  # as whoever gave them stated it, where the catalogue does not know them


def ignore(event: Event) -> None:
    """Let the event pass."""


def joined(digests: tuple[str, ...]) -> str:
    """One digest for one or two files."""
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )


def from_catalogue(
    entry: Entry, cache: Cache, is_cut_off: bool, trust: bool, on_event: OnEvent
) -> WeightsFile:
    """The weights of an entry, fetched if need be; of some only the part that is of use."""
    if part := held_part(entry, cache, on_event):
        return part
    weights = _whole(entry, cache, is_cut_off, trust, on_event)
    if not entry.keep:
        return weights
    try:
        with turn(entry.name, cache, on_event):
            return held_part(entry, cache, on_event) or take_part(entry, weights, cache)
    except OutputError:  # a cache that cannot be written: the whole file serves as well
        return weights


def _whole(
    entry: Entry, cache: Cache, is_cut_off: bool, trust: bool, on_event: OnEvent
) -> WeightsFile:
    weights = held(entry, cache, on_event)
    if not weights and is_cut_off:
        message = f"{entry.name} is not on this machine, and no connection may be opened"
        hint = f"run `srcli weights pull {entry.name}` while online, or `srcli weights import FILE`"
        if entry.role == "upscaler":
            hint += "; -m swift needs neither"
        raise UnavailableWeightsError(message, hint=hint)
    if not weights:
        with turn(entry.name, cache, on_event):
            # Whoever held the lock before may have fetched just this.
            weights = held(entry, cache, on_event) or _fetch(entry, cache, trust, on_event)
    announce(entry, cache, on_event)
    return weights


def held(entry: Entry, cache: Cache, on_event: OnEvent = ignore) -> WeightsFile | None:
    """The weights of an entry without any connection: from the cache, or from nearby into it."""
    record = cache.records().get(entry.name)
    sources = [remembered(source, record) for source in entry.sources]
    for source in sources:
        if files := _cached(source, cache, entry.name, on_event):
            return _weights(entry, source, files)
    for source in sources:
        if files := _adopted(source, cache):
            return _weights(entry, source, files)
    return None


def held_part(entry: Entry, cache: Cache, on_event: OnEvent = ignore) -> WeightsFile | None:
    """What was kept of the entry's file, without any connection; None if there is nothing."""
    record = cache.records().get(entry.name) if entry.keep else None
    if not (record and record.taken_from):
        return None
    files = _found(record.files, cache, entry.name, on_event)
    if not files:
        return None
    digest = joined(tuple(file.sha256 or "" for file in record.files))
    return WeightsFile(
        name=entry.name, files=files, entry=entry, digest=digest, source=record.source
    )


def take_part(entry: Entry, weights: WeightsFile, cache: Cache) -> WeightsFile:
    """Keep the part that is of use, and free the cache of the whole file; others' copies stay.

    Under the lock of the entry. Raises BadWeightsError where the file has no such part.
    """
    partial = cache.partial(f"{entry.name}.safetensors")
    part = cut(weights.files[0], partial, prefix=entry.keep, origin=weights.digest)
    path = cache.keep(partial, part)
    record = Record(
        name=entry.name,
        source=weights.source,
        files=(part,),
        is_imported=False,
        taken_from=weights.digest,
    )
    cache.write_record(record)  # first: a kill in between only leaves the whole file behind
    for file in set(weights.files) & set(cache.blobs()):
        cache.discard(file)
    return WeightsFile(
        name=entry.name,
        files=(path,),
        entry=entry,
        digest=part.sha256 or "",
        source=weights.source,
    )


def _fetch(entry: Entry, cache: Cache, trust: bool, on_event: OnEvent) -> WeightsFile:
    hosts, reasons = Hosts(), list[str]()
    record = cache.records().get(entry.name)
    for known in entry.sources:
        source = remembered(known, record)
        is_blind = any(file.sha256 is None for file in source.files)
        was_nearby = held_nearby(source) is not None
        try:
            if is_blind and not trust:
                raise SourceError(BLIND)
            on_progress = partial(report, on_event, entry.name, str(source))
            gained = fetch(source, cache, hosts, on_progress)
        except SourceError as error:
            if not (isinstance(error, HostDownError) and str(error) in reasons):  # named before
                on_event(SourceFailed(entry.name, str(source), str(error)))
            reasons.append(str(error))
            continue
        files = tuple(cache.keep(path, wanted) for path, wanted in gained)
        if entry.keep and not was_nearby:
            forget_nearby(source)
        source = pinned(source, tuple(wanted for _, wanted in gained))
        if is_blind and not entry.keep:
            cache.write_record(
                Record(name=entry.name, source=str(source), files=source.files, is_imported=False)
            )
        return _weights(entry, source, files)
    message = f"no source gave {entry.name}: {'; '.join(dict.fromkeys(reasons))}"
    raise UnavailableWeightsError(message, hint=_remedy(entry, reasons))


def _remedy(entry: Entry, reasons: list[str]) -> str:
    if set(reasons) == {BLIND}:
        return "pass --trust to accept what the source gives, unseen"
    return f"check the connection, or get it from {entry.homepage} and `srcli weights import` it"


@contextmanager
def turn(name: str, cache: Cache, on_event: OnEvent) -> Iterator[None]:
    """Hold the lock of a name, and say so if that means to wait."""
    with cache.locked(name, is_patient=False) as is_ours:
        if is_ours:
            yield
            return
    on_event(Waiting(name))
    with cache.locked(name):
        yield


def remembered(source: Source, record: Record | None) -> Source:
    """A source without digests has those that it gave when the user first trusted it."""
    if record and record.source == str(source) and not record.taken_from:
        return pinned(source, record.files)
    return source


def _cached(source: Source, cache: Cache, name: str, on_event: OnEvent) -> tuple[Path, ...] | None:
    return _found(source.files, cache, name, on_event)


def _found(
    files: tuple[WantedFile, ...], cache: Cache, name: str, on_event: OnEvent
) -> tuple[Path, ...] | None:
    found = []
    for wanted in files:
        try:
            found.append(cache.find(wanted))
        except BadWeightsError:
            on_event(CacheDamaged(name, cache.blob(wanted)))
            cache.remove(wanted)
            return None
    paths = tuple(path for path in found if path)
    return paths if len(paths) == len(files) else None


def _adopted(source: Source, cache: Cache) -> tuple[Path, ...] | None:
    if any(file.sha256 is None for file in source.files):
        return None
    paths = held_nearby(source)
    try:
        for path, wanted in zip(paths or (), source.files, strict=False):
            measured(path, wanted)
    except SourceError:  # another version, or damaged: the network may give the right one
        return None
    if isinstance(source, ShippedSource):
        return paths
    with suppress(OutputError, DiskFullError):  # then they are used where they are
        return paths and tuple(map(cache.keep, paths, source.files))
    return paths


def _weights(entry: Entry, source: Source, files: tuple[Path, ...]) -> WeightsFile:
    digest = joined(tuple(file.sha256 or "" for file in source.files))
    return WeightsFile(name=entry.name, files=files, entry=entry, digest=digest, source=str(source))


def announce(entry: Entry, cache: Cache, on_event: OnEvent) -> None:
    if not entry.commercial and cache.is_first_notice(entry.name):
        on_event(LicenceNotice(entry.name, entry.licence, entry.homepage))


def report(on_event: OnEvent, name: str, source: str, done: int, total: int | None) -> None:
    on_event(Downloading(name, source, done, total))
