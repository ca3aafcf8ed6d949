"""One saver for each kind of file: libvips computes the pages while it writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from srcli.io import foreign_save
from srcli.io.apng import write_animation
from srcli.io.exif import Exif, add_to_tiff
from srcli.io.files import scratch
from srcli.io.formats import PictureFormat
from srcli.io.metadata import Animation
from srcli.io.png_text import insert_png_texts
from srcli.io.structure import insert_jpeg_comment
from srcli.io.tiff import Tiff, append_page
from srcli.io.vips import ARRAY, WHOLE, VipsImage, field_names, file_name

JPEG_QUALITY, WEBP_QUALITY, AVIF_QUALITY = 95, 90, 80
_FULL_CHROMA = 90  # from this quality on, colour is stored at full resolution
_LOSSLESS = 100
_BIG_TIFF_BYTES = 3_900_000_000  # of samples, from which a TIFF gets 64-bit offsets
_TILE_PX = 256
# What these hold of a frame's time, in milliseconds; longer ones become the longest. Of loops both
# count 16 bits.
_GIF_DELAY, _WEBP_DELAY = 655_350, (1 << 24) - 1
_MOST_LOOPS = (1 << 16) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveOptions:
    """What the savers need besides the pages."""

    quality: int | None = None
    animation: Animation | None = None
    exif: Exif | None = None  # for the kinds of file to which libvips gives none
    iptc: bytes | None = None  # the same
    comment: str | None = None  # the same
    texts: tuple[tuple[str, str], ...] = ()  # of a PNG, with their keywords
    is_lossless: bool = False  # a WebP was, and becomes one


def save(pages: Sequence[VipsImage], path: Path, kind: PictureFormat, options: SaveOptions) -> None:
    """Write finished pages; the first one carries the metadata."""
    name = file_name(path)
    match kind:
        case PictureFormat.TIFF:
            _save_tiff(pages, path, options)
        case PictureFormat.JPEG:
            _save_jpeg(pages[0], path, options)
        case PictureFormat.WEBP:
            _save_webp(_strip(pages, options.animation, _WEBP_DELAY), name, options)
        case PictureFormat.GIF:
            _strip(pages, options.animation, _GIF_DELAY).gifsave(name, keep="all")
        case PictureFormat.AVIF:
            _save_avif(pages, path, options)
        case PictureFormat.BMP | PictureFormat.HEIC:
            foreign_save.save(pages[0], path, kind, options.quality, options.exif)
        case PictureFormat.PNG | PictureFormat.OTHER:
            _save_png(pages, path, options)


def _save_jpeg(page: VipsImage, path: Path, options: SaveOptions) -> None:
    level = options.quality or JPEG_QUALITY
    page.jpegsave(
        file_name(path), Q=level, subsample_mode=_chroma(level), optimize_coding=True, keep="all"
    )
    if options.comment:
        insert_jpeg_comment(path, options.comment)


def _save_webp(image: VipsImage, name: bytes, options: SaveOptions) -> None:
    level = options.quality or WEBP_QUALITY
    is_lossless = options.is_lossless if options.quality is None else level == _LOSSLESS
    image.webpsave(name, Q=level, lossless=is_lossless, exact=is_lossless, keep="all")


def _save_avif(pages: Sequence[VipsImage], path: Path, options: SaveOptions) -> None:
    level = options.quality or AVIF_QUALITY
    if options.animation is not None and len(pages) > 1:
        foreign_save.save_avif_frames(pages, path, level, options.animation)
        return
    page = pages[0]
    page.heifsave(
        file_name(path),
        compression="av1",
        Q=level,
        lossless=level == _LOSSLESS,
        bitdepth=12 if page.format == "ushort" else 8,
        subsample_mode=_chroma(level + 10),  # AV1's quality 80 is JPEG's 90
        keep="all",
    )


def _save_png(pages: Sequence[VipsImage], path: Path, options: SaveOptions) -> None:
    settings = {"compression": 6, "filter": "all", "keep": "all"}
    if options.animation is None or len(pages) == 1:
        pages[0].pngsave(file_name(path), **settings)
    else:
        frames = (bytes(page.pngsave_buffer(**settings)) for page in pages)
        with path.open("wb") as file:
            write_animation(file, frames, options.animation)
    if options.texts:
        insert_png_texts(path, options.texts)


def _save_tiff(pages: Sequence[VipsImage], path: Path, options: SaveOptions) -> None:
    is_big = sum(map(_sample_bytes, pages)) > _BIG_TIFF_BYTES
    _save_tiff_page(pages[0], path, is_big)
    with path.open("r+b") as file:
        tiff = Tiff.opened(file)
        last = add_to_tiff(options.exif or Exif(), options.iptc, tiff)
        for later in _later_pages(pages[1:], path.parent, is_big):
            last = append_page(tiff, last, later)


def _later_pages(pages: Sequence[VipsImage], place: Path, is_big: bool) -> Iterator[Path]:
    if not pages:  # most have no more, and a folder on the way costs a look at all that is there
        return
    with scratch(place) as folder:
        for page in pages:
            path = folder / "page.tif"
            _save_tiff_page(page, path, is_big)
            yield path


def _save_tiff_page(page: VipsImage, path: Path, is_big: bool) -> None:
    page.tiffsave(
        file_name(path),
        compression="deflate",
        predictor="none" if page.format == "float" else "horizontal",
        tile=True,
        tile_width=_TILE_PX,
        tile_height=_TILE_PX,
        bigtiff=is_big,
        keep="all",
    )


def _sample_bytes(page: VipsImage) -> int:
    sizes = {"uchar": 1, "ushort": 2, "float": 4}
    return int(page.width * page.height * page.bands * sizes[page.format])


def _strip(
    pages: Sequence[VipsImage], animation: Animation | None, longest_delay: int
) -> VipsImage:
    """Frames one below the other, as libvips wants them."""
    if animation is None or len(pages) == 1:
        return pages[0]
    first = pages[0]
    strip = VipsImage.arrayjoin(list(pages), across=1).copy()
    for field in field_names(first):
        if not strip.get_typeof(field):
            strip.set_type(first.get_typeof(field), field, first.get(field))
    strip.set_type(WHOLE, "page-height", first.height)
    strip.set_type(ARRAY, "delay", [min(delay, longest_delay) for delay in animation.delays_ms])
    strip.set_type(WHOLE, "loop", min(animation.loops, _MOST_LOOPS))
    return strip


def _chroma(level: int) -> str:
    return "off" if level >= _FULL_CHROMA else "on"
