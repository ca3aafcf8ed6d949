"""Which way a network goes over an image: at once, as a stream of bands, or in tiles."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn

from srcli.errors import UsageError
from srcli.inference.convoy import ticks_at_once
from srcli.inference.geometry import Plan, PlanKind, StreamPlan, TilePlan
from srcli.inference.memory import FEATHER_PX, Need, plan_tiles, smaller, stream_bytes
from srcli.inference.streams import can_stream
from srcli.models.network import Network

# Up to this size the whole image at once is not slower than a stream: the rows of a small image
# are few beside the network's delay (measured on a CPU, docs/explanation/streaming.md).
WHOLE_AREA = 192 * 192
# Nor is it where a light network makes no more than this of it: it all stays near, and is not cut
# into thousands of short operations, whose Python only one thread at a time can do.
WHOLE_BYTES = 48 * 2**20
# Larger bands are hardly faster. A CPU wants what it works on to stay near, and several ticks, of
# which each thread gets some; a GPU wants enough to do for all its cores.
BAND_BYTES_CPU = 18 * 2**20  # of what the widest convolution reads
LEAST_TICKS_CPU = 6
BAND_AREA = 128 * 1024
SMALLEST_BAND, LARGEST_BAND, LARGEST_BAND_CPU = 8, 128, 64
# Strips are as tall as the host can hold of the result, all strips side by side, in float32.
STRIP_BYTES = 1536 * 2**20
BYTES_PER_PIXEL = 3 * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Where a plan must fit."""

    device: torch.device
    budget: float  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What is asked of a plan, in input pixels; None chooses by measuring."""

    kind: PlanKind = PlanKind.AUTO
    tile: int | None = None  # side of a tile's core
    halo: int | None = None  # context around it


def plan_run(
    height: int,
    width: int,
    network: Network,
    need: Need,
    room: Room,
    options: PlanOptions | None = None,
) -> Plan:
    """The plan asked for, at the largest size that fits; `auto` takes the fastest exact one.

    `need` is that of one forward pass (`memory.measure_need`). With a tile or a halo given, `auto`
    means tiles. Raises OutOfMemoryError when nothing fits, UsageError when the network cannot be
    run as asked for.
    """
    options = options or PlanOptions()
    kind, tile = options.kind, options.tile
    if kind is PlanKind.AUTO:
        kind = _best(height * width, need.bytes(height, width), network, room, options)
    if kind is PlanKind.STREAM:
        return plan_stream(height, width, network, room)
    if kind is PlanKind.WHOLE:
        tile = max(height, width)
    return plan_tiles(
        height, width, network, need, budget=room.budget, tile=tile, halo=options.halo
    )


def _best(area: int, whole: float, network: Network, room: Room, options: PlanOptions) -> PlanKind:
    """For an image of this area, which at once takes `whole` bytes."""
    asks_for_tiles = options.tile is not None or options.halo is not None
    if asks_for_tiles or not can_stream(network.body):
        return PlanKind.TILES
    is_small = area <= WHOLE_AREA or whole <= WHOLE_BYTES
    return PlanKind.WHOLE if is_small and whole <= room.budget else PlanKind.STREAM


def plan_stream(height: int, width: int, network: Network, room: Room) -> StreamPlan:
    """Bands as high as is fast on the device, or as fit; strips where not even low ones do.

    Raises OutOfMemoryError when nothing fits, UsageError for a network that has no stream.
    """
    if not can_stream(network.body):
        raise UsageError(
            f"{network.traits.architecture} cannot be streamed in this way",
            hint="use --plan tiles; RRDB and Compact networks stream, without --tta",
        )
    traits = network.traits
    tall = STRIP_BYTES // (BYTES_PER_PIXEL * traits.scale**2 * width)
    strips = TilePlan(
        height=height,
        width=width,
        tile=width,
        tall=max(tall, 4 * traits.halo_px),
        halo=traits.halo_px,
        feather=min(FEATHER_PX, traits.halo_px),
        multiple=traits.multiple,
    )
    step = SMALLEST_BAND * traits.multiple
    wanted = max(_fast_band(height, width, network, room.device), 1)
    plan = StreamPlan(band=-(-wanted // step) * step, strips=strips)
    at_once = ticks_at_once(network, room.device)
    while stream_bytes(network, width=plan.width, band=plan.band, at_once=at_once) > room.budget:
        plan = _smaller_stream(plan)
    return plan


def _fast_band(height: int, width: int, network: Network, device: torch.device) -> int:
    if device.type != "cpu":
        return min(BAND_AREA // width, LARGEST_BAND, height)
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    widest = max(part.in_channels * part.weight.element_size() for part in convolutions)
    fold = network.traits.multiple
    near = BAND_BYTES_CPU * fold**2 // (widest * width)
    return min(near, LARGEST_BAND_CPU * fold, height // LEAST_TICKS_CPU)


def smaller_plan(plan: Plan) -> Plan:
    """The next plan to try when `plan` did not fit.

    Raises OutOfMemoryError when there is none.
    """
    return smaller(plan) if isinstance(plan, TilePlan) else _smaller_stream(plan)


def _smaller_stream(plan: StreamPlan) -> StreamPlan:
    """Lower bands first: they change nothing in the result. Strips only when that is not enough."""
    step = SMALLEST_BAND * plan.strips.multiple
    if plan.band > step:
        return replace(plan, band=-(-plan.band // (2 * step)) * step)
    return replace(plan, strips=smaller(plan.strips))
