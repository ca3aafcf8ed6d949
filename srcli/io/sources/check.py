"""Whether a file is the one that was wanted."""

from __future__ import annotations

import hashlib
from pathlib import Path

from srcli.io.catalogue import WantedFile
from srcli.io.sources.network import SourceError


def require_size(size: int | None, wanted: WantedFile) -> None:
    """Raise SourceError if a known size is another than the wanted one."""
    if wanted.size and size is not None and size != wanted.size:
        raise SourceError(f"offers {size} bytes instead of {wanted.size}: another file")


def require_digest(digest: str, wanted: WantedFile) -> None:
    """Raise SourceError if the digest is another than the wanted one."""
    if wanted.sha256 and digest != wanted.sha256:
        raise SourceError(
            f"gave another file: sha256 {digest[:12]}… instead of {wanted.sha256[:12]}…"
        )


def measured(path: Path, wanted: WantedFile) -> WantedFile:
    """What the file is by its own size and digest; SourceError if that is not what was wanted."""
    size = path.stat().st_size
    require_size(size, wanted)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    require_digest(digest, wanted)
    return wanted.model_copy(update={"sha256": digest, "size": size})
