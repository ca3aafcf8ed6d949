"""Bars of work done, as rich draws them."""

from __future__ import annotations

from rich.progress import Progress


class Bar(Progress):
    """A bar that writes nothing at all where it is not shown.

    rich before 14.3 writes an empty line as one ends, shown or not.
    """

    def stop(self) -> None:
        if not self.disable:
            super().stop()
