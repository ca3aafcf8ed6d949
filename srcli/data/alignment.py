"""By how much one picture is shifted against another, from the phase of their spectra."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

HIGHEST = 0.25  # cycles per pixel: above it a picture and its shrunken copy have little in common


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How far the second picture lies below and to the right of the first, in pixels.

    `confidence` is the part of the spectrum that agrees: 1 for a copy, below about 0.1 for two
    pictures that have nothing to do with each other, 0 if one of them is flat.
    """

    down: float
    right: float
    confidence: float

    @property
    def pixels(self) -> float:
        """The larger of both distances."""
        return max(abs(self.down), abs(self.right))


def find_shift(first: Tensor, second: Tensor) -> Shift:
    """Compare two planes (H, W) of one size, to about a tenth of a pixel.

    Phase correlation (C. Kuglin and D. Hines, 1975) of the windowed planes.

    >>> plane = torch.rand(60, 60, generator=torch.Generator().manual_seed(0))
    >>> shift = find_shift(plane[4:52, 4:52], plane[2:50, 5:53])
    >>> round(shift.down), round(shift.right)
    (2, -1)
    """
    window = torch.outer(_window(first.shape[0]), _window(first.shape[1]))
    before, after = (
        torch.fft.fft2((plane.double() - plane.double().mean()) * window)
        for plane in (first, second)
    )
    cross = before.conj() * after
    is_low = _low_pass(first.shape[0], first.shape[1])
    phase = cross / cross.abs().clamp(min=1e-9) * is_low
    correlation = torch.fft.ifft2(phase).real
    row, column = divmod(int(correlation.argmax()), correlation.shape[1])
    return Shift(
        down=_summit(correlation[:, column], row),
        right=_summit(correlation[row], column),
        confidence=float(correlation.max() / is_low.mean()),
    )


def _window(length: int) -> Tensor:
    return torch.hann_window(length, periodic=False, dtype=torch.float64)


def _low_pass(height: int, width: int) -> Tensor:
    rows = torch.fft.fftfreq(height, dtype=torch.float64).abs() < HIGHEST
    columns = torch.fft.fftfreq(width, dtype=torch.float64).abs() < HIGHEST
    return torch.outer(rows.double(), columns.double())


def _summit(line: Tensor, place: int) -> float:
    """Where the parabola through the highest value and its neighbours is highest, signed."""
    left, top, right = (float(line[(place + step) % len(line)]) for step in (-1, 0, 1))
    bend = left - 2 * top + right
    fraction = 0.5 * (left - right) / bend if bend else 0.0
    signed = place if place <= len(line) // 2 else place - len(line)
    return signed + fraction
