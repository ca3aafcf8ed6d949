"""The weights on this machine: blobs named by their digest, checked, written whole, locked.

<root>/weights/blobs/<sha256>.pth      a file, whole; its name is what it must hash to
               stamps/<sha256>.json    size and time of the blob when it was last hashed
               partial/<key>           a download that was cut off, to be resumed
               names/<name>.json       weights that were imported, trusted, or cut from a file
               notices/<name>          licences that were shown once
               locks/<name>.lock       held while one process fetches
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from srcli.errors import BadWeightsError, DiskFullError, OutputError
from srcli.io.catalogue import WantedFile
from srcli.io.files import expanded, output_errors, replacing

_HINT = "set SRCLI_HOME to a folder that you may write"
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}
_SPARE_BYTES = 16_000_000  # left free on the disk for everybody else


def cache_root() -> Path:
    """`$SRCLI_HOME`, else the cache folder of the platform."""
    home = os.environ.get("SRCLI_HOME")
    if home:
        return expanded(Path(home))
    try:
        return platformdirs.user_cache_path("srcli", False)
    except RuntimeError:  # a user without a home, of whom older versions say ~/.cache
        return Path("~", ".cache", "srcli")


def sha256(path: Path) -> str:
    """The digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Weights that no catalogue lists as they are in the cache.

    Imported, trusted unseen, or a part of a file: `taken_from` is the digest of the whole.
    """

    name: str
    source: str
    files: tuple[WantedFile, ...]
    is_imported: bool
    taken_from: str = ""
    licence: str = ""  # where whoever gave the file stated one
    scale: int | None = None
    purpose: str = ""


class Cache:
    """The folder `weights` of `cache_root()`. Reading never writes anything that must succeed."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or cache_root()) / "weights"

    def blob(self, wanted: WantedFile) -> Path:
        """Where the file is if the cache has it; its digest must be known."""
        return self.root / "blobs" / f"{wanted.sha256}{wanted.suffix}"

    def holds(self, wanted: WantedFile) -> bool:
        """Whether a file of that digest is there; its content is not looked at."""
        return wanted.sha256 is not None and _is_there(self.blob(wanted))

    def find(self, wanted: WantedFile, *, is_thorough: bool = False) -> Path | None:
        """The file, or None. A damaged one is never returned: it raises BadWeightsError.

        It is hashed again if its size or time differ from when it was last hashed, or always if
        `is_thorough`.
        """
        if not self.holds(wanted):
            return None
        path = self.blob(wanted)
        stamp = self._stamp(path)
        state = {"size": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns}
        if not is_thorough and _read_json(stamp) == state:
            return path
        if sha256(path) != wanted.sha256:
            message = f"{path} is damaged: its digest is no longer {wanted.sha256}"
            raise BadWeightsError(message, hint="run `srcli weights verify`, then fetch it again")
        with suppress(OutputError, DiskFullError):  # a read-only cache is hashed each time
            self._write_json(stamp, state)
        return path

    def keep(self, path: Path, wanted: WantedFile, *, may_share: bool = True) -> Path:
        """Take a file whose digest has been checked; what lies in `partial` is moved.

        Another file is linked, to spare the disk, if it `may_share` its bytes: nobody edits it.
        Raises OutputError or DiskFullError if the cache cannot be written.
        """
        blob = self.blob(wanted)
        self._make_folder(blob.parent)
        if blob.exists() and blob.samefile(path):  # linked before
            return blob
        with output_errors(blob, path, hint=_HINT):
            if path.parent == self.root / "partial":
                path.replace(blob)
            elif not (may_share and _linked(path, blob)):
                with replacing(blob) as partial:
                    shutil.copyfile(path, partial)
        state = {"size": blob.stat().st_size, "mtime_ns": blob.stat().st_mtime_ns}
        self._write_json(self._stamp(blob), state)
        return blob

    def blobs(self) -> list[Path]:
        """Every whole file in the cache, whoever needs it."""
        return _matching(self.root / "blobs", "*")

    def remove(self, wanted: WantedFile) -> int:
        """Remove a file if it is there; the bytes freed on the disk."""
        return self.discard(self.blob(wanted)) if wanted.sha256 else 0

    def discard(self, blob: Path) -> int:
        """Remove one of `blobs()` if it is there; the bytes freed on the disk."""
        with output_errors(blob, hint=_HINT):
            self._stamp(blob).unlink(missing_ok=True)
            if not blob.is_file():
                return 0
            state = blob.stat()
            blob.unlink()
        return state.st_size if state.st_nlink == 1 else 0

    def partial(self, name: str, *, size: int | None = None) -> Path:
        """A place for a download; raises DiskFullError early if `size` bytes have no room."""
        path = self.root / "partial" / name
        self._make_folder(path.parent)
        there = path.stat().st_size if path.exists() else 0
        if size and shutil.disk_usage(path.parent).free < size - there + _SPARE_BYTES:
            message = f"no space left for {size / 1e6:.0f} MB of weights in {self.root}"
            raise DiskFullError(message, hint="free some space, or set SRCLI_HOME to another disk")
        return path

    @contextmanager
    def locked(self, name: str, *, is_patient: bool = True) -> Iterator[bool]:
        """Hold the lock of a name; yields False at once if another process has it and one is hasty.

        Raises OutputError if the cache cannot be written.
        """
        path = self.root / "locks" / f"{name}.lock"
        self._make_folder(path.parent)
        lock = FileLock(path)
        try:
            with output_errors(path, hint=_HINT):
                lock.acquire(timeout=-1 if is_patient else 0)
        except Timeout:
            yield False
            return
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            message = f"the file system of {self.root} has no locks, which two processes need"
            raise OutputError(message, hint="set SRCLI_HOME to a folder on another disk") from error
        try:
            yield True
        finally:
            lock.release()

    def records(self) -> dict[str, Record]:
        """What was imported, trusted or cut from a larger file, by name."""
        folder = self.root / "names"
        found = (_read_record(path) for path in _matching(folder, "*.json"))
        return {record.name: record for record in found if record}

    def write_record(self, record: Record) -> None:
        self._write_json(self._record(record.name), TypeAdapter(Record).dump_python(record))

    def remove_record(self, name: str) -> None:
        with output_errors(self._record(name), hint=_HINT):
            self._record(name).unlink(missing_ok=True)

    def is_first_notice(self, name: str) -> bool:
        """Whether this is the first call for `name`; remembered if the cache can be written."""
        path = self.root / "notices" / name
        if _is_there(path):
            return False
        with suppress(OutputError, DiskFullError):
            self._make_folder(path.parent)
            with output_errors(path):
                path.touch()
        return True

    def _stamp(self, blob: Path) -> Path:
        return self.root / "stamps" / f"{blob.stem}.json"

    def _record(self, name: str) -> Path:
        return self.root / "names" / f"{name}.json"

    def _write_json(self, path: Path, content: object) -> None:
        self._make_folder(path.parent)
        with replacing(path) as partial, output_errors(path, partial, hint=_HINT):
            partial.write_text(json.dumps(content))

    def _make_folder(self, folder: Path) -> None:
        if self.root.parts[0].startswith("~"):  # nobody knows whose: not to be made as it is named
            raise OutputError("there is no home folder to keep weights in", hint=_HINT)
        parents = (*folder.parents, folder)
        with output_errors(self.root, *parents, hint=_HINT):
            folder.mkdir(parents=True, exist_ok=True)


def _is_there(path: Path) -> bool:
    """Unlike Path.is_file, False in a folder that may not be looked into: another user's home."""
    return os.path.isfile(path)  # noqa: PTH113


def _matching(folder: Path, pattern: str) -> list[Path]:
    """Files by their names, but for hidden ones: those are on their way."""
    try:
        return sorted(path for path in folder.glob(pattern) if path.name[0] != ".")
    except PermissionError:  # before Python 3.13, which finds nothing there
        return []


def _linked(path: Path, blob: Path) -> bool:
    """Share the bytes of a file in another cache, if the file system can; a copy costs the disk."""
    try:
        blob.unlink(missing_ok=True)
        os.link(path.resolve(), blob)
    except OSError:  # another disk, or a file system without links
        return False
    return True


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None


def _read_record(path: Path) -> Record | None:
    try:
        return TypeAdapter(Record).validate_json(path.read_bytes())
    except FileNotFoundError:  # another process has just removed it
        return None
    except (OSError, ValidationError) as error:
        message = f"{path} is damaged"
        raise BadWeightsError(message, hint="delete it and import the weights again") from error
