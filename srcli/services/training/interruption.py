"""Ctrl-C and a polite kill, turned into a question that the loop asks between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether the user wants the run to stop.

    A second Ctrl-C does what it did before: it ends the work at once. Outside of the main thread
    nothing can be heard.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    wanted = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def hear(number: int, frame: FrameType | None) -> None:
        wanted.set()
        restore()

    for number in numbers:
        signal.signal(number, hear)
    try:
        yield wanted.is_set
    finally:
        restore()
