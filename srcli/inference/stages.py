"""The parts of a streamed network: each takes the rows of a tick and makes its own.

A dense block's five convolutions read a window for each of its tensors (x1 stands for what conv1
makes of x, and so on). Each lags a row behind the one before, so each window keeps fewer old rows:

                 rows of each window, top to bottom: history, then the band
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

from collections.abc import Sequence
from itertools import pairwise, product
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
    """A convolution over rows that come with their neighbours above and below.

    (N, C, rows + 2, W) -> (N, C', rows, W), through LeakyReLU if there is a slope. The channels
    may come in parts, each a dense tensor. On the CPU oneDNN adds the shares of the parts up, so
    that nothing is concatenated; elsewhere they are. oneDNN gets its weights in the order it likes,
    once; and always oneDNN: torch gives small inputs to another kernel, which adds up in another
    order, and then a band is not bit for bit a part of the image.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        parts: Sequence[int] = (),
        *,
        slope: float | None = None,
    ) -> None:
        self._out_channels, self._rows_to_make_one = weight.shape[0], weight.shape[2]
        self._bias, self._dtype = bias, weight.dtype
        self._weights = [weight]
        self._is_packed = _can_pack(weight)
        if self._is_packed:
            shares = weight.split(list(parts), 1) if parts else (weight,)
            self._weights = [
                torch.ops.mkldnn._reorder_convolution_weight(
                    share.contiguous(), _PADDING, _ONES, _ONES, 1, None
                )
                for share in shares
            ]
        # oneDNN has LeakyReLU in a convolution, but none after it has added to what is there.
        is_fused = self._is_packed and len(self._weights) == 1
        self._fused_slope = slope if is_fused else None
        self._slope = None if is_fused else slope

    def __call__(self, *parts: Tensor, out: Tensor | None = None) -> Tensor:
        """The rows, in `out` if there is one."""
        return self.finish(self.begin(*parts), out)

    def finish(self, begun: Tensor, out: Tensor | None = None) -> Tensor:
        """What is left to do to any pixels of what `begin` made, on their way to `out`."""
        if self._slope is not None:
            return activate(begun, self._slope, out=begun if out is None else out)
        return begun if out is None else out.copy_(begun)

    def begin(self, *parts: Tensor) -> Tensor:
        """The convolution, with all that oneDNN can do in one go."""
        rows = parts[0].to(self._dtype)  # an end of the network may be more exact than the rest
        if rows.shape[2] < self._rows_to_make_one:  # torch refuses to make no rows
            return rows.new_empty(len(rows), self._out_channels, 0, rows.shape[3])
        if not self._is_packed:
            rows = rows if len(parts) == 1 else torch.cat(parts, 1)
            return F.conv2d(rows, self._weights[0], self._bias, padding=_PADDING)
        made = self._convolved(rows, self._weights[0])
        for part, weight in zip(parts[1:], self._weights[1:], strict=True):
            torch.ops.mkldnn._convolution_pointwise_.binary(
                made, part, weight, None, _PADDING, _ONES, _ONES, 1, "add", 1.0, None, [], ""
            )
        return made

    def _convolved(self, rows: Tensor, weight: Tensor) -> Tensor:
        # The kernels want a dense input and would copy what is not; here the copy is seen.
        rows, slope = rows.contiguous(memory_format=torch.channels_last), self._fused_slope
        after, scalars = ("none", []) if slope is None else ("leaky_relu", [slope])
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(
            rows, weight, self._bias, _PADDING, _ONES, _ONES, 1, after, scalars, ""
        )
        return made


def _can_pack(weight: Tensor) -> bool:
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if weight.dtype is torch.bfloat16:  # oneDNN refuses it without AVX-512 or its like
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype is torch.float32


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
    """A convolution that stands alone, with two old rows of its input, and its LeakyReLU if any."""

    def __init__(
        self,
        module: nn.Conv2d,
        band: int,
        signal: Signal,
        space: Workspace,
        *,
        slope: float | None = None,
        share: str = "",
    ) -> None:
        self._kernel = Kernel(module.weight.detach(), module.bias, slope=slope)
        self.output = signal.later()
        self._window = space.window(
            signal, channels=module.in_channels, history=2 * SIDE, band=band, share=share
        )

    def room(self, tick: Tick) -> Tensor:
        return self._window.room(tick)

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        self._window.open(tick)
        made = self._kernel(self._window.view(tick, _around(tick.rows(self.output))), out=out)
        self._window.close(tick)
        return made


class ShufflingStage:
    """A convolution, a pixel-shuffle by two, and LeakyReLU."""

    def __init__(
        self, module: nn.Conv2d, band: int, signal: Signal, space: Workspace, *, slope: float
    ) -> None:
        self._convolution = ConvolutionStage(module, band, signal, space)
        self._slope = slope
        self.output = self._convolution.output.enlarged(2)

    def room(self, tick: Tick) -> Tensor:
        return self._convolution.room(tick)

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        made = F.pixel_shuffle(self._convolution.step(tick), 2)
        return activate(made, self._slope, out=made if out is None else out)


class DoublingStage:
    """Nearest x2, a convolution and LeakyReLU, all on the grid before the enlargement.

    A 3x3 convolution over doubled pixels sees each of them twice or once: for every second row and
    column it is a 2x2 convolution over the pixels themselves, whose weights are sums. That is 4/9
    of the multiplications, and the doubled tensor is never made:

        doubled   a a b b c c      an even column sees  a b b  = 1·a + 2·b
                    ^ ^ ^          an odd one           b b c  = 2·b + 1·c   (weights summed)
    """

    def __init__(
        self, module: nn.Conv2d, band: int, signal: Signal, space: Workspace, *, slope: float
    ) -> None:
        self._kernels = {
            (row, column): Kernel(
                _doubled(module.weight.detach(), row, column), module.bias, slope=slope
            )
            for row, column in product((0, 1), repeat=2)
        }
        self._undoubled = signal.later()
        self.output = self._undoubled.enlarged(2)
        self._channels = module.out_channels
        self._window = space.window(
            signal, channels=module.in_channels, history=2 * SIDE, band=band
        )

    def room(self, tick: Tick) -> Tensor:
        return self._window.room(tick)

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        self._window.open(tick)
        rows = tick.rows(self._undoubled)
        if out is None:
            seen = self.room(tick)
            shape = len(seen), self._channels, 2 * rows.length, 2 * seen.shape[3]
            out = seen.new_empty(shape).contiguous(memory_format=torch.channels_last)
        for (row, column), kernel in self._kernels.items():
            if rows.length == 0:
                break
            seen = self._window.view(tick, Span(rows.start - 1 + row, rows.stop + row))
            made = kernel.begin(seen)[:, :, :, column : column + seen.shape[3]]
            kernel.finish(made, out[:, :, row::2, column::2])
        self._window.close(tick)
        return out


class DenseStage:
    """A dense block: a window for its input and for each tensor that its convolutions add to it."""

    def __init__(
        self, block: DenseBlock, band: int, signal: Signal, space: Workspace, *, share: str
    ) -> None:
        convolutions = (block.conv1, block.conv2, block.conv3, block.conv4, block.conv5)
        growth = block.conv1.out_channels
        channels = [block.conv1.in_channels, growth, growth, growth, growth]
        slopes = [block.slope] * 4 + [None]
        self._kernels = [
            Kernel(module.weight.detach(), module.bias, channels[: index + 1], slope=slopes[index])
            for index, module in enumerate(convolutions)
        ]
        self.output = signal.later(5)
        self._windows = [
            space.window(
                signal.later(lag),
                channels=count,
                history=5 - lag + SIDE,
                band=band,
                share=f"{share} {lag}",
            )
            for lag, count in enumerate(channels)
        ]

    def room(self, tick: Tick) -> Tensor:
        return self._windows[0].room(tick)

    def step(self, tick: Tick, out: Tensor | None = None) -> Tensor:
        windows = self._windows
        for window in windows:
            window.open(tick)
        for index, following in enumerate(windows[1:], 1):
            rows = tick.rows(following.signal)
            seen = [window.view(tick, _around(rows)) for window in windows[:index]]
            self._kernels[index - 1](*seen, out=following.room(tick))
        rows = tick.rows(self.output)
        residual = self._kernels[-1](*(window.view(tick, _around(rows)) for window in windows))
        features = windows[0].view(tick, rows)
        made = torch.add(
            features, residual, alpha=RESIDUAL_SCALE, out=residual if out is None else out
        )
        for window in windows:
            window.close(tick)
        return made


class BlockStage:
    """A residual-in-residual block: three dense blocks and the rows that wait to be added."""

    def __init__(
        self, block: ResidualInResidualBlock, band: int, signal: Signal, space: Workspace
    ) -> None:
        self._input = signal
        self._dense: list[DenseStage] = []
        for index, dense in enumerate((block.rdb1, block.rdb2, block.rdb3)):
            stage = DenseStage(dense, band, signal, space, share=f"dense {index}")
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


def activate(made: Tensor, slope: float, *, out: Tensor) -> Tensor:
    """LeakyReLU, and the way to where the rows belong: one pass over them, if the type stays."""
    if out.dtype is not made.dtype:
        return out.copy_(F.leaky_relu_(made, slope))
    torch.ops.aten.leaky_relu.out(made, slope, out=out)
    return out


def _doubled(weight: Tensor, row: int, column: int) -> Tensor:
    """The 2x2 convolution that a 3x3 one over doubled pixels is, for one of four places."""
    rows, columns = _TWICE[row].to(weight), _TWICE[column].to(weight)
    return torch.einsum("oiyx,ay,bx->oiab", weight, rows, columns)


# What each pixel counts in the three places of the kernel, for even and for odd places.
_TWICE = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])


def nearest(rows: Tensor, factor: int) -> Tensor:
    """Each pixel as a square of them; also of no rows."""
    if rows.shape[2] == 0:
        return rows.new_empty(*rows.shape[:2], 0, rows.shape[3] * factor)
    return F.interpolate(rows, scale_factor=factor, mode="nearest")


def _around(rows: Span) -> Span:
    """The rows that a convolution reads to make `rows`."""
    return Span(rows.start - SIDE, rows.stop + SIDE) if rows.length else rows
