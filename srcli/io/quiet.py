"""Warnings of libraries about damaged files, kept from stderr by any number of threads at a time.

Whoever leaves `warnings.catch_warnings` restores what it found, which may be another thread's:

    thread 1   ignores ........ restores
    thread 2          ignores ........... "restores" that everything is ignored, for ever
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock


class _Hush:
    """Ignores warnings from the first who enters to the last who leaves."""

    def __init__(self) -> None:
        self._mutex = Lock()
        self._inside = 0
        self._ignored = ExitStack()

    def enter(self) -> None:
        with self._mutex:
            if not self._inside:
                self._ignored.enter_context(warnings.catch_warnings(action="ignore"))
            self._inside += 1

    def leave(self) -> None:
        with self._mutex:
            self._inside -= 1
            if not self._inside:
                self._ignored.close()


_hush = _Hush()
# From Python 3.14 on each thread may have filters of its own; then one does not restore another's.
_HAS_OWN_FILTERS = bool(getattr(sys.flags, "context_aware_warnings", False))


@contextmanager
def no_warnings() -> Iterator[None]:
    """Ignore warnings in the block, and in other threads until the last such block ends."""
    if _HAS_OWN_FILTERS:
        with warnings.catch_warnings(action="ignore"):
            yield
        return
    _hush.enter()
    try:
        yield
    finally:
        _hush.leave()
