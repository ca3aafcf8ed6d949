"""What libvips does not write: BMP and frames of AVIF by Pillow, HEIC by pillow-heif.

All of it is in memory meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from srcli.errors import OutputError
from srcli.io.exif import Exif
from srcli.io.files import write_content
from srcli.io.foreign import heif_module
from srcli.io.formats import PictureFormat
from srcli.io.metadata import Animation
from srcli.io.vips import VipsImage, blob

_HEIC_QUALITY = 90
_FULL_CHROMA = 80  # AVIF's quality from which colour is stored at full resolution


def save(
    page: VipsImage, path: Path, kind: PictureFormat, quality: int | None, exif: Exif | None
) -> None:
    """Write one page as BMP or HEIC."""
    if kind is PictureFormat.HEIC:
        _save_heic(page, path, quality, exif)
    else:
        _save_bmp(page, path)


def save_avif_frames(
    pages: Sequence[VipsImage], path: Path, quality: int, animation: Animation
) -> None:
    """Write frames of 8 bits with their times, and the first one's metadata."""
    frames = [_to_pillow(page) for page in pages]
    metadata = {
        "exif": blob(pages[0], "exif-data"),
        "xmp": blob(pages[0], "xmp-data"),
        "icc_profile": blob(pages[0], "icc-profile-data"),
    }
    save_whole(
        frames[0],
        path,
        "AVIF",
        save_all=True,
        append_images=frames[1:],
        duration=list(animation.delays_ms),
        quality=quality,
        subsampling="4:4:4" if quality >= _FULL_CHROMA else "4:2:0",
        **{name: value for name, value in metadata.items() if value is not None},
    )


def _to_pillow(page: VipsImage) -> Image.Image:
    eight = page if page.format == "uchar" else (page / 257).rint().cast("uchar")
    pixels = np.asarray(eight.numpy())
    return Image.fromarray(
        pixels.squeeze(2) if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    )


def save_whole(image: Image.Image, path: Path, kind: str | None = None, **options: object) -> None:
    """Write by Pillow, in the format `kind` or that of the suffix. Raises OSError, ValueError.

    Some of Pillow's encoders write to the file's descriptor by themselves, and take a write that a
    full disk cut short for a whole one. So they write to memory.
    """
    kind = kind or Image.registered_extensions().get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"unknown file extension: {path.suffix}")
    content = BytesIO()
    image.save(content, kind, **options)
    write_content(path, content)


def _save_bmp(page: VipsImage, path: Path) -> None:
    """Write 8-bit gray or RGB."""
    dpi = (float(page.xres) * 25.4, float(page.yres) * 25.4)
    save_whole(_to_pillow(page), path, "BMP", dpi=dpi)


def _save_heic(page: VipsImage, path: Path, quality: int | None, exif: Exif | None) -> None:
    """Write 8-bit, or the upper 12 of 16 bits, with metadata."""
    heif = heif_module(OutputError)
    is_deep = page.format == "ushort"
    colour = page if page.bands >= 3 else _as_colour(page)
    mode = ("RGBA" if colour.bands == 4 else "RGB") + (";16" if is_deep else "")
    metadata = {
        "exif": None if exif is None else exif.to_bytes(),
        "xmp": blob(page, "xmp-data"),
        "icc_profile": blob(page, "icc-profile-data"),
    }
    with path.open("wb") as file:
        heif.encode(
            mode,
            (page.width, page.height),
            colour.write_to_memory(),
            file,
            quality=quality or _HEIC_QUALITY,
            **{name: value for name, value in metadata.items() if value is not None},
        )


def _as_colour(page: VipsImage) -> VipsImage:
    gray = page.extract_band(0)
    colour = gray.bandjoin([gray, gray])
    return colour.bandjoin(page.extract_band(1)) if page.bands == 2 else colour
