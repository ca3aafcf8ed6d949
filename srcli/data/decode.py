"""Read training pictures: 8 bits, RGB, upright, by Pillow.

Both functions here are defaults that the rest of `data` takes as arguments.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from srcli.errors import ImageError

# What Pillow's decoders raise for a damaged file.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
# EXIF orientations that lay a picture on its side.
SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a picture's first bytes tell; upright size in pixels, Pillow's name of the mode."""

    path: Path
    height: int
    width: int
    mode: str

    @property
    def has_alpha(self) -> bool:
        """Whether transparency would be lost."""
        return "transparency" in self.mode or self.mode in ("RGBA", "LA", "PA", "La", "RGBa")


ReadHeader = Callable[[Path], Header]
ReadPicture = Callable[[Path], Tensor]


def read_header(path: Path) -> Header:
    """Size and mode without decoding; ImageError if the file is no picture."""
    with _opened(path) as image:
        height, width = _upright_size(image)
        mode = f"{image.mode} with transparency" if "transparency" in image.info else image.mode
        return Header(path=path, height=height, width=width, mode=mode)


def read_picture(path: Path) -> Tensor:
    """Decode to uint8 (3, H, W), upright; gray is repeated, alpha dropped, profiles not applied.

    Raises ImageError if the file is no picture or damaged.
    """
    with _opened(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
        pixels = np.array(upright)  # a copy: PyTorch wants memory it may write to
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def check_pixels(path: Path) -> None:
    """Decode at the lowest cost and throw the result away; ImageError if it is damaged."""
    with _opened(path) as image:
        image.draft(None, (image.width // 8, image.height // 8))  # JPEG: eighth of the arithmetic
        image.load()


def _upright_size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    # A PNG without EXIF ahead of its pixels would be decoded whole in search of one behind them.
    if image.format == "PNG" and "exif" not in image.info:
        return height, width
    tags = image.getexif()
    if image.format == "TIFF":  # whose size is upright already in some versions of Pillow
        width, height = tags[ExifTags.Base.ImageWidth], tags[ExifTags.Base.ImageLength]
    is_sideways = tags.get(ExifTags.Base.Orientation) in SIDEWAYS
    return (width, height) if is_sideways else (height, width)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except UnidentifiedImageError:
        raise ImageError(f"{path}: not a picture", hint="remove it from the folder") from None
    except DAMAGE as error:
        raise ImageError(f"{path}: {error}", hint="save it anew or remove it") from error
