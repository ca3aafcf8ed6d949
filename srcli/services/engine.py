"""A network on a device, ready for any number of images: plan, run, start over when it must."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Self

import torch

from srcli.errors import OutOfMemoryError, UsageError
from srcli.inference.convoy import ticks_at_once
from srcli.inference.ensemble import ensemble
from srcli.inference.geometry import Plan, PlanKind, StreamPlan, TilePlan
from srcli.inference.memory import KEPT_BY_LIBRARIES, Need, free_bytes, measure_need, stream_bytes
from srcli.inference.plan import STRIP_BYTES, PlanOptions, Room, plan_run
from srcli.inference.precision import Precision, Runner
from srcli.inference.rows import CroppedSink, RowSink, RowSource, WrappedSource
from srcli.inference.run import enlarge, enlarge_together
from srcli.services.devices import choose_device
from srcli.services.gate import Gate
from srcli.services.network import LoadedNetwork
from srcli.services.observer import EngineFacts

LARGEST_BATCH = 8  # more tiles at once gain nothing on the cards of today


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How a network is run; None chooses by measuring."""

    device: str = "auto"
    precision: Precision = Precision.AUTO
    plan: PlanKind = PlanKind.AUTO
    tile: int | None = None  # side of a tile's core in input pixels; 0 is the whole image at once
    halo: int | None = None  # context around a tile in input pixels
    tta: bool = False  # average over the eight symmetries of the square
    seamless: bool = False  # the image continues at its far borders
    batch: int | None = None  # small images of one size that are run at once

    def __post_init__(self) -> None:
        if (self.tile or 0) < 0 or (self.halo or 0) < 0:
            raise UsageError(
                f"--tile {self.tile} --halo {self.halo} cannot be", hint="both start at 0"
            )
        if self.batch is not None and self.batch < 1:
            raise UsageError(f"--batch {self.batch} cannot be", hint="it starts at 1")
        if self.tile == 0 and self.plan not in (PlanKind.AUTO, PlanKind.WHOLE):
            raise UsageError(
                f"--tile off is the whole image at once, --plan {self.plan} is not",
                hint="leave one of the two out",
            )
        is_given = bool(self.tile) or self.halo is not None
        if is_given and self.plan not in (PlanKind.AUTO, PlanKind.TILES):
            raise UsageError(
                f"--plan {self.plan} leaves no meaning to --tile or --halo",
                hint="give them with --plan tiles or auto",
            )


class Engine:
    """Runs one network on image after image; not for two threads at once."""

    def __init__(
        self,
        loaded: LoadedNetwork,
        options: EngineOptions | None = None,
        *,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> None:
        self.options = options or EngineOptions()
        self.loaded = loaded
        self._on_note = on_note
        network = ensemble(loaded.network) if self.options.tta else loaded.network
        self.runner = Runner(
            network, choose_device(self.options.device), self.options.precision, on_note=on_note
        )
        self._needs: dict[torch.dtype, Need] = {}
        self._gate: Gate | None = None

    def beside(self, gate: Gate) -> Self:
        """Another engine over the same weights, for another thread.

        What the engines of one `gate` need for their networks passes it, in bytes.
        """
        twin = copy.copy(self)
        twin.runner = copy.copy(self.runner)
        twin._gate = gate
        return twin

    @property
    def scale(self) -> int:
        """What one pass enlarges by."""
        return self.runner.network.scale

    @property
    def device(self) -> torch.device:
        return self.runner.device

    @property
    def precision(self) -> Precision:
        """What the network computes in, as of now: the guard may have changed it."""
        return self.runner.precision

    @property
    def facts(self) -> EngineFacts:
        """What a user is told of it."""
        return EngineFacts(
            name=self.loaded.name,
            digest=self.loaded.digest,
            scale=self.scale,
            device=str(self.device),
            precision=str(self.precision),
        )

    def plan(self, height: int, width: int) -> Plan:
        """How an image of this size would be run now."""
        options, runner = self.options, self.runner
        ours = self._gate.held if self._gate else 0  # so that the plan is that of a picture alone
        budget = free_bytes(runner.device, ours=ours)
        room = Room(device=runner.device, budget=budget)
        is_whole = options.tile == 0
        wanted = PlanOptions(
            kind=PlanKind.WHOLE if is_whole else options.plan,
            tile=None if is_whole else options.tile,
            halo=options.halo,
        )
        return plan_run(height, width, runner.replica, self._need(), room, wanted)

    def run(
        self,
        source: RowSource,
        sink: RowSink,
        *,
        on_tiles: Callable[[int, int], None] = lambda done, total: None,
    ) -> Plan:
        """One pass of `source` into `sink`, which is `scale` times as large on each side.

        Raises OutOfMemoryError when no plan fits.
        """
        if self.options.seamless:
            margin = self.runner.network.traits.halo_px
            sink = CroppedSink(
                sink, margin * self.scale, source.height * self.scale, source.width * self.scale
            )
            source = WrappedSource(source, margin)
        plan = self.plan(source.height, source.width)
        with self._gate.holding(self.bytes_of(plan)) if self._gate else nullcontext():
            return enlarge(
                self.runner,
                source,
                sink,
                plan,
                batch=self._batch(plan),
                on_tiles=on_tiles,
                on_note=self._on_note,
            )

    def bytes_of(self, plan: Plan) -> int:
        """The memory that a plan states for the network."""
        if not isinstance(plan, StreamPlan):
            return round(self._need().bytes(*plan.largest))
        band = stream_bytes(
            self.runner.replica,
            width=plan.width,
            band=plan.band,
            at_once=ticks_at_once(self.runner.replica, self.device),
        )
        kept = KEPT_BY_LIBRARIES if self.device.type == "cpu" else 0
        return round(band + kept + (STRIP_BYTES if plan.is_cut else 0))

    @property
    def groups(self) -> bool:
        """Whether small images of one size may share a run."""
        return self.options.batch != 1 and (self.options.batch is not None or not self._is_cpu)

    @property
    def _is_cpu(self) -> bool:
        return self.device.type == "cpu"

    def most_together(self, height: int, width: int) -> int:
        """How many images of this size share a run: on a GPU as many small ones as gain and fit."""
        if not self.groups:
            return 1
        try:
            plan = self.plan(height, width)
        except OutOfMemoryError:  # alone, it will say so itself
            return 1
        if plan.kind is not PlanKind.WHOLE or self.options.seamless:
            return 1  # large enough to keep a device busy
        fitting = free_bytes(self.device) / self._need().bytes(height, width)
        return int(min(max(fitting, 1), self.options.batch or LARGEST_BATCH))

    def run_together(
        self,
        sources: Sequence[RowSource],
        sinks: Sequence[RowSink],
        *,
        on_tiles: Sequence[Callable[[int, int], None]],
    ) -> list[Plan]:
        """One pass of images of one size, in one run where they are small; the plan of each.

        On a CPU the results are those of `run` for each, bit for bit. Raises what `run` raises, and
        MemoryExhaustedError where the batch does not fit: one by one they may.
        """
        first = sources[0]
        plan = self.plan(first.height, first.width)
        if len(sources) == 1 or not isinstance(plan, TilePlan) or plan.tiles > 1:
            triples = zip(sources, sinks, on_tiles, strict=True)
            return [self.run(source, sink, on_tiles=hear) for source, sink, hear in triples]
        enlarge_together(self.runner, sources, sinks)
        for hear in on_tiles:
            hear(1, 1)
        return [plan] * len(sources)

    def _batch(self, plan: Plan) -> int:
        if self._is_cpu or isinstance(plan, StreamPlan):
            return 1  # a CPU has its hands full with one, and a stream is one
        fitting = free_bytes(self.device) / self._need().bytes(*plan.largest)
        return int(min(max(fitting, 1), LARGEST_BATCH))

    def _need(self) -> Need:
        dtype = self.runner.dtype
        if dtype not in self._needs:
            self._needs[dtype] = measure_need(self.runner.replica)
        return self._needs[dtype]
