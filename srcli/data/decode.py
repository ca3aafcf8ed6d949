"""Training pictures: 8 bits, three channels of sRGB, upright.

Both readers are defaults that the rest of `data` takes as arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from srcli.io.pictures import open_picture

BAND_ROWS = 512  # decoded at a time, as floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a picture's first bytes tell; upright size in pixels."""

    path: Path
    height: int
    width: int
    frames: int = 1


ReadHeader = Callable[[Path], Header]
ReadPicture = Callable[[Path], Tensor]


def read_header(path: Path) -> Header:
    """Size without decoding; ImageError if the file is no picture."""
    picture = open_picture(path)
    frames = picture.pages if picture.is_animated else 1
    return Header(path=path, height=picture.height, width=picture.width, frames=frames)


def read_picture(path: Path) -> Tensor:
    """Decode the first page to uint8 (3, H, W): profile applied, gray repeated, alpha dropped.

    Raises ImageError if the file is no picture or damaged.
    """
    page = open_picture(path).page(0)
    levels = np.empty((page.height, page.width, 3), np.uint8)
    for start in range(0, page.height, BAND_ROWS):
        rows = page.read_rows(start, min(start + BAND_ROWS, page.height))
        levels[start : start + BAND_ROWS] = rows * np.float32(255) + np.float32(0.5)
    return torch.from_numpy(levels).permute(2, 0, 1).contiguous()


def is_transparent(path: Path) -> bool:
    """Decode the first page and say whether any of it is; ImageError if it is damaged."""
    page = open_picture(path).page(0)
    for start in range(0, page.height, BAND_ROWS):
        page.read_rows(start, min(start + BAND_ROWS, page.height))
    return page.alpha_range is not None and page.alpha_range[0] < 1
