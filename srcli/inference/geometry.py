"""Where tiles lie: integers only, no tensors.

    |<-------------------- read -------------------->|
    |  halo  |  fade  |      core only     |  fade  |  halo  |
             |<------------ kept ------------------>|

A tile *reads* its kept area and a halo of context around it; the halo's output is thrown away.
Neighbouring *kept* areas overlap by `feather` pixels, centred on the border of their cores, and
are cross-faded there. Everything is clipped at the image's borders, where the network pads with
zeros just as it does for the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Span:
    """The half-open range [start, stop) on one axis, in pixels."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start

    def scaled(self, scale: int) -> Span:
        """The same range on an image enlarged by `scale`."""
        return Span(self.start * scale, self.stop * scale)

    def within(self, outer: Span) -> Span:
        """The same range counted from the start of `outer`."""
        return Span(self.start - outer.start, self.stop - outer.start)


@dataclass(frozen=True, slots=True)
class Part:
    """One tile on one axis: what it is responsible for, what it hands on, what it looks at."""

    core: Span
    kept: Span
    read: Span


def split_axis(length: int, tile: int) -> list[Span]:
    """Cut [0, length) into the fewest spans of at most `tile`, equal to within a pixel."""
    count = -(-length // tile)
    edges = [length * i // count for i in range(count + 1)]
    return [Span(start, stop) for start, stop in pairwise(edges)]


def part_axis(length: int, tile: int, *, halo: int, feather: int, multiple: int = 1) -> list[Part]:
    """The tiles of one axis, with cores of at most `tile` pixels (of `multiple` if that is more).

    The feather is cut down to the smallest core, so that never more than two tiles meet. Reads
    start at multiples of `multiple` (a network that folds its input must see the same folds).
    """
    folds = split_axis(-(-length // multiple), max(tile // multiple, 1))
    cores = [Span(f.start * multiple, min(f.stop * multiple, length)) for f in folds]
    feather = min(feather, *(core.length for core in cores)) if len(cores) > 1 else 0
    before, after = feather // 2, feather - feather // 2
    parts = []
    for core in cores:
        is_first, is_last = core.start == 0, core.stop == length
        kept = Span(
            core.start if is_first else core.start - before,
            core.stop if is_last else core.stop + after,
        )
        start = max(kept.start - halo, 0) // multiple * multiple
        stop = min(-(-(kept.stop + halo) // multiple) * multiple, length)
        parts.append(Part(core, kept, Span(start, stop)))
    return parts


class PlanKind(StrEnum):
    """The ways to run a network over an image."""

    AUTO = "auto"
    WHOLE = "whole"
    STREAM = "stream"
    TILES = "tiles"


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePlan:
    """All tiles of an image, row by row. Sides and widths in input pixels."""

    height: int
    width: int
    tile: int  # largest side of a core
    halo: int
    feather: int
    multiple: int = 1
    tall: int | None = None  # largest height of a core, where it is not `tile`

    @property
    def kind(self) -> PlanKind:
        return PlanKind.WHOLE if self.tiles == 1 else PlanKind.TILES

    @property
    def rows(self) -> list[Part]:
        return self._axis(self.height, self.tall or self.tile)

    @property
    def columns(self) -> list[Part]:
        return self._axis(self.width, self.tile)

    @property
    def tiles(self) -> int:
        """How many tiles there are."""
        return len(self.rows) * len(self.columns)

    def describe(self) -> str:
        """For people: `whole image`, or `12 tiles of 256 px, halo 64`."""
        if self.tiles == 1:
            return "whole image"
        return f"{self.tiles} tiles of {self.tile} px, halo {self.halo}"

    @property
    def largest(self) -> tuple[int, int]:
        """Height and width of the largest area that a tile reads."""
        rows, columns = self.rows, self.columns
        return max(part.read.length for part in rows), max(part.read.length for part in columns)

    def _axis(self, length: int, tile: int) -> list[Part]:
        return part_axis(length, tile, halo=self.halo, feather=self.feather, multiple=self.multiple)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """Bands of rows from top to bottom, exact."""

    band: int  # input rows
    strips: TilePlan  # tall tiles where a band of the whole width does not fit, else one

    @property
    def kind(self) -> PlanKind:
        return PlanKind.STREAM

    @property
    def is_cut(self) -> bool:
        """Whether the image is too wide, and each strip is a stream of its own."""
        return self.strips.tile < self.strips.width

    @property
    def width(self) -> int:
        """Of the widest stream."""
        return self.strips.largest[1] if self.is_cut else self.strips.width

    @property
    def tiles(self) -> int:
        """How many bands there are, of all strips together."""
        if not self.is_cut:
            return -(-self.strips.height // self.band)
        bands = sum(-(-part.read.length // self.band) for part in self.strips.rows)
        return bands * len(self.strips.columns)

    def describe(self) -> str:
        """For people: `stream, bands of 32 rows`."""
        bands = f"stream, bands of {self.band} rows"
        if not self.is_cut:
            return bands
        strips = self.strips
        return f"{bands} in {strips.tiles} strips of {strips.tile} px, halo {strips.halo}"


Plan = TilePlan | StreamPlan
