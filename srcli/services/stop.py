"""The wish to end a run early, shared between who has it and who must hear of it."""

from __future__ import annotations

import time

_STEP_SECONDS = 0.05


class StoppedError(Exception):
    """A picture was given up because the run is ending; never reaches a user."""


class Stop:
    """A flag that is set once. Unlike threading.Event it may be set in a signal handler.

    An Event takes a lock, which the interrupted thread may hold.
    """

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Wish the run to end."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether somebody wished it."""
        return self._is_set

    def wait(self, seconds: float) -> None:
        """Sleep, but not longer than until it is set."""
        end = time.monotonic() + seconds
        while not self._is_set and time.monotonic() < end:
            time.sleep(_STEP_SECONDS)
