"""RRDB and Compact networks as streams of rows: the numbers of the whole image, band by band."""

from __future__ import annotations

from itertools import pairwise
from math import gcd
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srcli.inference.delays import Signal, Tick
from srcli.inference.stages import (
    BlockStage,
    ConvolutionStage,
    DoublingStage,
    activate,
    nearest,
)
from srcli.inference.window import Workspace
from srcli.models.compact import CompactNet
from srcli.models.rrdb import ResidualInResidualBlock, RRDBNet

INPUT = Signal()


class RowStream(Protocol):
    """A network that takes rows and gives rows."""

    fold: int  # rows of the image to one row of INPUT, in which ticks count
    output: Signal

    def step(self, tick: Tick, image: Tensor) -> Tensor:
        """The next rows of the image, (N, C, fold · rows of INPUT, W), to those of `output`.

        Both counts follow from the tick; either may be 0. Ticks come in order, none is left out.
        """
        ...


def build_stream(body: nn.Module, *, images: int, width: int, band: int) -> RowStream:
    """A stream of `images` at once through a network that `can_stream`.

    `width` and `band`, in pixels of the image, must be multiples of the network's fold. All
    memory that outlives a tick is allocated here. The stream computes where the weights are, in
    their precision.
    """
    if isinstance(body, RRDBNet):
        return RRDBStream(body, images=images, width=width, band=band)
    if isinstance(body, CompactNet):
        return CompactStream(body, images=images, width=width, band=band)
    raise TypeError(f"{type(body).__name__} cannot be streamed")


def can_stream(body: nn.Module) -> bool:
    """Whether there is a stream for this network."""
    return isinstance(body, RRDBNet | CompactNet)


class RRDBStream:
    """RRDBNet, a band of rows at a time."""

    def __init__(self, network: RRDBNet, *, images: int, width: int, band: int) -> None:
        config = network.config
        self.fold = config.unshuffle
        self._network = network
        space = Workspace(images, width // self.fold, network.conv_first.weight)
        band //= self.fold
        self._first = ConvolutionStage(network.conv_first, INPUT, space, band)
        shallow = signal = self._first.output
        self._blocks: list[BlockStage] = []
        for block in network.body:
            assert isinstance(block, ResidualInResidualBlock)
            self._blocks.append(BlockStage(block, signal, space, band))
            signal = self._blocks[-1].output
        self._last = ConvolutionStage(network.conv_body, signal, space, band)
        self._deep = signal = self._last.output
        self._skip = space.window(
            shallow, channels=config.channels, history=signal.delay - shallow.delay, band=band
        )
        self._tail = _Tail(network, signal, space, band)
        self.output = self._tail.output

    def step(self, tick: Tick, image: Tensor) -> Tensor:
        if image.shape[2] > 0:
            self._first.room(tick).copy_(self._folded(image))
        shallow = self._first.step(tick)
        self._skip.room(tick).copy_(shallow)
        self._blocks[0].room(tick).copy_(shallow)
        followers: list[BlockStage | ConvolutionStage] = [*self._blocks[1:], self._last]
        for block, following in zip(self._blocks, followers, strict=True):
            block.step(tick, out=following.room(tick))
        features = self._last.step(tick)
        features += self._skip.view(tick, tick.rows(self._deep))
        self._skip.close(tick)
        return self._tail.step(tick, features)

    def _folded(self, image: Tensor) -> Tensor:
        if self._network.config.imagenet_normalised:
            image = (image - self._network.mean) / self._network.std
        return F.pixel_unshuffle(image, self.fold) if self.fold > 1 else image


class _Tail:
    """From the features to the picture, at up to sixteen times the resolution.

    Its rows are long, so it takes them in smaller ticks.
    """

    def __init__(self, network: RRDBNet, signal: Signal, space: Workspace, band: int) -> None:
        config = network.config
        self._network = network
        self._input = signal
        self._parts = gcd(band, 2**config.doublings)
        band //= self._parts
        self._stages: list[DoublingStage | ConvolutionStage] = []
        for module in network.upsamplers:
            shuffles = config.upsampling == "shuffle"
            self._stages.append(DoublingStage(module, signal, space, band, shuffles=shuffles))
            signal = self._stages[-1].output
        for module in (network.conv_hr, network.conv_last):
            self._stages.append(ConvolutionStage(module, signal, space, band))
            signal = self._stages[-1].output
        self.output = signal

    def step(self, tick: Tick, features: Tensor) -> Tensor:
        finished = []
        for part in tick.divided(self._parts):
            rows = part.rows(self._input).within(tick.rows(self._input))
            finished.append(self._step(part, features[:, :, rows.start : rows.stop]))
        return finished[0] if len(finished) == 1 else torch.cat(finished, 2)

    def _step(self, tick: Tick, features: Tensor) -> Tensor:
        config = self._network.config
        self._stages[0].room(tick).copy_(features)
        for stage, following in pairwise(self._stages):
            activate(stage.step(tick), config.slope, out=following.room(tick))
        restored = self._stages[-1].step(tick)
        if config.imagenet_normalised:
            restored = restored * self._network.std + self._network.mean
        return restored


class CompactStream:
    """CompactNet, a band of rows at a time."""

    fold = 1

    def __init__(self, network: CompactNet, *, images: int, width: int, band: int) -> None:
        convolutions = [module for module in network.body if isinstance(module, nn.Conv2d)]
        space = Workspace(images, width, convolutions[0].weight)
        signal = INPUT
        self._stages: list[ConvolutionStage] = []
        for index, module in enumerate(convolutions):
            share = f"{module.in_channels} channels, {index % 2}"
            self._stages.append(ConvolutionStage(module, signal, space, band, share=share))
            signal = self._stages[-1].output
        self._activations = [module for module in network.body if isinstance(module, nn.PReLU)]
        self._base = space.window(
            INPUT, channels=network.config.image_channels, history=signal.delay, band=band
        )
        self._deep = signal
        self._scale = network.config.scale
        self.output = signal.enlarged(self._scale)

    def step(self, tick: Tick, image: Tensor) -> Tensor:
        self._base.room(tick).copy_(image)
        self._stages[0].room(tick).copy_(image)
        following = pairwise(self._stages)
        for (stage, next_stage), activation in zip(following, self._activations, strict=True):
            next_stage.room(tick).copy_(activation(stage.step(tick)))
        detail = F.pixel_shuffle(self._stages[-1].step(tick), self._scale)
        detail += nearest(self._base.view(tick, tick.rows(self._deep)), self._scale)
        self._base.close(tick)
        return detail
