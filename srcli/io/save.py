"""One saver for each kind of file, with its settings."""

from __future__ import annotations

from pathlib import Path

from srcli.io.formats import PictureFormat
from srcli.io.vips import VipsImage

_BIG_TIFF = 3_900_000_000  # bytes of samples from which a TIFF gets 64-bit offsets


def save(images: list[VipsImage], path: Path, kind: PictureFormat, quality: int | None) -> None:
    """Write the finished images; the first one carries the metadata."""
    image = images[0]
    match kind:
        case PictureFormat.JPEG:
            level = quality or 95
            sampling = "off" if level >= 90 else "on"
            image.jpegsave(
                str(path), Q=level, subsample_mode=sampling, optimize_coding=True, keep="all"
            )
        case PictureFormat.WEBP:
            image.webpsave(str(path), Q=quality or 90, lossless=quality == 100, keep="all")
        case PictureFormat.TIFF:
            _save_tiff(image, path)
        case _:
            image.pngsave(str(path), compression=6, filter="sub", keep="all")


def _save_tiff(image: VipsImage, path: Path) -> None:
    size = image.width * image.height * image.bands * (2 if image.format == "ushort" else 1)
    is_float = image.format == "float"
    image.tiffsave(
        str(path),
        compression="deflate",
        predictor="float" if is_float else "horizontal",
        tile=True,
        tile_width=256,
        tile_height=256,
        bigtiff=size > _BIG_TIFF,
        keep="all",
    )
