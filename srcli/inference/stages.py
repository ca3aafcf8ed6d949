"""The parts of a streamed network: each takes the rows of a tick and makes its own.

A dense block's five convolutions read one window of all its channels. Each lags a row behind the
one before, so the window keeps six old rows (x1 stands for what conv1 makes of x, and so on):

                 rows of the window, top to bottom: 6 of history, then the band
    x            [. . . . . .][# # # # # # # #]   put there by the stage before
    x1           [. . . . .][# # # # # # # #]     conv1 of x
    x2           [. . . .][# # # # # # # #]       conv2 of x, x1
    x3           [. . .][# # # # # # # #]         conv3 of x, x1, x2
    x4           [. .][# # # # # # # #]           conv4 of x .. x3
    out           [# # # # # # # #]               x + 0.2 · conv5 of x .. x4

    [.] known before, needed again     [#] made by this tick

The block lags five rows, three blocks fifteen: the skip around them is a window of fifteen old
rows.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srcli.inference.delays import Signal, Tick
from srcli.inference.geometry import Span
from srcli.inference.window import Workspace
from srcli.models.rrdb import RESIDUAL_SCALE, DenseBlock, ResidualInResidualBlock

SIDE = 1  # rows that a 3x3 convolution needs above and below
_PADDING = [0, SIDE]  # zeros to the left and right only: above and below there are rows
_ONES = [1, 1]


class Kernel:
    """A 3x3 convolution over rows that come with their neighbours above and below.

    (N, C, rows + 2, W) -> (N, C', rows, W). In fp32 on the CPU, oneDNN gets its weights in the
    order it likes, once; and always oneDNN: torch gives small inputs to another kernel, which
    adds up in another order, and then a band is not bit for bit a part of the whole image.
    """

    def __init__(self, module: nn.Conv2d) -> None:
        weight = module.weight.detach()
        self.in_channels, self.out_channels = module.in_channels, module.out_channels
        self._weight, self._bias = weight, module.bias
        self._is_packed = (
            torch.backends.mkldnn.is_available()
            and weight.device.type == "cpu"
            and weight.dtype is torch.float32
        )
        if self._is_packed:
            self._weight = torch.ops.mkldnn._reorder_convolution_weight(
                weight, _PADDING, _ONES, _ONES, 1, None
            )

    def __call__(self, rows: Tensor) -> Tensor:
        if rows.shape[2] <= 2 * SIDE:  # torch refuses to make no rows
            return rows.new_empty(len(rows), self.out_channels, 0, rows.shape[3])
        # The kernels want a dense input and would copy what is not; here the copy is seen.
        rows = rows.contiguous(memory_format=torch.channels_last)
        if not self._is_packed:
            return F.conv2d(rows, self._weight, self._bias, padding=(0, SIDE))
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(
            rows, self._weight, self._bias, _PADDING, _ONES, _ONES, 1, "none", [], ""
        )
        return made


class Stage(Protocol):
    """A part of a streamed network: it keeps its input's old rows and makes the next of its own."""

    output: Signal

    def room(self, tick: Tick) -> Tensor:
        """Where the input of this tick belongs; to be filled before `step`."""
        ...

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        """The rows of `output` that this tick makes, in `out` if there is one."""
        ...


class ConvolutionStage:
    """A convolution that stands alone, with two old rows of its input."""

    def __init__(
        self, module: nn.Conv2d, signal: Signal, space: Workspace, band: int, *, share: str = ""
    ) -> None:
        self._kernel = Kernel(module)
        self.output = signal.later()
        self._window = space.window(
            signal, channels=module.in_channels, history=2 * SIDE, band=band, share=share
        )

    def room(self, tick: Tick) -> Tensor:
        return self._window.room(tick)

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        self._window.open(tick)
        made = self._kernel(self._window.view(tick, _around(tick.rows(self.output))))
        self._window.close(tick)
        return made if out is None else out.copy_(made)


class DoublingStage:
    """Nearest x2 and a convolution, or a convolution and a pixel-shuffle: two rows from each."""

    def __init__(
        self, module: nn.Conv2d, signal: Signal, space: Workspace, band: int, *, shuffles: bool
    ) -> None:
        self._kernel = Kernel(module)
        self._shuffles = shuffles
        self._undoubled = signal.later()
        self.output = self._undoubled.enlarged(2)
        self._window = space.window(
            signal, channels=module.in_channels, history=2 * SIDE, band=band
        )

    def room(self, tick: Tick) -> Tensor:
        return self._window.room(tick)

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        self._window.open(tick)
        seen = self._window.view(tick, _around(tick.rows(self._undoubled)))
        if self._shuffles:
            made = F.pixel_shuffle(self._kernel(seen), 2)
        else:
            made = self._kernel(nearest(seen, 2)[:, :, SIDE:-SIDE])
        self._window.close(tick)
        return made if out is None else out.copy_(made)


class DenseStage:
    """A dense block; its window holds its input and all that its convolutions add to it."""

    def __init__(
        self, block: DenseBlock, signal: Signal, space: Workspace, band: int, *, share: str
    ) -> None:
        self._growing = [Kernel(m) for m in (block.conv1, block.conv2, block.conv3, block.conv4)]
        self._closing = Kernel(block.conv5)
        self._slope = block.slope
        self._channels = block.conv1.in_channels
        self._input = signal
        self.output = signal.later(5)
        self._window = space.window(
            signal, channels=block.conv5.in_channels, history=5 + SIDE, band=band, share=share
        )

    def room(self, tick: Tick) -> Tensor:
        return self._window.room(tick, slice(self._channels))

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        window, signal, known = self._window, self._input, self._channels
        window.open(tick)
        for kernel in self._growing:
            signal, grown = signal.later(), slice(known, known + kernel.out_channels)
            rows = tick.rows(signal)
            made = kernel(window.view(tick, _around(rows), slice(known)))
            activate(made, self._slope, out=window.view(tick, rows, grown))
            known = grown.stop
        rows = tick.rows(self.output)
        residual = self._closing(window.view(tick, _around(rows)))
        features = window.view(tick, rows, slice(self._channels))
        window.close(tick)
        return torch.add(
            features, residual, alpha=RESIDUAL_SCALE, out=residual if out is None else out
        )


class BlockStage:
    """A residual-in-residual block: three dense blocks and the rows that wait to be added."""

    def __init__(
        self, block: ResidualInResidualBlock, signal: Signal, space: Workspace, band: int
    ) -> None:
        self._input = signal
        self._dense: list[DenseStage] = []
        for index, dense in enumerate((block.rdb1, block.rdb2, block.rdb3)):
            stage = DenseStage(dense, signal, space, band, share=f"dense {index}")
            self._dense.append(stage)
            signal = stage.output
        self.output = signal
        self._skip = space.window(
            self._input,
            channels=block.rdb1.conv1.in_channels,
            history=signal.delay - self._input.delay,
            band=band,
            share="skip",
        )

    def room(self, tick: Tick) -> Tensor:
        return self._dense[0].room(tick)

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        if tick.is_idle(self._input, self.output):
            return self.room(tick)[:, :, :0] if out is None else out
        self._skip.open(tick)
        self._skip.room(tick).copy_(self.room(tick))
        for dense, following in pairwise(self._dense):
            dense.step(tick, out=following.room(tick))
        residual = self._dense[-1].step(tick)
        skipped = self._skip.view(tick, tick.rows(self.output))
        made = residual if out is None else out
        torch.add(skipped, residual, alpha=RESIDUAL_SCALE, out=made)
        self._skip.close(tick)
        return made


def activate(made: Tensor, slope: float, *, out: Tensor) -> None:
    """LeakyReLU, and the way to where the rows belong, in one pass over them."""
    torch.ops.aten.leaky_relu.out(made, slope, out=out)


def nearest(rows: Tensor, factor: int) -> Tensor:
    """Each pixel as a square of them; also of no rows."""
    if rows.shape[2] == 0:
        return rows.new_empty(*rows.shape[:2], 0, rows.shape[3] * factor)
    return F.interpolate(rows, scale_factor=factor, mode="nearest")


def _around(rows: Span) -> Span:
    """The rows that a convolution reads to make `rows`."""
    return Span(rows.start - SIDE, rows.stop + SIDE) if rows.length else rows
