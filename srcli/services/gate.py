"""A bound on what is under way at once, in bytes or cores: first come first served."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Gate:
    """Lets pass what fits in `limit` together; what is larger alone passes alone."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._inside: list[int] = []
        self._waiting: deque[object] = deque()
        self._changed = Condition()

    def enter(self, size: int) -> None:
        """Wait until there is room for `size`, behind those who came before."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._waiting[0] is ticket and self._has_room(size))
            self._waiting.popleft()
            self._inside.append(size)
            self._changed.notify_all()

    def leave(self, size: int) -> None:
        """Give the room back."""
        with self._changed:
            self._inside.remove(size)
            self._changed.notify_all()

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """In the block `size` is inside."""
        self.enter(size)
        try:
            yield
        finally:
            self.leave(size)

    @property
    def held(self) -> int:
        """What is inside now."""
        with self._changed:
            return sum(self._inside)

    def _has_room(self, size: int) -> bool:
        return not self._inside or sum(self._inside) + size <= self.limit
