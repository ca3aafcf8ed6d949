"""Any network over an image of any size: overlapping tiles, stitched, rows out as they finish."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Protocol

import torch
from torch import Tensor

from srcli.inference import feather
from srcli.inference.geometry import Part, TilePlan
from srcli.inference.precision import memory_failures
from srcli.inference.rows import RowSource
from srcli.models.network import Network

IN_FLIGHT = 2  # batches on the device while the host stitches the one before


class Pending(Protocol):
    """Tiles under way."""

    def result(self) -> Tensor: ...


class TileRunner(Protocol):
    """What enlarges a batch of tiles: `precision.Runner`, or a stream through each."""

    @property
    def network(self) -> Network: ...
    def submit(self, batch: Tensor) -> Pending: ...


def run_tiled(
    runner: TileRunner,
    source: RowSource,
    plan: TilePlan,
    *,
    batch: int = 1,
    on_tile: Callable[[int], None] = lambda done: None,
) -> Generator[tuple[int, Tensor], None, None]:
    """Yield (start, rows) of the enlarged image from top to bottom, rows (3, count, s·W) float32.

    Tiles of one shape in a row of tiles run `batch` at a time. `on_tile` hears how many tiles
    were done since it was last called. Raises MemoryExhaustedError when the device refuses a
    tile; a part of the image is never given twice or made up.
    """
    scale, rows, columns = runner.network.scale, plan.rows, plan.columns
    carried: Tensor | None = None  # rows that the next row of tiles fades over
    for index, row in enumerate(rows):
        kept = row.kept.within(row.read).scaled(scale)
        with memory_failures():
            strip = source.read(row.read.start, row.read.stop)
            merged = torch.zeros(3, kept.length, plan.width * scale)
        for places, restored in _run_row(runner, strip, columns, batch):
            for place, tile in zip(places, restored, strict=True):
                part = columns[place]
                here = part.kept.within(part.read).scaled(scale)
                there = part.kept.scaled(scale)
                faded = tile[:, kept.start : kept.stop, here.start : here.stop]
                if len(columns) > 1:
                    faded = faded * feather.weights(columns, place, scale)
                merged[:, :, there.start : there.stop] += faded
            on_tile(len(places))
        if len(rows) > 1:
            merged *= feather.weights(rows, index, scale)[:, None]
        if carried is not None:
            merged[:, : carried.shape[1]] += carried
        finished = merged.shape[1]
        if index + 1 < len(rows):
            finished = (rows[index + 1].kept.start - row.kept.start) * scale
            carried = merged[:, finished:].clone()
        yield row.kept.start * scale, merged[:, :finished]


def _run_row(
    runner: TileRunner, strip: Tensor, columns: list[Part], batch: int
) -> Iterator[tuple[list[int], Tensor]]:
    """The tiles of one row in batches of one shape: which they are, and their results."""
    waiting: deque[tuple[list[int], Pending]] = deque()
    for places in _batches(columns, batch):
        reads = [columns[place].read for place in places]
        tiles = torch.stack([strip[:, :, read.start : read.stop] for read in reads])
        waiting.append((places, runner.submit(tiles)))
        if len(waiting) >= IN_FLIGHT:
            done, pending = waiting.popleft()
            yield done, pending.result()
    while waiting:
        done, pending = waiting.popleft()
        yield done, pending.result()


def _batches(columns: list[Part], batch: int) -> Iterator[list[int]]:
    by_width: dict[int, list[int]] = {}
    for place, part in enumerate(columns):
        by_width.setdefault(part.read.length, []).append(place)
    for places in by_width.values():
        for start in range(0, len(places), batch):
            yield places[start : start + batch]
