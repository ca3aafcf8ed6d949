"""Pictures as whole levels in memory, as the metrics and the comparison pages take them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from srcli.degradations.resize import quantize
from srcli.io.pictures import Page, open_picture

BAND_ROWS = 512  # decoded at a time, as floats


def read_levels(path: Path) -> Tensor:
    """The first page of a picture as uint8 (C, H, W): sRGB, upright, alpha left out, C is 1 or 3.

    Deeper samples are rounded to 8 bits. Raises ImageError if it is no picture or damaged.
    """
    picture = open_picture(path)
    levels = page_levels(picture.page(0))
    return torch.from_numpy(levels[:, :, :1] if picture.is_gray else levels).permute(2, 0, 1)


def page_levels(page: Page) -> npt.NDArray[np.uint8]:
    """One page as (H, W, 3), gray repeated."""
    levels = np.empty((page.height, page.width, 3), np.uint8)
    for start in range(0, page.height, BAND_ROWS):
        stop = min(start + BAND_ROWS, page.height)
        levels[start:stop] = page.read_rows(start, stop) * np.float32(255) + np.float32(0.5)
    return levels


def to_levels(image: Tensor) -> Tensor:
    """Clamped and rounded to uint8, from [0, 1]."""
    return (quantize(image) * 255).round().byte()
