"""A name, a file or an hf:// address becomes weights on this machine, checked.

What is meant is decided so: `hf://...` is an address. A pathlib.Path, and a text with a path
separator or the suffix of a weights file, is a file if it exists. Then the names and aliases of
the catalogue count, then the names of imported weights, then files without a suffix.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from srcli.errors import BadWeightsError, UnavailableWeightsError, UsageError
from srcli.io.cache import Cache, Record, sha256
from srcli.io.catalogue import SUFFIXES, HubSource, catalogue, key
from srcli.io.files import can_be, expanded
from srcli.io.looks import is_file
from srcli.io.sources import Hosts, SourceError, hub
from srcli.io.sources.network import is_offline
from srcli.services.weights_fetching import (
    CacheDamaged,
    Downloading,
    Event,
    LicenceNotice,
    OnEvent,
    SourceFailed,
    Waiting,
    WeightsFile,
    announce,
    from_catalogue,
    ignore,
    joined,
    report,
)
from srcli.services.weights_openmodeldb import PREFIX, from_openmodeldb

__all__ = [
    "CacheDamaged",
    "Downloading",
    "Event",
    "LicenceNotice",
    "OnEvent",
    "SourceFailed",
    "Waiting",
    "WeightsFile",
    "digests_of",
    "ignore",
    "local_files",
    "obtain",
]


def obtain(
    name_or_file: str | Path,
    *,
    offline: bool | None = None,
    trust: bool = False,
    on_event: OnEvent = ignore,
) -> WeightsFile:
    """The weights of that name, file, `hf://owner/repo/file[@revision]` or `openmodeldb:NAME`.

    They are fetched if need be.

    `offline` None means what SRCLI_OFFLINE and HF_HUB_OFFLINE say; offline, no connection is ever
    opened. `trust` accepts a file from the network whose digest nobody recorded; it is recorded
    then. The digest of everything that the catalogue knows is checked before it is returned.

    Raises UnknownWeightsError, UnavailableWeightsError, BadWeightsError, and OutputError or
    DiskFullError where the cache cannot be written.
    """
    cache = Cache()
    if str(name_or_file).startswith("hf://"):
        return _from_hub(str(name_or_file), is_offline(offline), on_event)
    if _is_spelled_as_file(name_or_file) and (files := local_files(Path(name_or_file))):
        return _from_disk(files, cache, on_event)
    name = str(name_or_file)
    if entry := catalogue().find(name):
        return from_catalogue(entry, cache, is_offline(offline), trust, on_event)
    records = cache.records()
    if record := next((records[other] for other in records if key(other) == key(name)), None):
        return _from_record(record, cache)
    if name.startswith(PREFIX):
        return from_openmodeldb(name, cache, is_offline(offline), trust, on_event)
    if files := local_files(Path(name_or_file)):
        return _from_disk(files, cache, on_event)
    raise catalogue().unknown(name, tuple(records))


def local_files(path: Path) -> tuple[Path, ...]:
    """The file, or the ncnn pair of which `path` is a half or the stem; () if there is none."""
    path = expanded(path)
    if not can_be(path):
        return ()
    stem = path.with_suffix("") if path.suffix in {".param", ".bin"} else path
    pair = (stem.with_name(f"{stem.name}.param"), stem.with_name(f"{stem.name}.bin"))
    if all(is_file(half) for half in pair) and (path in pair or not is_file(path)):
        return pair
    if path.suffix == ".param" and is_file(path):
        message = f"{path} describes an ncnn network, but {pair[1].name} is not beside it"
        raise BadWeightsError(message, hint="an ncnn network is two files: .param and .bin")
    return (path,) if is_file(path) else ()


def digests_of(files: tuple[Path, ...]) -> tuple[str, ...]:
    """Those of one file or an ncnn pair. Raises BadWeightsError where one cannot be read."""
    try:
        return tuple(map(sha256, files))
    except OSError as error:
        message = f"{error.filename or files[0]} cannot be read: {error.strerror}"
        raise BadWeightsError(message, hint="check that it is a file you may read") from error


def _is_spelled_as_file(name_or_file: str | Path) -> bool:
    if isinstance(name_or_file, Path):
        return True
    separators = {os.sep, os.altsep or os.sep}
    has_separator = any(separator in name_or_file for separator in separators)
    return has_separator or name_or_file.lower().endswith(SUFFIXES)


def _from_disk(files: tuple[Path, ...], cache: Cache, on_event: OnEvent) -> WeightsFile:
    digests = digests_of(files)
    known = catalogue().with_digest(digests)
    entry = known[0] if known else None
    if entry:
        announce(entry, cache, on_event)
    name = entry.name if entry else files[0].stem
    return WeightsFile(
        name=name, files=files, entry=entry, digest=joined(digests), source=str(files[0])
    )


def _from_hub(address: str, is_cut_off: bool, on_event: OnEvent) -> WeightsFile:
    """Straight from the hub's cache; filled if need be. The user named the place, so no trust."""
    source, hosts = _parse_hub(address), Hosts()
    path = hub.cached(source)
    digest = sha256(path) if path else ""
    if not path or (hub.recorded_digest(path) or digest) != digest:
        if is_cut_off:
            message = f"{address} is not on this machine, and no connection may be opened"
            raise UnavailableWeightsError(message, hint="fetch it while online")
        try:
            on_progress = partial(report, on_event, address, str(source))
            path, file = hub.fetch(source, hosts, on_progress)
        except SourceError as error:
            hint = (
                "check the address, the connection and, for a private repository, `hf auth login`"
            )
            raise UnavailableWeightsError(f"{address}: {error}", hint=hint) from None
        digest = file.sha256 or sha256(path)
    known = catalogue().with_digest((digest,))
    entry = known[0] if known else None
    return WeightsFile(name=path.stem, files=(path,), entry=entry, digest=digest, source=address)


def _parse_hub(address: str) -> HubSource:
    path, _, revision = address.removeprefix("hf://").partition("@")
    owner, _, rest = path.partition("/")
    repo, _, file = rest.partition("/")
    try:
        if file:
            return HubSource(repo=f"{owner}/{repo}", file=file, revision=revision or None)
    except ValidationError:
        pass
    raise UsageError(f"{address} is no address", hint="write hf://owner/repo/file[@revision]")


def _from_record(record: Record, cache: Cache) -> WeightsFile:
    paths = [cache.find(file) for file in record.files]
    files = tuple(path for path in paths if path)
    if len(files) < len(record.files):
        message = f"{record.name} was imported, but is no longer in the cache"
        raise UnavailableWeightsError(message, hint=f"import {record.source} again")
    digests = tuple(file.sha256 or "" for file in record.files)
    return WeightsFile(
        name=record.name,
        files=files,
        entry=None,
        digest=joined(digests),
        source=record.source,
        licence=record.licence,
    )
