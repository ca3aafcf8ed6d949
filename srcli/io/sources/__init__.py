"""Where weights come from: the Hugging Face hub, an address, a Python package, srcli itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import assert_never

from srcli.io.cache import Cache
from srcli.io.catalogue import (
    HubSource,
    PackageSource,
    ShippedSource,
    Source,
    UrlSource,
    WantedFile,
)
from srcli.io.sources import hub, package, url
from srcli.io.sources.network import Hosts, SourceError
from srcli.io.sources.url import OnProgress

__all__ = ["Hosts", "OnProgress", "SourceError", "fetch", "forget_nearby", "held_nearby"]


def held_nearby(source: Source) -> tuple[Path, ...] | None:
    """The files of a source that are on this machine already, unchecked; no connection."""
    match source:
        case HubSource():
            path = hub.cached(source)
            return (path,) if path else None
        case PackageSource():
            return package.installed(source)
        case UrlSource():
            return None
        case ShippedSource():
            return (source.path,) if source.path.is_file() else None
        case _:
            assert_never(source)


def forget_nearby(source: Source) -> None:
    """Take a file out of the hub's cache again that was fetched only to take a part of it."""
    if isinstance(source, HubSource):
        hub.forget(source)


def fetch(
    source: Source, cache: Cache, hosts: Hosts, on_progress: OnProgress
) -> tuple[tuple[Path, WantedFile], ...]:
    """Get the files of a source: where each is now, and what it was measured to be.

    Raises SourceError if the source does not give them, DiskFullError or OutputError if there is
    no room or no permission for them.
    """
    match source:
        case HubSource():
            return (hub.fetch(source, hosts, on_progress),)
        case UrlSource():
            partial = _partial(source, source.files[0], cache)
            return ((partial, url.fetch(source, partial, hosts, on_progress)),)
        case PackageSource():
            partials = tuple(_partial(source, wanted, cache) for wanted in source.files)
            return tuple(zip(partials, package.fetch(source, partials), strict=True))
        case ShippedSource():  # asked only when it was not found, or not as it should be
            raise SourceError("the file is missing or damaged: install srcli again")
        case _:
            assert_never(source)


def _partial(source: Source, wanted: WantedFile, cache: Cache) -> Path:
    address = hashlib.sha256(f"{source} {wanted.path}".encode()).hexdigest()
    return cache.partial(wanted.sha256 or address, size=wanted.size)
