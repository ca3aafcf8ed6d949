"""Opening a picture file of any kind: which decoder, which pages, are the claims believable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from typing import BinaryIO

from srcli.errors import ImageError
from srcli.io import claims, foreign
from srcli.io.decoded import PIXEL_LIMIT, Decoded, Source, check_claims, check_memory, check_pages
from srcli.io.exif import exif_of_tiff
from srcli.io.formats import HEAD_BYTES, PictureFormat, sniff
from srcli.io.metadata import Metadata, read_metadata
from srcli.io.png_text import png_texts
from srcli.io.reasons import VipsFailure, damaged, reading, told
from srcli.io.structure import (
    MOST_PARTS,
    has_hidden_frames,
    has_too_many_segments,
    is_animated_png,
    is_avif_sequence,
    is_lossless_webp,
    jpeg_comments,
    must_not_warn,
)
from srcli.io.tiff import TiffError
from srcli.io.vips import VipsImage, VipsSource, file_name, has_field

_BY_PILLOW = (PictureFormat.BMP, PictureFormat.HEIC)
# What libvips refuses of these is damaged: Pillow would show the part that is left of it.
_STRICT = (PictureFormat.PNG, PictureFormat.JPEG, PictureFormat.WEBP, PictureFormat.GIF)

# Bytes for each pixel of a page (libvips 8.18, measured on the growth of the resident memory).
_WHOLE_BYTES = {PictureFormat.GIF: 4, PictureFormat.WEBP: 15, PictureFormat.AVIF: 23}


def decode(source: Source, name: str, *, pixel_limit: int = PIXEL_LIMIT) -> Decoded:
    """Read the header of a file. Raises ImageError where it is no picture, or not believable."""
    kind = sniff(_head(source, name))
    if kind in _BY_PILLOW or _is_animated(source, kind):
        return foreign.decode(source, name, kind, pixel_limit)
    if kind is PictureFormat.JPEG and _has(source, has_too_many_segments):
        raise damaged(name, f"it has over {MOST_PARTS:,} segments ahead of its pixels")
    try:
        with told(lambda: _open(source, kind)):
            header = _open(source, kind)
    except VipsFailure as failure:
        if kind in _STRICT:
            raise damaged(name, str(failure)) from failure
        return foreign.decode(source, name, kind, pixel_limit, reason=str(failure) or None)
    if has_field(header, "heif-compression") and header.get("heif-compression") != "av1":
        return foreign.decode(source, name, PictureFormat.HEIC, pixel_limit)
    pages = int(header.get("n-pages")) if has_field(header, "n-pages") else 1
    check_claims(name, header.width, header.height * pages, pixel_limit)
    _check_contents(source, kind, name, header)
    decoder_bytes = check_memory(name, _decoder_bytes(kind, header))
    is_animated = pages > 1 and has_field(header, "delay")
    if is_animated:
        open_page = _frames(source, kind, name, header)
    else:
        open_page = _pages(source, kind, name, pages, pixel_limit)
    return Decoded(
        name=name,
        format=kind,
        metadata=_metadata(source, kind, header),
        pages=pages,
        open_page=open_page,
        decoder_bytes=decoder_bytes,
        is_held=is_animated,
        is_lossless=kind is PictureFormat.WEBP and _has(source, is_lossless_webp),
        notes=_notes(source, kind, header),
    )


def _pages(
    source: Source, kind: PictureFormat, name: str, pages: int, pixel_limit: int
) -> Callable[[int], VipsImage]:
    pixels: dict[int, int] = {}  # by page: of a TIFF each says its own size

    def open_page(index: int) -> VipsImage:
        options = {"page": index} if pages > 1 else {}
        with reading(name, lambda: _open(source, kind, **options)):
            image = _open(source, kind, **options)
            pixels[index] = image.width * image.height
            check_pages(name, pixels.values(), pixel_limit)
            orientation = int(image.get("orientation")) if has_field(image, "orientation") else 1
            if orientation > 2:  # turned or upside down: rows of the result are no rows of the file
                image = _open(source, kind, access="random", **options)
            return image.autorot()

    return open_page


def _frames(
    source: Source, kind: PictureFormat, name: str, header: VipsImage
) -> Callable[[int], VipsImage]:
    # A frame is drawn over the ones before it. So all are decoded once, one below the other:
    # libvips keeps them in memory up to 100 MB, else in a temporary file.
    def whole() -> VipsImage:
        return _open(source, kind, n=-1, access="random")

    with reading(name, whole):
        strip = whole()
    height = int(header.get("page-height")) if has_field(header, "page-height") else header.height

    def open_page(index: int) -> VipsImage:
        return strip.crop(0, index * height, strip.width, height).autorot()

    return open_page


def _open(source: Source, kind: PictureFormat, **options: object) -> VipsImage:
    # "truncated" lets a file end in black. "warning" is too strict for most: cameras leave bytes
    # that mean nothing in a JPEG, and scanners and tifffile sort or repeat the fields of a TIFF as
    # no rule allows; every viewer shows such pictures.
    image = _read(source, kind, fail_on="error", **options)
    if kind is not PictureFormat.TIFF:
        return image
    # That a tile of a TIFF is damaged is no more than a warning to libvips (8.18), of a strip not
    # but for some kinds of compression.
    if has_field(image, "tile-width") or _has(source, must_not_warn):
        return _read(source, kind, fail_on="warning", **options)
    return image


def _read(source: Source, kind: PictureFormat, **options: object) -> VipsImage:
    strict = {"access": "sequential", **options}
    if isinstance(source, bytes):
        stream = VipsSource.new_from_memory(source)
    else:
        stream = VipsSource.new_from_file(file_name(source))
    if kind is PictureFormat.JPEG:  # else one with a gain map would open as another kind
        return VipsImage.jpegload_source(stream, **strict)
    return VipsImage.new_from_source(stream, "", **strict)


def _metadata(source: Source, kind: PictureFormat, header: VipsImage) -> Metadata:
    metadata = read_metadata(header)
    if kind is PictureFormat.JPEG:
        with _stream(source) as file:
            comments = tuple(("", text) for text in jpeg_comments(file))
        return replace(metadata, comments=comments)
    if kind is PictureFormat.PNG:
        with _stream(source) as file:
            return replace(metadata, comments=png_texts(file))
    if kind is not PictureFormat.TIFF:
        return metadata
    try:
        with _stream(source) as file:
            return replace(metadata, exif=exif_of_tiff(file).to_bytes())
    except TiffError:  # libvips could read it: only its description is odd
        return metadata


def _is_animated(source: Source, kind: PictureFormat) -> bool:
    """Whether a file has frames that libvips does not see: it takes the first for all."""
    match kind:
        case PictureFormat.PNG:
            return _has(source, is_animated_png)
        case PictureFormat.AVIF:
            return _has(source, is_avif_sequence)
    return False


def _notes(source: Source, kind: PictureFormat, header: VipsImage) -> tuple[str, ...]:
    if kind is PictureFormat.AVIF and _has(source, has_hidden_frames):
        return ("it says that it is a still picture: the frames that it holds are left out",)
    if has_field(header, "xmp-data") and b"hdrgm:" in bytes(header.get("xmp-data")):
        return ("the HDR gain map is left out",)
    return ()


def _check_contents(source: Source, kind: PictureFormat, name: str, header: VipsImage) -> None:
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    width, height = header.width, header.height
    match kind:
        case PictureFormat.PNG:
            with _stream(source) as file:
                claims.check_png(name, file, size)
        case PictureFormat.JPEG:
            claims.check_jpeg(name, width, height, size)
        case PictureFormat.TIFF:
            with _stream(source) as file:
                claims.check_tiff(name, file, size)
        case PictureFormat.GIF:
            with _stream(source) as file:
                claims.check_gif(name, width, height, file, size)


def _decoder_bytes(kind: PictureFormat, header: VipsImage) -> int:
    """What the decoder takes for a page that it cannot read by rows; 0 for one that it can."""
    pixel_bytes = _WHOLE_BYTES.get(kind, 0)
    if kind is PictureFormat.JPEG and _is_set(header, "jpeg-multiscan"):
        pixel_bytes = 2 * header.bands  # coefficients, until the last scan
    if kind is PictureFormat.PNG and _is_set(header, "interlaced"):
        pixel_bytes = header.bands * (2 if header.format == "ushort" else 1)
    return int(header.width * header.height * pixel_bytes)


def _is_set(header: VipsImage, field: str) -> bool:
    return has_field(header, field) and bool(header.get(field))


def _has(source: Source, feature: Callable[[BinaryIO], bool]) -> bool:
    with _stream(source) as file:
        return feature(file)


@contextmanager
def _stream(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield BytesIO(source)
        return
    with source.open("rb") as file:
        yield file


def _head(source: Source, name: str) -> bytes:
    try:
        with _stream(source) as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise ImageError(f"{name} does not exist", hint="check the path") from None
    except IsADirectoryError:
        raise ImageError(
            f"{name} is a folder", hint="name a picture, or add -o FOLDER to do them all"
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ImageError(
            f"{name} cannot be opened: {reason}", hint="check its permissions"
        ) from error
    if not head:
        raise ImageError(f"{name} is empty (0 bytes)", hint="get the file again")
    return head
