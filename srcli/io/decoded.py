"""What every decoder gives: a header that was read, and a way to each page."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import psutil

from srcli.errors import OutOfMemoryError, PixelLimitError
from srcli.io.formats import PictureFormat
from srcli.io.metadata import Metadata
from srcli.io.vips import VipsImage

PIXEL_LIMIT = 2_000_000_000  # pixels of all pages together
_NEVER_MUCH = 64 << 20  # bytes for which nobody needs to be asked

Source = Path | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A file whose header has been read: its kind, its metadata, and how to get each page.

    `open_page(i)` gives a fresh image of native samples, upright, to be read from the top.
    """

    name: str
    format: PictureFormat
    metadata: Metadata
    pages: int
    open_page: Callable[[int], VipsImage]
    notes: tuple[str, ...] = ()
    is_lossless: bool = False
    decoder_bytes: int = 0  # that the decoder takes, where it reads pages whole and not by rows
    is_held: bool = False  # pages lie in memory, or in a file of raw pixels: none is decoded twice


def check_claims(name: str, width: int, height: int, pixel_limit: int) -> None:
    """Refuse a picture of more pixels than allowed, before any of them is decoded."""
    _check_pixels(name, width * height, f"{width:,} x {height:,} pixels", pixel_limit)


def check_pages(name: str, pixels: Collection[int], pixel_limit: int) -> None:
    """The same for the pages that are known by now, which may differ in size."""
    total = sum(pixels)
    _check_pixels(name, total, f"{total:,} pixels in {len(pixels)} pages", pixel_limit)


def _check_pixels(name: str, pixels: int, claim: str, pixel_limit: int) -> None:
    if pixels > pixel_limit:
        raise PixelLimitError(
            f"{name} claims {claim}, more than the limit of {pixel_limit / 1e9:g} gigapixels",
            hint="if the picture is meant to be that large, raise the limit: --max-pixels",
        )


def check_memory(name: str, nbytes: int) -> int:
    """The bytes that a decoder takes for a page. Raises OutOfMemoryError where they are not free.

    Asked before it takes them: a small file can claim a page of gigabytes and be right.
    """
    if nbytes > _NEVER_MUCH and nbytes > (free := psutil.virtual_memory().available):
        raise OutOfMemoryError(
            f"{name} takes {nbytes / 1e9:.1f} GB to be decoded, and {free / 1e9:.1f} GB are free",
            hint="convert it to TIFF, or to PNG without interlacing: those are read by rows",
        )
    return nbytes
