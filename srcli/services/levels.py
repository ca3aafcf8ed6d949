"""Pictures as whole levels in memory, as the metrics and the comparison pages take them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from srcli.degradations.resize import quantize
from srcli.io.pictures import open_picture

BAND_ROWS = 512  # decoded at a time, as floats


def read_levels(path: Path) -> Tensor:
    """The first page of a picture as uint8 (C, H, W): sRGB, upright, alpha left out, C is 1 or 3.

    Deeper samples are rounded to 8 bits. Raises ImageError if it is no picture or damaged.
    """
    picture = open_picture(path)
    page = picture.page(0)
    channels = 1 if picture.is_gray else 3
    levels = np.empty((page.height, page.width, channels), np.uint8)
    for start in range(0, page.height, BAND_ROWS):
        stop = min(start + BAND_ROWS, page.height)
        rows = page.read_rows(start, stop)[:, :, :channels]
        levels[start:stop] = rows * np.float32(255) + np.float32(0.5)
    return torch.from_numpy(levels).permute(2, 0, 1).contiguous()


def to_levels(image: Tensor) -> Tensor:
    """Clamped and rounded to uint8, from [0, 1]."""
    return (quantize(image) * 255).round().byte()
