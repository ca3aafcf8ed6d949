"""RRDB and Compact networks as streams of rows: the numbers of the whole image, band by band.

A network is a chain of stages, each with what the next tick needs of this one. Several ticks may be
under way, one stage or more behind each other; `convoy` gives each a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import gcd

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srcli.inference.delays import Signal, Tick
from srcli.inference.stages import (
    BlockStage,
    ConvolutionStage,
    DoublingStage,
    ShufflingStage,
    Stage,
    nearest,
)
from srcli.inference.window import Workspace
from srcli.models.compact import CompactNet
from srcli.models.rrdb import ResidualInResidualBlock, RRDBNet

INPUT = Signal()


ALONE: AbstractContextManager[object] = nullcontext()

# What passes by the stages between two, by the number of its tick: one that is done again, because
# it could not be recorded, finds nothing left of itself.
Aside = dict[int, Tensor]


@dataclass(frozen=True, slots=True)
class RowStream:
    """A network that takes rows and gives rows."""

    fold: int  # rows of the image to one row of INPUT, in which ticks count
    stages: Sequence[Stage]
    prepare: Callable[[Tensor], Tensor]  # rows of the image to rows of INPUT
    at_once: int = 1  # ticks that may be under way

    @property
    def output(self) -> Signal:
        return self.stages[-1].output

    def step(
        self, tick: Tick, image: Tensor, turn: AbstractContextManager[object] = ALONE
    ) -> Tensor:
        """The next rows of the image, (N, C, fold · rows of INPUT, W), to those of `output`.

        Both counts follow from the tick; either may be 0. Every stage must get the ticks in order,
        and one at a time: `turn` is entered for each stage, to wait for it.
        """
        rows, first = self.prepare(image), self.stages[0]
        for stage, following in pairwise(self.stages):
            with turn:
                if stage is first and rows.shape[2] > 0:
                    first.room(tick).copy_(rows)
                stage.step(tick, following.room(tick))
        with turn:
            return self.stages[-1].step(tick)


def build_stream(
    body: nn.Module, *, images: int, width: int, band: int, at_once: int = 1
) -> RowStream:
    """A stream of `images` through a network that `can_stream`, for so many ticks at once.

    `width` and `band`, in pixels of the image, must be multiples of the network's fold. All
    memory that outlives a tick is allocated here. The stream computes where the weights are, each
    stage in the precision of its own.
    """
    fold = 1
    prepare: Callable[[Tensor], Tensor] = _as_it_is
    if isinstance(body, RRDBNet):
        fold, prepare = body.config.unshuffle, partial(_folded, body)
        space = Workspace(images, width // fold, body.conv_body.weight, at_once)
        stages = _rrdb_stages(body, band // fold, space)
    elif isinstance(body, CompactNet):
        inside = next(part.weight for part in body.body if isinstance(part, nn.PReLU))
        stages = _compact_stages(body, band, Workspace(images, width, inside, at_once))
    else:
        raise TypeError(f"{type(body).__name__} cannot be streamed")
    return RowStream(fold, stages, prepare, at_once)


def can_stream(body: nn.Module) -> bool:
    """Whether there is a stream for this network."""
    return isinstance(body, RRDBNet | CompactNet)


def records(device: torch.device) -> bool:
    """Whether the ticks between the borders of the picture are one recording there."""
    return device.type == "cuda"


def _rrdb_stages(network: RRDBNet, band: int, space: Workspace) -> list[Stage]:
    """conv_first, the blocks, and all that comes after them."""
    aside: Aside = {}  # the shallow features, on their way to the other end
    stages: list[Stage] = [_Shallow(network.conv_first, band, aside, INPUT, space)]
    for block in network.body:
        assert isinstance(block, ResidualInResidualBlock)
        stages.append(BlockStage(block, band, stages[-1].output, space))
    return [*stages, _End(network, band, aside, stages[-1].output, space)]


def _folded(network: RRDBNet, image: Tensor) -> Tensor:
    """What RRDBNet does to the image before its first convolution."""
    config = network.config
    if config.imagenet_normalised:
        image = (image - network.mean) / network.std
    return F.pixel_unshuffle(image, config.unshuffle) if config.unshuffle > 1 else image


def _as_it_is(image: Tensor) -> Tensor:
    return image


class _Shallow(ConvolutionStage):
    """conv_first; what it makes goes into the blocks and around them."""

    def __init__(
        self, module: nn.Conv2d, band: int, aside: Aside, signal: Signal, space: Workspace
    ) -> None:
        super().__init__(module, band, signal, space.of(module.weight))
        self._aside = aside

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        made = super().step(tick)
        self._aside[tick.index] = made
        return made if out is None else out.copy_(made)


class _Deep(ConvolutionStage):
    """conv_body, and the shallow features, which wait here until it has caught up."""

    def __init__(
        self, module: nn.Conv2d, band: int, aside: Aside, signal: Signal, space: Workspace
    ) -> None:
        super().__init__(module, band, signal, space, share="deep")
        self._aside = aside
        shallow = INPUT.later()
        self._skip = space.window(
            shallow,
            channels=module.out_channels,
            history=self.output.delay - shallow.delay,
            band=band,
        )

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        self._skip.room(tick).copy_(self._aside.pop(tick.index))
        made = super().step(tick)
        made += self._skip.view(tick, tick.rows(self.output))
        self._skip.close(tick)
        return made if out is None else out.copy_(made)


class _End:
    """conv_body with the long skip, and the way to the picture at up to 16 times the resolution.

    Its rows get long, so it takes them in smaller ticks.
    """

    def __init__(
        self, network: RRDBNet, band: int, aside: Aside, signal: Signal, space: Workspace
    ) -> None:
        config = network.config
        self._network = network
        self._deep = _Deep(network.conv_body, band, aside, signal, space)
        self._parts = gcd(band, 2**config.doublings)
        band //= self._parts
        signal = self._deep.output
        self._stages: list[Stage] = []
        for module in network.upsamplers:
            twice = DoublingStage if config.upsampling == "nearest" else ShufflingStage
            self._stages.append(twice(module, band, signal, space, slope=config.slope))
            signal = self._stages[-1].output
        for module, slope in ((network.conv_hr, config.slope), (network.conv_last, None)):
            where = space.of(module.weight)  # conv_last may be more exact than the rest
            self._stages.append(ConvolutionStage(module, band, signal, where, slope=slope))
            signal = self._stages[-1].output
        self.output = signal

    def room(self, tick: Tick) -> Tensor:
        return self._deep.room(tick)

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        features, finished = self._deep.step(tick), []
        for part in tick.divided(self._parts):
            rows = part.rows(self._deep.output).within(tick.rows(self._deep.output))
            finished.append(self._part(part, features[:, :, rows.start : rows.stop]))
        made = finished[0] if len(finished) == 1 else torch.cat(finished, 2)
        return made if out is None else out.copy_(made)

    def _part(self, tick: Tick, features: Tensor) -> Tensor:
        config = self._network.config
        self._stages[0].room(tick).copy_(features)
        for stage, following in pairwise(self._stages):
            stage.step(tick, following.room(tick))
        restored = self._stages[-1].step(tick)
        if config.imagenet_normalised:
            restored = restored * self._network.std + self._network.mean
        return restored


def _compact_stages(network: CompactNet, band: int, space: Workspace) -> list[Stage]:
    """The convolutions with their activations, the last one with the enlargement."""
    convolutions = [module for module in network.body if isinstance(module, nn.Conv2d)]
    activations = [module for module in network.body if isinstance(module, nn.PReLU)]
    base: Aside = {}  # the image, on its way to the other end
    stages: list[Stage] = []
    signal = INPUT
    for index, (module, activation) in enumerate(zip(convolutions, activations, strict=False)):
        arriving = base if index == 0 else None
        stages.append(_Activated(module, activation, band, arriving, index, signal, space))
        signal = stages[-1].output
    return [*stages, _Enlarged(network, convolutions[-1], band, base, signal, space)]


class _Activated(ConvolutionStage):
    """A convolution with its PReLU."""

    def __init__(
        self,
        module: nn.Conv2d,
        activation: nn.PReLU,
        band: int,
        base: Aside | None,
        index: int,
        signal: Signal,
        space: Workspace,
    ) -> None:
        # Neighbours are open at the same time: one is filled while the other is read.
        share = f"{module.in_channels} channels, {index % 2}"
        where = space if base is None else space.of(module.weight)
        super().__init__(module, band, signal, where, share=share)
        self._activation = activation
        self._base = base

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        if self._base is not None:
            self._base[tick.index] = self.room(tick).clone()
        made: Tensor = self._activation(super().step(tick).to(self._activation.weight.dtype))
        return made if out is None else out.copy_(made)


class _Enlarged:
    """The last convolution, its pixel-shuffle, and the image that is added."""

    def __init__(
        self,
        network: CompactNet,
        module: nn.Conv2d,
        band: int,
        base: Aside,
        signal: Signal,
        space: Workspace,
    ) -> None:
        self._last = ConvolutionStage(module, band, signal, space, share="last")
        self._scale = network.config.scale
        self.output = self._last.output.enlarged(self._scale)
        self._arriving = base
        self._base = space.of(module.weight).window(
            INPUT,
            channels=network.config.image_channels,
            history=self._last.output.delay,
            band=band,
        )

    def room(self, tick: Tick) -> Tensor:
        return self._last.room(tick)

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        self._base.room(tick).copy_(self._arriving.pop(tick.index))
        made = F.pixel_shuffle(self._last.step(tick), self._scale)
        made += nearest(self._base.view(tick, tick.rows(self._last.output)), self._scale)
        self._base.close(tick)
        return made if out is None else out.copy_(made)
