"""How far two pictures of one size are from each other, in levels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.uint8]

PEAK = 255
ROWS = 256  # at a time: differences take more room than the pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Of all three channels of 8 bits."""

    psnr: float  # dB, infinite for equal pictures
    mean: float  # of the absolute differences, in levels
    largest: int  # in levels
    changed: float  # share of the pixels that differ in any channel


def difference(first: Levels, second: Levels) -> Difference:
    """Compare two (H, W, 3).

    >>> black, gray = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 51, np.uint8)
    >>> difference(black, gray)
    Difference(psnr=13.979400086720377, mean=51.0, largest=51, changed=1.0)
    """
    squares = total = changed = largest = 0
    for top in range(0, first.shape[0], ROWS):
        rows = slice(top, top + ROWS)
        error = np.abs(first[rows].astype(np.int32) - second[rows])
        squares += int(np.square(error).sum(dtype=np.int64))
        total += int(error.sum(dtype=np.int64))
        changed += int(error.any(axis=2).sum())
        largest = max(largest, int(error.max()))
    mean_square = squares / first.size
    return Difference(
        psnr=10 * math.log10(PEAK**2 / mean_square) if squares else math.inf,
        mean=total / first.size,
        largest=largest,
        changed=changed / (first.shape[0] * first.shape[1]),
    )


def enlarged(picture: Levels, height: int, width: int) -> Levels:
    """(h, w, 3) as (height, width, 3) by nearest: every pixel becomes a block."""
    if picture.shape[:2] == (height, width):
        return picture
    rows = (np.arange(height) * 2 + 1) * picture.shape[0] // (2 * height)
    columns = (np.arange(width) * 2 + 1) * picture.shape[1] // (2 * width)
    blocks: Levels = picture[rows][:, columns]
    return blocks
