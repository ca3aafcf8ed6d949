"""Ctrl-C and a polite kill: at once for one picture, in two steps for many."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from srcli.cli import render

if TYPE_CHECKING:  # the services cost start-up time
    from srcli.services.stop import Stop

INTERRUPTED = 130


class _Hearing:
    """Who is asked before the program ends, and whether somebody asked."""

    stop: Stop | None = None
    was_heard = False


class Interrupted(BaseException):
    """Ctrl-C or a polite kill; not a KeyboardInterrupt, which Typer would turn into exit code 1."""


def install() -> None:
    """Hear the signals from now on, as if there had been none."""
    _Hearing.was_heard = False
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


def _hear(number: int, frame: FrameType | None) -> None:
    if _Hearing.was_heard:
        os._exit(INTERRUPTED)  # threads of torch and libvips cannot be asked to leave
    _Hearing.was_heard = True
    if _Hearing.stop is None:
        raise Interrupted(number)
    _Hearing.stop.set()
    render.stopping()
