"""How much memory a network needs, and the plan that fits in what is free.

The need is not guessed: the network runs once on a small image, every tensor it makes is counted
while it lives, and the highest count is the need. Activations grow with the area, so the need of a
pixel is the same for a large image. (torch's meta device would need no numbers at all, but loads
torch's compiler, which takes longer than the run, and some architectures fail on it.)
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import psutil
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from srcli.errors import OutOfMemoryError
from srcli.inference.convoy import IN_WAITING
from srcli.inference.delays import Tick
from srcli.inference.geometry import TilePlan
from srcli.inference.streams import build_stream, can_stream, records
from srcli.models.network import Network, from_rgb

PROBE_SIDE = 24  # a multiple of the usual windows, and some tenths of a second at most
STACK_SIDE = 8  # stacks of convolutions know no windows
BANDS_IN_FLIGHT = 2  # finished, and not yet taken by the host
NARROW = 1  # columns of the stream that is measured
# What the C library keeps of freed blocks, and oneDNN for itself, whatever the stream
# (benchmarks/stream_memory.py).
KEPT_BY_LIBRARIES = 64 * 2**20
SHARE_OF_DEVICE = 0.8  # of what is free: the allocator's fragments and cuDNN's workspace need room
SHARE_OF_HOST = 0.5
HOST_LIMIT = 3 * 2**30  # more does not make a CPU faster, and others live here too
FEATHER_PX = 8
SMALLEST_TILE = 16


class MemoryExhaustedError(Exception):
    """The device refused an allocation: plan again, smaller. Never reaches a user."""


@dataclass(frozen=True, slots=True)
class Need:
    """Peak bytes of a network's activations: `per_pixel` of one image's input area."""

    per_pixel: float

    def bytes(self, height: int, width: int) -> float:
        return self.per_pixel * height * width


def measure_need(network: Network) -> Need:
    """The peak need of one forward pass, from a run on a small image where the network is."""
    multiple = network.traits.multiple
    probe = STACK_SIDE if can_stream(network.body) else PROBE_SIDE
    side = -(-max(probe, network.traits.minimum) // multiple) * multiple
    weight = next(network.parameters())
    image = torch.zeros(1, 3, side, side, device=weight.device, dtype=weight.dtype)
    counter = _LiveBytes()
    with torch.inference_mode(), counter:
        network(image)
    return Need(counter.peak / side**2)


def stream_bytes(network: Network, *, width: int, band: int, at_once: int = 1) -> float:
    """The need of a stream of this width, in bands of so many rows.

    Weights, state, what the stages make while they work on the ticks under way, and finished bands
    on their way to the host. Measured with two narrow streams where the network is: what is not
    weights grows with the width. On a CPU add KEPT_BY_LIBRARIES.
    """
    narrow = NARROW * network.traits.multiple
    weights = [(weight.device, weight.dtype) for weight in network.parameters()]
    key = band, at_once, *dict.fromkeys(weights)
    known = _measured.setdefault(network, {})
    if key not in known:
        thin, twice = (
            _stream_bytes(network, width, band, at_once) for width in (narrow, 2 * narrow)
        )
        known[key] = thin, twice
    thin, twice = known[key]
    return thin + (twice - thin) * (width / narrow - 1)


# Once for each network: measuring takes a tenth of the time of a small picture.
_measured: WeakKeyDictionary[Network, dict[tuple[object, ...], tuple[int, int]]]
_measured = WeakKeyDictionary()


def _stream_bytes(network: Network, width: int, band: int, at_once: int) -> int:
    """What a stream between the borders of the picture allocates."""
    weight, counter = next(network.parameters()), _LiveBytes()
    with torch.inference_mode(), counter:
        image = torch.zeros(1, 3, band, width, device=weight.device, dtype=weight.dtype)
        image = from_rgb(image, network.traits.channels)
        stream = build_stream(
            network.body, images=len(image), width=width, band=band, at_once=at_once
        )
        rows = band // stream.fold
        begun = 1 + stream.output.delay // (stream.output.rate * rows)
        stages, before = _StagePeaks(counter), counter.live
        tick = Tick(begun, rows, (begun + 1 + BANDS_IN_FLIGHT) * rows)
        finished = stream.step(tick, image, stages)
        # Each tick under way is in another stage, and carries what the first leaves for the last.
        # All of them and the ones in waiting may have been finished, and not been taken yet.
        busy = sum(sorted(stages.peaks)[-at_once:])
        carried = (at_once - 1) * (stages.after_first - before)
        waiting = (at_once - 1 + IN_WAITING) if at_once > 1 else 0
        others = waiting - 1 + BANDS_IN_FLIGHT
        # A recording works in memory of its own, and keeps it while the last ticks run without it.
        own = busy + image.nbytes + finished.nbytes if records(weight.device) else 0
        return counter.live + busy + carried + others * finished.nbytes + own


class _StagePeaks:
    """Entered for each stage in turn: how much more was alive in it than before."""

    def __init__(self, counter: _LiveBytes) -> None:
        self._counter = counter
        self._before = 0
        self.peaks: list[int] = []
        self.after_first = 0

    def __enter__(self) -> None:
        self._before = self._counter.peak = self._counter.live

    def __exit__(self, *_: object) -> None:
        self.after_first = self.after_first or self._counter.live
        self.peaks.append(self._counter.peak - self._before)


def plan_tiles(
    height: int,
    width: int,
    network: Network,
    need: Need,
    *,
    budget: float,
    tile: int | None = None,
    halo: int | None = None,
) -> TilePlan:
    """The largest tiles whose reads fit `budget` bytes, or cores of `tile` pixels when given.

    Raises OutOfMemoryError when not even the smallest tile fits.
    """
    traits = network.traits
    halo = traits.halo_px if halo is None else halo
    whole = TilePlan(
        height=height,
        width=width,
        tile=max(height, width),
        halo=halo,
        feather=min(FEATHER_PX, halo),
        multiple=traits.multiple,
    )
    if tile is not None:
        return replace(whole, tile=max(tile, 1))
    if not traits.is_tileable or need.bytes(height, width) <= budget:
        return whole
    plan = whole
    while need.bytes(*plan.largest) > budget:
        plan = smaller(plan)
    return plan


def smaller(plan: TilePlan) -> TilePlan:
    """The next plan to try when `plan` did not fit.

    Raises OutOfMemoryError when there is none.
    """
    tile = min(plan.tile, max(plan.height, plan.width))
    area = prod(plan.largest)
    while tile > SMALLEST_TILE:
        tile = max(tile * 3 // 4, SMALLEST_TILE)
        candidate = replace(plan, tile=tile)
        if prod(candidate.largest) < area:  # else the same cuts, or all context: no use to try
            return candidate
    raise OutOfMemoryError(
        f"not even a tile of {tile} px with {plan.halo} px of context fits in memory",
        hint="close other programs, or use --device cpu, --halo 16 or a smaller model",
    )


def free_bytes(device: torch.device, *, ours: int = 0) -> float:
    """What a run may take of the device's memory now, with the bytes that are `ours` already."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return SHARE_OF_DEVICE * (free + cached)
    available = float(psutil.virtual_memory().available + ours)
    return min(SHARE_OF_HOST * available, HOST_LIMIT)


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors alive, and remembers the most."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # the default loads torch's compiler at the first operation, for seconds

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)
        self.live = 0
        self.peak = 0
        self._owners: dict[int, int] = {}  # storage -> how many tensors look at it

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, Tensor):
                self._watch(tensor)
        return result

    def _watch(self, tensor: Tensor) -> None:
        if tensor.is_mkldnn:  # weights that oneDNN has put in its own order
            key, size = id(tensor), tensor.numel() * tensor.element_size()
        else:
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
        if key not in self._owners:
            self._owners[key] = 0
            self.live += size
            self.peak = max(self.peak, self.live)
        self._owners[key] += 1
        weakref.finalize(tensor, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._owners[key] -= 1
        if self._owners[key] == 0:
            del self._owners[key]
            self.live -= size
