"""RRDB and Compact networks as streams of rows: the numbers of the whole image, band by band.

A network is a chain of stages. They are shared out among lanes, neighbours together, each lane with
about as much to do as any other; `relay` gives every lane a thread of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
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


class Lane:
    """Stages that follow each other, run by one thread."""

    def __init__(self, signal: Signal, stages: Sequence[Stage]) -> None:
        self._input, self._output = signal, stages[-1].output
        self._stages = stages

    def is_idle(self, tick: Tick) -> bool:
        """Whether it has nothing to make in this tick: not yet, or no more."""
        return tick.is_idle(self._input, self._output)

    def step(self, tick: Tick, rows: Tensor) -> Tensor:
        """What the last stage makes in this tick of the `rows` that the first one is given."""
        if rows.shape[2] > 0:
            self._stages[0].room(tick).copy_(rows)
        for stage, following in pairwise(self._stages):
            stage.step(tick, following.room(tick))
        return self._stages[-1].step(tick)


@dataclass(frozen=True, slots=True)
class RowStream:
    """A network that takes rows and gives rows."""

    fold: int  # rows of the image to one row of INPUT, in which ticks count
    lanes: Sequence[Lane]
    output: Signal
    prepare: Callable[[Tensor], Tensor]  # rows of the image to rows of INPUT

    def step(self, tick: Tick, image: Tensor) -> Tensor:
        """The next rows of the image, (N, C, fold · rows of INPUT, W), to those of `output`.

        Both counts follow from the tick; either may be 0. Ticks come in order, none is left out.
        """
        rows = image
        for index in range(len(self.lanes)):
            rows = self.step_lane(index, tick, rows)
        return rows

    def step_lane(self, index: int, tick: Tick, rows: Tensor) -> Tensor:
        """What one lane makes of what the one before it made, the first of rows of the image."""
        return self.lanes[index].step(tick, self.prepare(rows) if index == 0 else rows)


def build_stream(
    body: nn.Module, *, images: int, width: int, band: int, lanes: int = 1
) -> RowStream:
    """A stream of `images` at once through a network that `can_stream`, in up to so many lanes.

    `width` and `band`, in pixels of the image, must be multiples of the network's fold. All
    memory that outlives a tick is allocated here, but for what is on its way between lanes. The
    stream computes where the weights are, each stage in the precision of its own.
    """
    fold = 1
    prepare: Callable[[Tensor], Tensor] = _as_it_is
    if isinstance(body, RRDBNet):
        fold, prepare = body.config.unshuffle, partial(_folded, body)
        inside = body.conv_body.weight
        links = _rrdb_links(body, band // fold)
    elif isinstance(body, CompactNet):
        inside = next(part.weight for part in body.body if isinstance(part, nn.PReLU))
        links = _compact_links(body, band)
    else:
        raise TypeError(f"{type(body).__name__} cannot be streamed")
    signal = INPUT
    made: list[Lane] = []
    for group in share_out(links, lanes):
        space = Workspace(images, width // fold, inside)  # windows are shared within a lane only
        first, stages = signal, []
        for link in group:
            stages.append(link.make(signal, space))
            signal = stages[-1].output
        made.append(Lane(first, stages))
    return RowStream(fold, made, signal, prepare)


def can_stream(body: nn.Module) -> bool:
    """Whether there is a stream for this network."""
    return isinstance(body, RRDBNet | CompactNet)


@dataclass(frozen=True, slots=True)
class Link:
    """A stage before it is made."""

    cost: int  # multiplications for each pixel of INPUT
    make: Callable[[Signal, Workspace], Stage]  # from what it takes, and where its windows are


def share_out(links: Sequence[Link], lanes: int) -> list[Sequence[Link]]:
    """Neighbours together, in at most `lanes` groups, the costliest as cheap as can be."""
    limit = max(link.cost for link in links)
    while len(groups := _filled(links, limit)) > lanes:
        limit += -(-limit // 64)
    return groups


def _filled(links: Sequence[Link], limit: int) -> list[Sequence[Link]]:
    groups: list[list[Link]] = [[]]
    for link in links:
        if sum(before.cost for before in groups[-1]) + link.cost > limit:
            groups.append([])
        groups[-1].append(link)
    return [group for group in groups if group]


def _rrdb_links(network: RRDBNet, band: int) -> list[Link]:
    """conv_first, the blocks, and all that comes after them."""
    config = network.config
    aside: deque[Tensor] = deque()  # the shallow features, on their way to the other end
    first = partial(_Shallow, network.conv_first, band, aside)
    links = [Link(_multiplications(network.conv_first), first)]
    for block in network.body:
        assert isinstance(block, ResidualInResidualBlock)
        links.append(Link(_multiplications(block), partial(BlockStage, block, band)))
    cost = _multiplications(network.conv_body)
    grid = 1 if config.upsampling == "shuffle" else 4  # pixels that the next convolution makes
    for module in network.upsamplers:
        cost += grid * _multiplications(module)
        grid *= 4
    cost += 4**config.doublings * _multiplications(network.conv_hr, network.conv_last)
    return [*links, Link(cost, partial(_End, network, band, aside))]


def _multiplications(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters() if p.ndim == 4)


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
        self, module: nn.Conv2d, band: int, aside: deque[Tensor], signal: Signal, space: Workspace
    ) -> None:
        super().__init__(module, band, signal, space.of(module.weight))
        self._aside = aside

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        made = super().step(tick)
        self._aside.append(made)
        return made if out is None else out.copy_(made)


class _Deep(ConvolutionStage):
    """conv_body, and the shallow features, which wait here until it has caught up."""

    def __init__(
        self, module: nn.Conv2d, band: int, aside: deque[Tensor], signal: Signal, space: Workspace
    ) -> None:
        super().__init__(module, band, signal, space)
        self._aside = aside
        shallow = INPUT.later()
        self._skip = space.window(
            shallow,
            channels=module.out_channels,
            history=self.output.delay - shallow.delay,
            band=band,
        )

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        self._skip.room(tick).copy_(self._aside.popleft())
        made = super().step(tick)
        made += self._skip.view(tick, tick.rows(self.output))
        self._skip.close(tick)
        return made if out is None else out.copy_(made)


class _End:
    """conv_body with the long skip, and the way to the picture at up to 16 times the resolution.

    Its rows get long, so it takes them in smaller ticks.
    """

    def __init__(
        self, network: RRDBNet, band: int, aside: deque[Tensor], signal: Signal, space: Workspace
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
            self._stages.append(ConvolutionStage(module, band, signal, space, slope=slope))
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


def _compact_links(network: CompactNet, band: int) -> list[Link]:
    """The convolutions with their activations, the last one with the enlargement."""
    convolutions = [module for module in network.body if isinstance(module, nn.Conv2d)]
    activations = [module for module in network.body if isinstance(module, nn.PReLU)]
    base: deque[Tensor] = deque()  # the image, on its way to the other end
    links = []
    for index, (module, activation) in enumerate(zip(convolutions, activations, strict=False)):
        make = partial(_Activated, module, activation, band, base if index == 0 else None, index)
        links.append(Link(_multiplications(module), make))
    last = partial(_Enlarged, network, convolutions[-1], band, base)
    return [*links, Link(_multiplications(convolutions[-1]), last)]


class _Activated(ConvolutionStage):
    """A convolution with its PReLU."""

    def __init__(
        self,
        module: nn.Conv2d,
        activation: nn.PReLU,
        band: int,
        base: deque[Tensor] | None,
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
            self._base.append(self.room(tick).clone())
        made: Tensor = self._activation(super().step(tick).to(self._activation.weight.dtype))
        return made if out is None else out.copy_(made)


class _Enlarged:
    """The last convolution, its pixel-shuffle, and the image that is added."""

    def __init__(
        self,
        network: CompactNet,
        module: nn.Conv2d,
        band: int,
        base: deque[Tensor],
        signal: Signal,
        space: Workspace,
    ) -> None:
        self._last = ConvolutionStage(module, band, signal, space)
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
        self._base.room(tick).copy_(self._arriving.popleft())
        made = F.pixel_shuffle(self._last.step(tick), self._scale)
        made += nearest(self._base.view(tick, tick.rows(self._last.output)), self._scale)
        self._base.close(tick)
        return made if out is None else out.copy_(made)
