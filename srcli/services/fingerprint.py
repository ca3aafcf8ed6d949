"""What makes two runs the same run, and two files the same picture."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from srcli.errors import ImageError
from srcli.io import stores
from srcli.io.addresses import Address
from srcli.io.cache import sha256

if TYPE_CHECKING:
    from srcli.services.engine import EngineOptions
    from srcli.services.job import PictureOptions

# How a run is carried out, not what comes of it (but for a fraction of a level).
_NOT_MEANT = {"overwrite", "device", "plan", "tile", "batch", "max_pixels"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the results of a run are meant to be."""

    meaning: str  # JSON, for people who look into a journal

    @property
    def fingerprint(self) -> str:
        """The same for the same meaning: 16 hexadecimal digits."""
        return hashlib.sha256(self.meaning.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A file's content, known at a glance (size and stamp) or for certain (digest)."""

    bytes: int | None
    stamp: str | None  # changes when the file is written: its time, or a store's version
    sha256: str | None = None

    def same_file(self, other: Content) -> bool:
        """Whether size and stamp say that nothing was written since; they may be unknown."""
        is_known = self.bytes is not None and self.stamp is not None
        return is_known and (self.bytes, self.stamp) == (other.bytes, other.stamp)


def settings_of(engine: EngineOptions, picture: PictureOptions) -> Settings:
    """The settings of a run without what does not change the results: device, tiles, overwrite."""
    chosen = {**asdict(engine), **asdict(picture)}
    meant = {name: value for name, value in chosen.items() if name not in _NOT_MEANT}
    return Settings(json.dumps(meant, sort_keys=True))


def quick_content_of(source: Address) -> Content:
    """Size and time of a file, size and version of an object. Raises ImageError where it is gone.

    Of an object that a listing named, the listing has told it already.
    """
    if not isinstance(source, Path):
        entry = stores.entry_at(source)
        if entry is None:
            raise ImageError(f"{source} does not exist", hint="check that it is still there")
        return Content(bytes=entry.bytes, stamp=entry.stamp)
    try:
        facts = source.stat()
    except OSError as error:
        raise ImageError(
            f"{source} cannot be looked at: {error.strerror}", hint="check that it is still there"
        ) from None
    return Content(bytes=facts.st_size, stamp=str(facts.st_mtime_ns))


def content_of(path: Path, quick: Content | None = None) -> Content:
    """Size, time and digest of a file; all of it is read. Raises ImageError where it cannot be.

    `quick` is what is known of the object of which the file is a copy.
    """
    # Looked at before: what is written meanwhile then shows as a change.
    quick = quick or quick_content_of(path)
    try:
        return Content(bytes=quick.bytes, stamp=quick.stamp, sha256=sha256(path))
    except OSError as error:
        raise ImageError(
            f"{path} cannot be opened: {error.strerror}", hint="check its permissions"
        ) from None
