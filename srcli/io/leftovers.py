"""What killed processes leave, and how the next one knows that nobody needs it any more.

What is on its way is held by a lock of the operating system, which ends with its process, however
that ends. A process number would not do: it comes again, and means nothing in another container.

    .name.0123abcd.partial.png   a file on its way, locked itself
    .srcli-0123abcd/lock         a folder on its way, locked by this file in it

Where the system has no such locks nothing is taken for left over, and nothing is held open: Windows
renames and removes no file that is.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_TRIES = 9  # who sweeps may take a new name for a dead one, in the moment before it is locked
_STEM_CHARACTERS = 40  # leaves room for the token and the suffix in any file system's name limit
_PARTIAL = re.compile(r"\.(.*)\.[0-9a-f]{8}\.partial(|\..*)", re.DOTALL)
_FOLDER = re.compile(r"\.srcli-[0-9a-f]{8}")
_LOCK = "lock"

_REMEMBERED_FOLDERS = 256  # a server makes one for each picture


@contextmanager
def held_partial(target: Path) -> Iterator[Path]:
    """A new, empty file beside `target`, locked; gone at the end of the block if it is there still.

    It keeps the suffix of `target`. What killed processes left of the same target is removed.
    Raises OSError about `target` where the folder refuses.
    """
    stem = target.stem[:_STEM_CHARACTERS]
    for path in _partials_in(target.parent.absolute()).pop((stem, target.suffix), []):
        _remove_if_dead(path, path.unlink)

    def new() -> Path:
        return target.with_name(f".{stem}.{secrets.token_hex(4)}.partial{target.suffix}")

    partial, held = _created(new, target)
    with held:
        try:
            yield partial
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def held_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, locked; gone at the end of the block with all that is in it.

    Those that killed processes left there are removed. Raises OSError about `parent` where that
    refuses.
    """
    for folder in [path for path in _listed(parent) if _FOLDER.fullmatch(path.name)]:
        _remove_folder_if_dead(folder)

    made: list[Path] = []

    def new() -> Path:
        made.append(parent / f".srcli-{secrets.token_hex(4)}")
        made[-1].mkdir(mode=0o700)
        return made[-1] / _LOCK

    try:
        lock, held = _created(new, parent)
    except OSError:  # the disk may have had room for the folder, and none for the lock
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    with held:
        try:
            yield lock.parent
        finally:
            shutil.rmtree(lock.parent, ignore_errors=True)


def remove_unless_held(partial: Path) -> None:
    """Remove a file on its way whose process is dead, or where the system cannot tell."""
    with suppress(OSError):
        descriptor = os.open(partial, os.O_RDWR)
        try:
            is_held = _is_ours(descriptor) is False
        finally:
            os.close(descriptor)
        if not is_held:
            partial.unlink()


def _created(new: Callable[[], Path], what_for: Path) -> tuple[Path, ExitStack]:
    """A new file, and what holds its lock if there can be one. Raises OSError about `what_for`."""
    for _ in range(_TRIES):
        try:
            path = new()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except OSError as error:
            failure = OSError(error.errno, error.strerror, str(what_for))
            if isinstance(error, FileNotFoundError) and what_for.is_dir():
                continue  # somebody swept the folder away before it could be locked
            raise failure from error
        with ExitStack() as held:
            held.callback(os.close, descriptor)
            is_ours = _is_ours(descriptor)
            if is_ours is None:
                return path, ExitStack()
            if is_ours and os.fstat(descriptor).st_nlink:
                return path, held.pop_all()
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(what_for))


def _is_ours(descriptor: int) -> bool | None:
    """Whether the file could be locked; None where files cannot be."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


@lru_cache(maxsize=_REMEMBERED_FOLDERS)
def _partials_in(folder: Path) -> dict[tuple[str, str], list[Path]]:
    """What looks like a file on its way, by stem and suffix of what it was to become.

    Looked for once: a run of a hundred thousand pictures shall not list the folder for each.
    """
    found: dict[tuple[str, str], list[Path]] = {}
    for path in _listed(folder):
        if match := _PARTIAL.fullmatch(path.name):
            found.setdefault((match[1], match[2]), []).append(path)
    return found


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # it may be written though it cannot be listed
        return []


def _remove_folder_if_dead(folder: Path) -> None:
    """One look decides: a new folder is empty until its lock is in it, and never without one then.

    Of another user's folder, which nobody else may list, nothing is removed.
    """
    names = {path.name for path in _listed(folder)}
    if _LOCK in names:
        _remove_if_dead(folder / _LOCK, lambda: shutil.rmtree(folder, ignore_errors=True))
    elif names:  # killed while it was being removed
        shutil.rmtree(folder, ignore_errors=True)
    else:  # killed before it was locked, or just made: then it is no longer empty, or made again
        with suppress(OSError):
            folder.rmdir()


def _remove_if_dead(held: Path, remove: Callable[[], None]) -> None:
    """Call `remove` if no process holds the file."""
    with suppress(OSError):
        descriptor = os.open(held, os.O_RDWR)
        try:
            if _is_ours(descriptor):
                remove()
        finally:
            os.close(descriptor)
