"""The exact way through an image of any height: bands of rows, each computed once, no seams.

    source -> rows -> device -> one tick of the stream -> rows -> host
              padded as the      (CUDA: a recorded         checked a band late,
              whole image is     graph; CPU: a convoy)     so that nothing waits

The result is that of the whole image at once. What goes wrong in a band goes on into the next, so
a failure is never mended here: it is raised, and the image starts over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from math import isfinite
from threading import Lock

import torch
from torch import Tensor

from srcli.inference.convoy import convoy, ticks_at_once
from srcli.inference.delays import Tick, ticks
from srcli.inference.geometry import StreamPlan
from srcli.inference.memory import BANDS_IN_FLIGHT
from srcli.inference.precision import (
    BLACK,
    NOT_BLACK,
    Precision,
    PrecisionLostError,
    Runner,
    memory_failures,
    to_host,
)
from srcli.inference.rows import RowSource, TensorSource
from srcli.inference.streams import INPUT, RowStream, build_stream, records
from srcli.inference.tiled import run_tiled
from srcli.models.network import Network, from_rgb, pad_to, to_rgb


def run_streamed(
    runner: Runner,
    source: RowSource,
    plan: StreamPlan,
    *,
    on_band: Callable[[int], None] = lambda done: None,
) -> Generator[tuple[int, Tensor], None, None]:
    """Yield (start, rows) of the enlarged image from top to bottom, rows (3, count, s·W) float32.

    `on_band` hears how many bands of the input were done since it was last called. Raises
    MemoryExhaustedError when the device refuses a band, and PrecisionLostError when the numbers
    broke down; what then, `Runner.switch` knows.
    """
    if plan.is_cut:
        yield from run_tiled(_Strips(runner, plan.band, on_band), source, plan.strips)
    else:
        yield from _run(runner, source, plan.band, on_band)


def _run(
    runner: Runner, source: RowSource, band: int, on_band: Callable[[int], None]
) -> Iterator[tuple[int, Tensor]]:
    network, image = runner.replica, PaddedRows(source, runner.replica.traits.multiple)
    channels = network.traits.channels
    with memory_failures(), torch.inference_mode():
        images = from_rgb(torch.empty(1, 3, 1, 1), channels).shape[0]
        at_once = ticks_at_once(network, runner.device)
        stream = build_stream(
            network.body, images=images, width=image.width, band=band, at_once=at_once
        )
    guard, outbox = _Guard(runner, network.scale), _Outbox(runner.device)
    fed = _fed(runner, image, stream, band, guard)
    in_turn = _Steps(stream, runner.device).run
    waiting: deque[_Parcel] = deque()
    with closing(in_turn(fed) if stream.at_once == 1 else convoy(stream, fed)) as steps:
        while True:
            with memory_failures(), torch.inference_mode():
                step = next(steps, None)
                if step is None:
                    break
                tick, rows = step
                if rows.shape[2] > 0:
                    made = tick.rows(stream.output)
                    waiting.append(outbox.send(made.start, to_rgb(rows, channels)))
            on_band(1 if tick.rows(INPUT).length > 0 else 0)
            while len(waiting) >= BANDS_IN_FLIGHT:
                yield from guard.passed(waiting.popleft(), source)
    for parcel in waiting:
        yield from guard.passed(parcel, source)


def _fed(
    runner: Runner, image: PaddedRows, stream: RowStream, band: int, guard: _Guard
) -> Iterator[tuple[Tick, Tensor]]:
    """The ticks with the rows of the image that they take, on the device."""
    for tick in ticks(image.height // stream.fold, band // stream.fold, stream.output):
        taken = tick.rows(INPUT).scaled(stream.fold)
        rows = image.read(taken.start, taken.stop)
        guard.saw(rows)
        yield tick, from_rgb(_to_device(rows, runner), runner.replica.traits.channels)


def _to_device(rows: Tensor, runner: Runner) -> Tensor:
    if runner.device.type != "cuda":
        return rows.to(runner.device, runner.input_dtype)
    # In two steps: in one, the host would round, into memory that no copy can overlap.
    return rows.pin_memory().to(runner.device, non_blocking=True).to(runner.input_dtype)


class PaddedRows:
    """A source whose sides are multiples of `multiple`, by reflection, as `pad_to` makes them."""

    def __init__(self, source: RowSource, multiple: int) -> None:
        self._source = source
        # Only what is near the corner is reflected, so a corner tells all there is to know.
        height, width = (
            side if side < 2 * multiple else multiple + side % multiple
            for side in (source.height, source.width)
        )
        places = torch.arange(height * width, dtype=torch.float64).view(1, 1, height, width)
        padded = pad_to(places, *(-(-side // multiple) * multiple for side in (height, width)))
        beyond = source.height - height, source.width - width
        rows = (padded[0, 0, height:, 0] // width).long() + beyond[0]
        columns = (padded[0, 0, 0, width:] % width).long() + beyond[1]
        self._rows: list[int] = rows.tolist()  # which rows those below the last one repeat
        self._columns: list[int] = columns.tolist()
        self.height = source.height + len(self._rows)
        self.width = source.width + len(self._columns)

    def read(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop) as (1, 3, stop - start, width)."""
        if start == stop:
            return torch.empty(1, 3, 0, self.width)
        height = self._source.height
        wanted = [*range(start, min(stop, height)), *self._rows[max(start - height, 0) :]]
        wanted = wanted[: stop - start]
        first = min(wanted)
        rows = self._source.read(first, max(wanted) + 1)
        if stop > height:
            rows = rows[:, [row - first for row in wanted]]
        if self._columns:
            rows = torch.cat((rows, rows[:, :, self._columns]), 2)
        return rows.unsqueeze(0)


class _Steps:
    """The ticks of a stream; on CUDA, those between the borders of the picture are one graph.

    There every tick does the same operations on the same memory, so they are recorded once and
    replayed: a thousand small kernels without a word from Python. The first such tick runs as it
    is (libraries set themselves up), the second is recorded.
    """

    _recording = Lock()  # a process may record one graph at a time

    def __init__(self, stream: RowStream, device: torch.device) -> None:
        self._stream = stream
        self._device = device
        self._is_recordable = records(device)
        self._is_warm = False
        self._graph: torch.cuda.CUDAGraph | None = None
        self._incoming = self._outgoing = torch.empty(0)

    def run(
        self, steps: Iterator[tuple[Tick, Tensor]]
    ) -> Generator[tuple[Tick, Tensor], None, None]:
        """The ticks with the rows of the image, to the ticks with the rows of the output."""
        for tick, image in steps:
            yield tick, self._step(tick, image)

    def _step(self, tick: Tick, image: Tensor) -> Tensor:
        if not self._is_recordable or not tick.is_steady(self._stream.output):
            return self._stream.step(tick, image)
        if self._graph is None and self._is_warm:
            self._record(tick, image)
        self._is_warm = True
        if self._graph is None:
            return self._stream.step(tick, image)
        self._incoming.copy_(image)
        self._graph.replay()
        return self._outgoing.clone()  # the next replay writes over it

    def _record(self, tick: Tick, image: Tensor) -> None:
        graph = torch.cuda.CUDAGraph()
        self._incoming = image.clone()
        try:
            with self._recording, self._aside_from_others(graph):
                self._outgoing = self._stream.step(tick, self._incoming)
        except RuntimeError:
            # Some kernel cannot be recorded here. Recording runs nothing, so nothing is lost.
            self._is_recordable = False
        else:
            self._graph = graph

    @contextmanager
    def _aside_from_others(self, graph: torch.cuda.CUDAGraph) -> Iterator[None]:
        """Record what this device is asked to do in the block, whatever other threads do meanwhile.

        torch's own stream for recordings belongs to the device that was current at the first: what
        another device is asked to do would not be recorded, but run. And in its usual mode other
        threads, which run other devices, may ask for no memory.
        """
        with (
            torch.cuda.device(self._device),
            torch.cuda.stream(torch.cuda.current_stream()),  # come back to it, whatever fails
            torch.cuda.graph(graph, stream=torch.cuda.Stream(), capture_error_mode="thread_local"),
        ):
            yield


@dataclass(frozen=True, slots=True)
class _Parcel:
    """Finished rows on their way to the host."""

    start: int  # of the rows, in the enlarged image
    restored: Tensor  # (1, 3, count, s·W)
    extremes: Tensor  # the lowest and the highest value, for the guard
    arrival: torch.cuda.Event | None


class _Outbox:
    """Brings rows to the host, on CUDA beside the computation."""

    def __init__(self, device: torch.device) -> None:
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None

    def send(self, start: int, restored: Tensor) -> _Parcel:
        extremes = torch.stack(torch.aminmax(restored))
        if self._copies is None:
            return _Parcel(start, restored.to("cpu"), extremes.to("cpu"), None)
        self._copies.wait_stream(torch.cuda.current_stream(restored.device))
        with torch.cuda.stream(self._copies):
            arrival = torch.cuda.Event()
            parcel = _Parcel(start, to_host(restored), to_host(extremes), arrival)
            arrival.record()
        for tensor in (restored, extremes):  # not to be reused before the copy is done
            tensor.record_stream(self._copies)
        return parcel


class _Guard:
    """Looks at every band when it arrives: a picture, or numbers that broke down?"""

    def __init__(self, runner: Runner, scale: int) -> None:
        self._runner = runner
        self._scale = scale
        self._brightest: list[float] = []  # of each row of the input so far

    def saw(self, rows: Tensor) -> None:
        if rows.numel() > 0:
            self._brightest += rows.amax((0, 1, 3)).tolist()

    def passed(self, parcel: _Parcel, source: RowSource) -> Iterator[tuple[int, Tensor]]:
        """The rows as the caller gets them; none where they are beyond the picture's end."""
        with memory_failures():
            if parcel.arrival is not None:
                parcel.arrival.synchronize()
        restored = parcel.restored[0].float()
        self._check(parcel.start, restored.shape[1], *parcel.extremes.tolist())
        count = min(restored.shape[1], source.height * self._scale - parcel.start)
        if count > 0:
            yield parcel.start, restored[:, :count, : source.width * self._scale]

    def _check(self, start: int, count: int, low: float, high: float) -> None:
        if not (isfinite(low) and isfinite(high)):
            raise PrecisionLostError
        if high <= BLACK and self._runner.precision is not Precision.FP32:
            rows = slice(start // self._scale, -(-(start + count) // self._scale))
            if max(self._brightest[rows]) >= NOT_BLACK:
                raise PrecisionLostError


@dataclass(frozen=True, slots=True)
class _Strips:
    """Tiles far taller than wide, each a stream: their height costs the device no memory."""

    runner: Runner
    band: int
    on_band: Callable[[int], None]

    @property
    def network(self) -> Network:
        return self.runner.network

    def submit(self, batch: Tensor) -> _Strip:
        return _Strip(self, batch)


@dataclass(frozen=True, slots=True)
class _Strip:
    strips: _Strips
    batch: Tensor  # (N, 3, H, W)

    def result(self) -> Tensor:
        """(N, 3, s·H, s·W) float32."""
        return torch.stack([self._enlarge(TensorSource(image)) for image in self.batch])

    def _enlarge(self, source: RowSource) -> Tensor:
        runner, band, on_band = self.strips.runner, self.strips.band, self.strips.on_band
        return torch.cat([rows for _, rows in _run(runner, source, band, on_band)], 1)
