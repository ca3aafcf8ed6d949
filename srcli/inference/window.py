"""The memory of a stream: the newest rows of a tensor, and the few before them that are needed.

    |<-- history -->|<------ newest ------>|        rows of one window, top to bottom
    |   from before |   made by this tick  |

A row keeps its place for one tick; then everything moves up by a band. Rows above and below the
picture are zeros, as the padding of the convolutions over the whole image is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from srcli.inference.delays import Signal, Tick
from srcli.inference.geometry import Span


class Window:
    """The rows of `signal` that the stages reading it need in one tick.

    `buffer` is (N, C, history + band, W). Where several windows share one, each keeps its history
    apart, in `kept`, from `close` to the next `open`.
    """

    def __init__(self, signal: Signal, history: int, buffer: Tensor, kept: Tensor | None) -> None:
        self.signal = signal
        self.history = history
        self._buffer = buffer
        self._kept = kept

    def view(self, tick: Tick, rows: Span, channels: slice = slice(None)) -> Tensor:
        """Rows of the tensor by their number in it, without a copy."""
        first = tick.newest(self.signal).start - self.history
        return self._buffer[:, channels, rows.start - first : rows.stop - first]

    def room(self, tick: Tick, channels: slice = slice(None)) -> Tensor:
        """Where the rows of this tick belong."""
        return self.view(tick, tick.rows(self.signal), channels)

    def open(self, tick: Tick) -> None:
        """Bring the history back and make the borders of the picture zero."""
        if self._kept is not None:
            self._buffer[:, :, : self.history] = self._kept
        newest = tick.newest(self.signal)
        for border in (-1, self.signal.rate * tick.height):
            if newest.start <= border < newest.stop:
                self.view(tick, Span(border, border + 1)).zero_()

    def close(self, tick: Tick) -> None:
        """Keep what the next tick needs of this one."""
        step, history = self.signal.rate * tick.band, self.history
        if self._kept is not None:
            self._kept.copy_(self._buffer[:, :, step : step + history])
            return
        for start in range(0, history, step):  # in pieces that do not overlap
            stop = min(start + step, history)
            self._buffer[:, :, start:stop] = self._buffer[:, :, start + step : stop + step]


@dataclass(slots=True)
class Workspace:
    """Makes the windows of one stream, once; all its memory is here."""

    images: int
    width: int  # of the input
    like: Tensor  # for device and dtype
    _shared: dict[str, Tensor] = field(default_factory=dict)

    def of(self, like: Tensor) -> Workspace:
        """One beside it, for windows of another precision."""
        return Workspace(self.images, self.width, like)

    def window(
        self, signal: Signal, *, channels: int, history: int, band: int, share: str = ""
    ) -> Window:
        """A window for ticks of `band` rows; those with one name in `share` share a buffer.

        They must be of one shape, and never open at the same time.
        """
        shape = (self.images, channels, history + signal.rate * band, self.width * signal.rate)
        if not share:
            return Window(signal, history, self._zeros(*shape), None)
        if share not in self._shared:
            self._shared[share] = self._zeros(*shape)
        kept = self._zeros(self.images, channels, history, shape[3])
        return Window(signal, history, self._shared[share], kept)

    def _zeros(self, images: int, channels: int, rows: int, width: int) -> Tensor:
        zeros = torch.zeros(
            images, rows, width, channels, dtype=self.like.dtype, device=self.like.device
        )
        return zeros.permute(0, 3, 1, 2)  # channels_last, whatever the sizes
