"""Opening a picture file of any kind: which decoder, which pages, are the claims believable."""

from __future__ import annotations

from collections.abc import Callable

import pyvips

from srcli.errors import ImageError
from srcli.io import foreign
from srcli.io.decoded import PIXEL_LIMIT, Decoded, Source, check_claims
from srcli.io.formats import HEAD_BYTES, PictureFormat, sniff
from srcli.io.metadata import read_metadata
from srcli.io.vips import VipsError, VipsImage, damaged, explain, has_field, reading

_HELD_BYTES = 64 << 20  # a page that decodes to less is decoded once and held
_SAMPLE_BYTES = 4  # at most
_DEFLATE_MOST = 1032  # no deflate stream unpacks to more than this many times its size

_BY_PILLOW = (PictureFormat.BMP, PictureFormat.HEIC)
# What libvips refuses of these is damaged: Pillow would show the part that is left of it.
_STRICT = (PictureFormat.PNG, PictureFormat.JPEG, PictureFormat.WEBP, PictureFormat.GIF)


def decode(source: Source, name: str, *, pixel_limit: int = PIXEL_LIMIT) -> Decoded:
    """Read the header of a file. Raises ImageError where it is no picture, or not believable."""
    kind = sniff(_head(source, name))
    if kind in _BY_PILLOW:
        return foreign.decode(source, name, kind, pixel_limit)
    try:
        header = _open(source)
    except VipsError as error:
        if kind in _STRICT:
            raise damaged(name, error) from error
        return foreign.decode(source, name, kind, pixel_limit, reason=explain(error))
    if has_field(header, "heif-compression") and header.get("heif-compression") != "av1":
        return foreign.decode(source, name, PictureFormat.HEIC, pixel_limit)
    pages = int(header.get("n-pages")) if has_field(header, "n-pages") else 1
    check_claims(name, header.width, header.height * pages, pixel_limit)
    if kind is PictureFormat.PNG:
        _check_deflate(source, name, header)
    is_paged = pages > 1

    def open_page(index: int) -> VipsImage:
        with reading(name):
            return _upright(source, index if is_paged else None)

    return Decoded(
        name=name,
        format=kind,
        metadata=read_metadata(_open(source, n=-1) if is_paged else header),
        pages=pages,
        open_page=open_page,
    )


def _check_deflate(source: Source, name: str, header: VipsImage) -> None:
    bits = int(header.get("bits-per-sample")) if has_field(header, "bits-per-sample") else 8
    least = header.height * (header.width * bits // 8)  # one channel at least
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if least > size * _DEFLATE_MOST + (1 << 20):
        raise ImageError(
            f"{name} claims {header.width:,} x {header.height:,} pixels in {size:,} bytes, "
            "which no PNG can hold",
            hint="the file is damaged or made to fill the memory: get it again",
        )


def _head(source: Source, name: str) -> bytes:
    if isinstance(source, bytes):
        head = source[:HEAD_BYTES]
    else:
        try:
            with source.open("rb") as file:
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


def _open(source: Source, **options: object) -> VipsImage:
    strict = {"access": "sequential", "fail_on": "truncated", **options}
    if isinstance(source, bytes):
        return pyvips.Image.new_from_buffer(source, "", **strict)
    return pyvips.Image.new_from_file(str(source), **strict)


def _upright(source: Source, page: int | None) -> VipsImage:
    options = {} if page is None else {"page": page}
    image = _open(source, **options)
    orientation = int(image.get("orientation")) if has_field(image, "orientation") else 1
    if orientation > 2:  # turned or upside down: rows of the result are no rows of the file
        image = _open(source, access="random", **options)
    return image.autorot()


def held(open_image: Callable[[], VipsImage]) -> Callable[[], VipsImage]:
    """The same images, decoded once and held where they are small."""
    kept: list[VipsImage] = []

    def open_or_reuse() -> VipsImage:
        if kept:
            return kept[0]
        image = open_image()
        if image.width * image.height * image.bands * _SAMPLE_BYTES > _HELD_BYTES:
            return image
        kept.append(image.copy_memory())
        return kept[0]

    return open_or_reuse
