"""When each row of each tensor inside a streamed network is known: integers only, no tensors.

Rows go in from the top, `band` at a time: a *tick*. A 3x3 convolution needs the row below the one
it makes, so what it gives lags one row behind what it is given. Delays add up along the network:

    image      aaaaaaaabbbbbbbbccccccccdddddddd                   delay 0
    conv 1     aaaaaaabbbbbbbbccccccccdddddddde                   delay 1
    conv 2     aaaaaabbbbbbbbccccccccddddddddee                   delay 2
       :
    conv 8     bbbbbbbbccccccccddddddddeeeeeeee                   delay 8, here one band

Each letter is a row, from the top of the picture to its bottom; a is made by the first tick, b by
the second. No row is made twice: below the last row of the image the ticks go on, without input,
until the last row is out.

Where the network doubles its resolution there are two rows for each row before, and the delay,
counted in rows, doubles too. A skip connection waits in a queue for as many rows as its other end
lags behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from srcli.inference.geometry import Span


@dataclass(frozen=True, slots=True)
class Signal:
    """A tensor inside the network, as far as its rows go."""

    rate: int = 1  # rows for each row of the input
    delay: int = 0  # how many of its own rows it lags behind the input

    def later(self, rows: int = 1) -> Signal:
        """What a convolution makes of it (or `rows` of them)."""
        return Signal(self.rate, self.delay + rows)

    def enlarged(self, factor: int) -> Signal:
        """What an enlargement makes of it."""
        return Signal(self.rate * factor, self.delay * factor)


@dataclass(frozen=True, slots=True)
class Tick:
    """One step of the stream: `band` rows of the input, fewer or none at the end."""

    index: int
    band: int
    height: int  # rows of the input in all

    def newest(self, signal: Signal) -> Span:
        """The rows of this tick, were the picture endless above and below."""
        step = signal.rate * self.band
        start = self.index * step - signal.delay
        return Span(start, start + step)

    def rows(self, signal: Signal) -> Span:
        """The rows of `signal` that this tick makes; none is made by two ticks."""
        newest, limit = self.newest(signal), signal.rate * self.height
        return Span(min(max(newest.start, 0), limit), min(max(newest.stop, 0), limit))

    def is_idle(self, first: Signal, last: Signal) -> bool:
        """Whether everything from `first` to `last` has not begun yet, or is finished."""
        return self.newest(first).stop <= 0 or self.newest(last).start >= last.rate * self.height

    def is_steady(self, last: Signal) -> bool:
        """Whether all signals up to `last` are between the borders of the picture."""
        return self.newest(last).start >= 0 and (self.index + 1) * self.band <= self.height

    def divided(self, parts: int) -> Iterator[Tick]:
        """The same tick as `parts` smaller ones."""
        band = self.band // parts
        for part in range(parts):
            yield Tick(self.index * parts + part, band, self.height)


def ticks(height: int, band: int, output: Signal) -> Iterator[Tick]:
    """All the ticks until the last row of `output` is made."""
    rows, step = output.rate * height + output.delay, output.rate * band
    for index in range(-(-rows // step)):
        yield Tick(index, band, height)
