"""The memory of a stream: the newest rows of a tensor, and the few before them that are needed.

    |<-- history -->|<------ newest ------>|        rows of one window, top to bottom
    |   from before |   made by this tick  |

A row keeps its place for one tick; then everything moves up by a band. Rows above and below the
picture are zeros, as the padding of the convolutions over the whole image is.

A window that is `shared` lends its buffer to others between two ticks, and there is one buffer for
each tick under way: whoever makes the rows of a tick may put them there before its turn has come.
One that is not is touched by a single stage, in its turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from srcli.inference.delays import Signal, Tick
from srcli.inference.geometry import Span


class Window:
    """The rows of `signal` that the stages reading it need in one tick.

    Each of `buffers` is (N, C, history + band, W); ticks take them in turn. Where windows share
    them, each keeps its history apart, in `kept`, from `close` to the next `open`.
    """

    def __init__(
        self, signal: Signal, history: int, buffers: Sequence[Tensor], kept: Tensor | None
    ) -> None:
        self.signal = signal
        self.history = history
        self._buffers = buffers
        self._kept = kept

    def _buffer(self, tick: Tick) -> Tensor:
        return self._buffers[tick.index % len(self._buffers)]

    def view(self, tick: Tick, rows: Span, channels: slice = slice(None)) -> Tensor:
        """Rows of the tensor by their number in it, without a copy."""
        first = tick.newest(self.signal).start - self.history
        return self._buffer(tick)[:, channels, rows.start - first : rows.stop - first]

    def room(self, tick: Tick, channels: slice = slice(None)) -> Tensor:
        """Where the rows of this tick belong."""
        return self.view(tick, tick.rows(self.signal), channels)

    def open(self, tick: Tick) -> None:
        """Bring the history back and make the borders of the picture zero."""
        if self._kept is not None:
            self._buffer(tick)[:, :, : self.history] = self._kept
        newest = tick.newest(self.signal)
        for border in (-1, self.signal.rate * tick.height):
            if newest.start <= border < newest.stop:
                self.view(tick, Span(border, border + 1)).zero_()

    def close(self, tick: Tick) -> None:
        """Keep what the next tick needs of this one."""
        step, history, buffer = self.signal.rate * tick.band, self.history, self._buffer(tick)
        if self._kept is not None:
            self._kept.copy_(buffer[:, :, step : step + history])
            return
        for start in range(0, history, step):  # in pieces that do not overlap
            stop = min(start + step, history)
            buffer[:, :, start:stop] = buffer[:, :, start + step : stop + step]


@dataclass(slots=True)
class Workspace:
    """Makes the windows of one stream, once; all its memory is here."""

    images: int
    width: int  # of the input
    like: Tensor  # for device and dtype
    at_once: int = 1  # ticks under way
    _shared: dict[str, Sequence[Tensor]] = field(default_factory=dict)

    def of(self, like: Tensor) -> Workspace:
        """One beside it, for windows of another precision."""
        return Workspace(self.images, self.width, like, self.at_once)

    def window(
        self, signal: Signal, *, channels: int, history: int, band: int, share: str = ""
    ) -> Window:
        """A window for ticks of `band` rows; those with one name in `share` share buffers.

        They must be of one shape, and never open in the same tick at the same time.
        """
        shape = (self.images, channels, history + signal.rate * band, self.width * signal.rate)
        if not share:
            return Window(signal, history, [self._zeros(*shape)], None)
        if share not in self._shared:
            self._shared[share] = [self._zeros(*shape) for _ in range(self.at_once)]
        kept = self._zeros(self.images, channels, history, shape[3])
        return Window(signal, history, self._shared[share], kept)

    def _zeros(self, images: int, channels: int, rows: int, width: int) -> Tensor:
        zeros = torch.zeros(
            images, rows, width, channels, dtype=self.like.dtype, device=self.like.device
        )
        return zeros.permute(0, 3, 1, 2)  # channels_last, whatever the sizes
