"""Failures of libvips in our words. It has one text of errors for all threads:

    thread 1   fails, "a" is written                     takes "a; b"
    thread 2                          fails, "b" is written            takes ""

So a failure is compared with the others of its time. Where there were any, or others are at work
that may just have failed, what failed is done again, until nothing else fails meanwhile and the
reason is the same twice.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

from srcli.errors import DiskFullError, ImageError, OutOfMemoryError, OutputError, SrcliError
from srcli.io.vips import VipsError

_GRACE_SECONDS = 0.01  # from the text of a failure to the exception in its thread, hardly more
_MOST_LOOKS = 20
_NOISE = ("unable to call", "unable to load", "unable to fetch", "unable to write", "unable to ")
_NO_MEMORY = ("out of memory", "Error creating thread")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def no_numbers(name: str) -> ImageError:
    """The ImageError for a float picture with a sample that is NaN or infinite."""
    return ImageError(
        f"{name} holds samples that are not numbers, or infinite",
        hint="replace them in the program that wrote it",
    )


class VipsFailure(Exception):  # noqa: N818 (translated before anybody sees it)
    """A failure of libvips with its reason; empty where nobody can tell."""


class _Census:
    """Counts who is at work, and what failed in any thread."""

    def __init__(self) -> None:
        self.failures = self.inside = 0
        self._mutex = threading.Lock()

    def count(self, *, failures: int = 0, inside: int = 0) -> int:
        """The number of failures with these."""
        with self._mutex:
            self.failures += failures
            self.inside += inside
            return self.failures


_census = _Census()
_looking = threading.Lock()  # held by the thread that looks again
_local = threading.local()


@contextmanager
def told(again: Callable[[], object] | None = None) -> Iterator[None]:
    """Turn a failure of libvips in the block into a VipsFailure with its own reason.

    `again` does what the block does, or more, from the beginning. It is asked only where the reason
    may be another thread's.
    """
    if getattr(_local, "is_looking", False):
        yield
        return
    is_outermost = not getattr(_local, "is_inside", False)  # a thread counts once
    before = _census.count(inside=is_outermost)
    _local.is_inside = True
    try:
        yield
    except VipsError as error:
        raise VipsFailure(_reason(error, before, again)) from error
    finally:
        _local.is_inside = not is_outermost
        _census.count(inside=-is_outermost)


def damaged(name: str, reason: str) -> SrcliError:
    """The ImageError for an input that libvips cannot read; it may want for memory too."""
    if any(sign in reason for sign in _NO_MEMORY):
        return _no_memory(name)
    return ImageError(
        f"{name} cannot be read: {reason or 'its content makes no sense'}",
        hint="the file is damaged or cut off: get it again, or open and save it elsewhere",
    )


@contextmanager
def reading(name: str, again: Callable[[], object] | None = None) -> Iterator[None]:
    """Turn a failure of libvips in the block into an ImageError about the input `name`.

    `again` reads the same from the beginning: see io.reasons.
    """
    try:
        with told(again):
            yield
    except VipsFailure as failure:
        raise damaged(name, str(failure)) from failure


@contextmanager
def writing(name: str, file: Path) -> Iterator[None]:
    """Turn a failure of libvips in the block into an OutputError or DiskFullError about `name`.

    `file` is what is being written.
    """
    try:
        with told():
            yield
    except VipsFailure as failure:
        reason = str(failure)
        is_full = any(os.strerror(code) in reason for code in _FULL)
        if is_full or (not reason and not _takes_more(file)):
            raise DiskFullError(
                f"no space left to write {name}", hint="free some space, or write elsewhere"
            ) from failure
        if any(sign in reason for sign in _NO_MEMORY):
            raise _no_memory(name) from failure
        raise OutputError(
            f"{name} cannot be written: {reason or 'its encoder refuses'}",
            hint="try another format: --format png or tiff",
        ) from failure


def _no_memory(name: str) -> OutOfMemoryError:
    return OutOfMemoryError(f"no memory left for {name}", hint="close other programs")


def _takes_more(file: Path) -> bool:
    """Whether there is room for another MiB in a file; what is in it is lost anyway."""
    try:
        with file.open("ab") as end:
            end.write(bytes(1 << 20))
            end.flush()
            os.fsync(end.fileno())
    except OSError as error:
        return error.errno not in _FULL
    return True


def _reason(error: VipsError, before: int, again: Callable[[], object] | None) -> str:
    reason = _plain(error)
    now = _census.count(failures=1)
    are_others = _census.inside > 1
    if are_others:
        sleep(_GRACE_SECONDS)
        now = _census.failures
    is_alone = now == before + 1
    if reason and is_alone and (again is None or not are_others):
        return reason
    return _look_again(again, reason if is_alone else None) if again is not None else ""


def _look_again(again: Callable[[], object], last: str | None) -> str:
    """What it is now, when it is the same twice; `last` is what it was, if it may be believed."""
    with _looking:
        _local.is_looking = True
        try:
            for _ in range(_MOST_LOOKS):
                before = _census.failures
                reason = _failure(again)
                now = _census.count(failures=1)  # for who failed meanwhile, and heard of this one
                sleep(_GRACE_SECONDS)
                is_alone = _census.failures == now == before + 1
                if is_alone and reason == last:  # of some files libvips says nothing at all
                    return reason
                last = reason if is_alone else None
        finally:
            _local.is_looking = False
    return ""


def _failure(again: Callable[[], object]) -> str:
    try:
        again()
    except VipsError as error:
        return _plain(error)
    return ""  # now it can be read


def _plain(error: VipsError) -> str:
    lines = [line.strip() for line in str(error.detail).splitlines()]
    reasons = [line for line in dict.fromkeys(lines) if line and not _is_noise(line)]
    return "; ".join(reasons[:2])


def _is_noise(line: str) -> bool:
    """No reason: a name of an operation, or a question of pyvips in another thread.

    pyvips asks an image for `subtract` as if it were a property before it takes it for an
    operation.
    """
    return line.startswith(_NOISE) or "no property named" in line
