"""Ctrl-C and a polite kill: at once for one picture, in two steps for many.

An exception that a signal raises may strike while a library calls back into Python. Some libraries
put another exception in its place, some drop it and go on; the first is known by `was_raised`, and
after the second the signal comes again.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from srcli.cli import render

if TYPE_CHECKING:  # the services cost start-up time
    from srcli.services.stop import Stop

INTERRUPTED = 130
_AGAIN_SECONDS = 0.02  # until the library that dropped the exception is done


class _Hearing:
    """Who is asked before the program ends, and whether somebody asked."""

    stop: Stop | None = None
    was_heard = False
    was_raised = False


class Interrupted(BaseException):
    """Ctrl-C or a polite kill; not a KeyboardInterrupt, which Typer would turn into exit code 1."""


def install() -> None:
    """Hear the signals from now on, as if there had been none."""
    _Hearing.was_heard = _Hearing.was_raised = False
    if not isinstance(sys.unraisablehook, _Dropped):
        sys.unraisablehook = _Dropped(sys.unraisablehook)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _hear)


@contextmanager
def gracefully(stop: Stop) -> Iterator[None]:
    """In the block the first signal sets `stop`, and only a second one ends the program."""
    _Hearing.stop = stop
    try:
        yield
    finally:
        _Hearing.stop = None


def was_heard() -> bool:
    """Whether a signal came."""
    return _Hearing.was_heard


def was_raised() -> bool:
    """Whether a signal ended what was being done, whatever exception came of that."""
    return _Hearing.was_raised


class _Dropped:
    """Hears of exceptions that nobody can catch: where it is ours, the signal comes once more."""

    def __init__(self, before: Callable[[sys.UnraisableHookArgs], object]) -> None:
        self._before = before

    def __call__(self, dropped: sys.UnraisableHookArgs) -> None:
        if not isinstance(dropped.exc_value, Interrupted):
            self._before(dropped)
            return
        again = threading.Timer(_AGAIN_SECONDS, _interrupt_again)
        again.daemon = True
        again.start()


def _interrupt_again() -> None:
    _Hearing.was_heard = False
    if sys.platform == "win32":
        _thread.interrupt_main(signal.SIGINT)
    else:  # a real one, which ends a wait too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _hear(number: int, frame: FrameType | None) -> None:
    if _Hearing.was_heard:
        render.leaving()
        os._exit(INTERRUPTED)  # threads of torch and libvips cannot be asked to leave
    _Hearing.was_heard = True
    if _Hearing.stop is None:
        _Hearing.was_raised = True
        raise Interrupted(number)
    _Hearing.stop.set()
    render.stopping()
