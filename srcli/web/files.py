"""The folder of a service, which goes with it; and those of services that were killed."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from srcli.io.files import scratch_place

_PREFIX = "srcli-serve-"
_LOCK = "lock"
_YOUNG_SECONDS = 60  # one that begins just now may not have its lock yet


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder in $TMPDIR while the block lasts. What killed services left there is removed."""
    _remove_orphans()
    folder = tempfile.TemporaryDirectory(
        prefix=_PREFIX, dir=scratch_place(), ignore_cleanup_errors=True
    )
    with folder as place, FileLock(Path(place) / _LOCK):
        requests = Path(place) / "requests"
        requests.mkdir()
        yield requests


def _remove_orphans() -> None:
    for folder in scratch_place().glob(f"{_PREFIX}*"):
        try:
            is_young = time.time() - folder.stat().st_mtime < _YOUNG_SECONDS
            if is_young or not (folder / _LOCK).is_file():
                continue
            with FileLock(folder / _LOCK, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):  # it lives, or belongs to somebody else
            continue
