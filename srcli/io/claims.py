"""What the header of a picture claims, against what its bytes can hold at the very most.

A hundred bytes can claim gigapixels, and decoders take the memory for them before they find that
nothing follows. Each kind of compression has a most that a byte can stand for.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from srcli.errors import ImageError
from srcli.io.gif import EndlessError, gif_images, painted_pixels
from srcli.io.tiff import Tiff, TiffError

_DEFLATE_MOST = 1032  # no deflate stream unpacks to more than this many times its size
_PNG_SAMPLES = {2: 3, 4: 2, 6: 4}  # of a pixel, by the type of colour; else one
# A block of 64 pixels takes a bit at least, and colour has a block of its own. But arithmetic
# coding, which hardly anybody writes, may take less.
_JPEG_MOST = 512  # pixels of a byte
# Codes of 12 bits stand for strings of up to 4,094 pixels, and the strings have to grow first.
_GIF_MOST = 2730
# Up to so many pixels of a byte the memory is in proportion to the file. Beyond, the codes are
# counted, at some 3 MB a second. To count them always would win nothing: 200 kB can truly paint the
# largest canvas, so what it takes is held against what is free in any case.
_GIF_LITTLE = 200
_GIF_DECODED = (1 << 29) - 1  # pixels of a canvas, four bytes each: libvips 8.18 decodes no more
_GIF_SMALL = 16_000_000  # pixels; a decoder may take the memory of those (64 MB)
_BOMB_HINT = "the file is damaged or made to fill the memory: get it again"
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES = 256, 257, 258, 259, 277
# Bytes of samples that a byte of a TIFF may stand for, by the number of its compression; of others
# (fax, JPEG 2000, ...) nobody can say.
_TIFF_MOST = {1: 1, 5: 2730, 8: _DEFLATE_MOST, 32946: _DEFLATE_MOST, 32773: 64}


def check_png(name: str, file: BinaryIO, size: int) -> None:
    """Raise ImageError where no PNG of `size` bytes can hold so much."""
    width, height, bits, colour = struct.unpack(">16xIIBB", file.read(26))
    if height * (width * bits * _PNG_SAMPLES.get(colour, 1) // 8) > size * _DEFLATE_MOST:
        raise _bomb(name, width, height, size, "PNG")


def check_jpeg(name: str, width: int, height: int, size: int) -> None:
    """Raise ImageError where no JPEG of `size` bytes can hold so much."""
    if width * height > size * _JPEG_MOST:
        raise _bomb(name, width, height, size, "JPEG")


def check_gif(name: str, width: int, height: int, file: BinaryIO, size: int) -> None:
    """Raise ImageError where a GIF of `size` bytes is cut off, endless, or paints too little.

    The data are held against the canvas only where it is large and they are few for it.
    """
    _check_blocks(name, file, size)
    canvas = width * height
    if canvas > size * _GIF_MOST:
        raise _bomb(name, width, height, size, "GIF")
    if canvas > _GIF_DECODED:
        raise ImageError(
            f"{name} claims {width:,} x {height:,} pixels, more than libvips decodes of a GIF",
            hint="convert it to PNG or TIFF first: those are read by rows",
        )
    if canvas <= max(_GIF_SMALL, size * _GIF_LITTLE):
        return
    painted = 0
    for image in gif_images(file):
        painted += painted_pixels(file, image, canvas - painted)
    if painted < canvas:
        raise ImageError(
            f"{name} claims {width:,} x {height:,} pixels, and its data paint {painted:,}",
            hint=_BOMB_HINT,
        )


def _check_blocks(name: str, file: BinaryIO, size: int) -> None:
    try:
        for _ in gif_images(file):
            pass
    except EOFError:  # libvips plays what is left
        message, hint = f"{name} cannot be read: it is cut off", "get the file again"
        raise ImageError(message, hint=hint) from None
    except EndlessError:
        message = f"{name} cannot be read: it has too many blocks for its {size:,} bytes"
        raise ImageError(message, hint=_BOMB_HINT) from None


def check_tiff(name: str, file: BinaryIO, size: int) -> None:
    """Raise ImageError where the first page of a TIFF of `size` bytes claims more than it holds."""
    try:
        tiff = Tiff.opened(file)
        fields, _ = tiff.read(tiff.pointer_at(tiff.first_pointer), wanted=_NEEDED)
        given = {tag: field.whole_number() for tag, field in fields.items()}
    except TiffError:  # libvips could read it: its own checks stand
        return
    width, height = given.get(_WIDTH, 0), given.get(_HEIGHT, 0)
    compression, samples = given.get(_COMPRESSION, 1), given.get(_SAMPLES, 1)
    most = _TIFF_MOST.get(compression)
    bits = given.get(_BITS, 1) * samples
    if most is not None and height * (width * bits // 8) > size * most:
        raise _bomb(name, width, height, size, "TIFF")


_NEEDED = {_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES}


def _bomb(name: str, width: int, height: int, size: int, kind: str) -> ImageError:
    return ImageError(
        f"{name} claims {width:,} x {height:,} pixels in {size:,} bytes, which no {kind} can hold",
        hint=_BOMB_HINT,
    )
