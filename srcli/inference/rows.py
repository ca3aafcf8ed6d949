"""Images as rows: how inference takes and gives pictures that may be larger than memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class RowSource(Protocol):
    """An image that is read from top to bottom."""

    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    def read(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop) as (3, stop - start, width), float32 in [0, 1], on the host.

        Neither starts nor stops ever decrease until `restart` goes back to the top. A read may
        begin with rows that the one before had already: the context of its tiles.
        """
        ...

    def restart(self) -> None:
        """Make the source ready to be read from the top again."""
        ...


class RowSink(Protocol):
    """Where finished rows go, from top to bottom."""

    def write(self, start: int, rows: Tensor) -> None:
        """Take rows from `start` on as (3, count, width), float32, not clamped, on the host."""
        ...

    def restart(self) -> None:
        """Forget what was written: the image starts over."""
        ...


@dataclass(slots=True)
class TensorSource:
    """A RowSource over (3, H, W) in memory."""

    image: Tensor

    @property
    def height(self) -> int:
        return self.image.shape[-2]

    @property
    def width(self) -> int:
        return self.image.shape[-1]

    def read(self, start: int, stop: int) -> Tensor:
        return self.image[:, start:stop]

    def restart(self) -> None:
        """Nothing to do: memory can be read in any order."""


@dataclass(slots=True)
class TensorSink:
    """A RowSink that fills (3, H, W) in memory."""

    image: Tensor

    def write(self, start: int, rows: Tensor) -> None:
        self.image[:, start : start + rows.shape[1]] = rows

    def restart(self) -> None:
        """Nothing to do: every row will be written again."""


class WrappedSource:
    """Another source with its far borders continued around it: a texture that repeats.

    Rows and columns are counted from -margin on, so height and width grow by 2·margin. The whole
    image is kept: textures are small.
    """

    def __init__(self, source: RowSource, margin: int) -> None:
        image = source.read(0, source.height)
        rows = _wrapped(source.height, margin)
        columns = _wrapped(source.width, margin)
        self.image = image[:, rows][:, :, columns]

    @property
    def height(self) -> int:
        return self.image.shape[-2]

    @property
    def width(self) -> int:
        return self.image.shape[-1]

    def read(self, start: int, stop: int) -> Tensor:
        return self.image[:, start:stop]

    def restart(self) -> None:
        """Nothing to do: the image is in memory."""


@dataclass(slots=True)
class CroppedSink:
    """Hands on only what lies inside a margin, in output pixels, of what it is given."""

    sink: RowSink
    margin: int
    height: int  # without the margin
    width: int

    def write(self, start: int, rows: Tensor) -> None:
        first = max(start, self.margin)
        last = min(start + rows.shape[1], self.margin + self.height)
        if first < last:
            columns = slice(self.margin, self.margin + self.width)
            self.sink.write(first - self.margin, rows[:, first - start : last - start, columns])

    def restart(self) -> None:
        self.sink.restart()


def _wrapped(length: int, margin: int) -> list[int]:
    return [place % length for place in range(-margin, length + margin)]
