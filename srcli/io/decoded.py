"""What every decoder gives: a header that was read, and a way to each page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from srcli.errors import PixelLimitError
from srcli.io.formats import PictureFormat
from srcli.io.metadata import Metadata
from srcli.io.vips import VipsImage

PIXEL_LIMIT = 2_000_000_000  # pixels of all pages together

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
    is_held: bool = False  # pages lie in memory, or in a file of raw pixels: none is decoded twice


def check_claims(name: str, width: int, height: int, pixel_limit: int) -> None:
    """Refuse a picture of more pixels than allowed, before any of them is decoded."""
    if width * height > pixel_limit:
        raise PixelLimitError(
            f"{name} claims {width:,} x {height:,} pixels, more than the limit of "
            f"{pixel_limit / 1e9:g} gigapixels",
            hint="if the picture is meant to be that large, raise the limit: --max-pixels",
        )
