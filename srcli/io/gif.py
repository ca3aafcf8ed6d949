"""The blocks of a GIF: whether they are whole, and how many pixels its images really paint."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_IMAGE, _EXTENSION, _END = 0x2C, 0x21, 0x3B
_MOST_CODES, _MOST_BITS = 4096, 12
# Blocks that a file may have: so many, and one for each hundred bytes. They hold 255 as a rule.
_ENOUGH_BLOCKS, _BLOCK_BYTES = 1_000_000, 100


class EndlessError(ValueError):
    """A file of nothing but tiny blocks, which would take long to walk through."""


@dataclass(frozen=True, slots=True)
class GifImage:
    """One image of a GIF: the pixels it says it has, and where its data begin."""

    pixels: int
    offset: int


def gif_images(file: BinaryIO) -> Iterator[GifImage]:
    """The images of a GIF, none decoded. Raises EOFError where a block is cut off, or EndlessError.

    A missing end mark after a whole block is forgiven, as everyone does. The file may be read
    elsewhere between two images.
    """
    left = _ENOUGH_BLOCKS + file.seek(0, os.SEEK_END) // _BLOCK_BYTES
    file.seek(0)
    _skip_palette(file, _exactly(file, 13)[10])
    while mark := file.read(1):
        image = None
        if mark[0] == _IMAGE:
            fields = _exactly(file, 9)
            _skip_palette(file, fields[8])
            width, height = (int.from_bytes(fields[i : i + 2], "little") for i in (4, 6))
            image = GifImage(width * height, file.tell())
        elif mark[0] != _EXTENSION:
            return  # the end, or something after the blocks: the decoder's affair
        file.read(1)  # the size of the first codes, or which extension it is
        left = _skip_blocks(file, left - 1)
        if image:
            end = file.tell()
            yield image
            file.seek(end)


def painted_pixels(file: BinaryIO, image: GifImage, enough: int) -> int:
    """How many pixels the data of an image stand for; counted no further than `enough`."""
    file.seek(image.offset)
    least_bits = min(_exactly(file, 1)[0], _MOST_BITS - 1)
    enough = min(enough, image.pixels)
    painted = 0
    for length in _string_lengths(_blocks(file), least_bits):
        painted += length
        if painted >= enough:
            return enough
    return painted


def _string_lengths(blocks: Iterator[bytes], least_bits: int) -> Iterator[int]:
    """The length of the string that each code stands for, up to a code that there is not.

    The LZW of appendix F of the GIF89a specification. Nothing of a string is kept but its length.
    """
    clear = 1 << least_bits
    end = clear + 1
    fresh = [1] * clear + [0, 0]
    lengths, bits, last = fresh.copy(), least_bits + 1, 0
    held = held_bits = 0
    for block in blocks:
        held |= int.from_bytes(block, "little") << held_bits
        held_bits += 8 * len(block)
        while held_bits >= bits:
            code = held & ((1 << bits) - 1)
            held >>= bits
            held_bits -= bits
            if code == clear:
                lengths, bits, last = fresh.copy(), least_bits + 1, 0
                continue
            if last and len(lengths) < _MOST_CODES:
                lengths.append(last + 1)
                bits = min(len(lengths).bit_length(), _MOST_BITS)
            if code == end or code >= len(lengths):
                return
            last = lengths[code]
            yield last


def _skip_palette(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << (flags % 8 + 1), 1)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while size := _exactly(file, 1)[0]:
        yield _exactly(file, size)


def _skip_blocks(file: BinaryIO, most: int) -> int:
    """How many of `most` blocks are left behind these. Each is read with the length of the next."""
    size = _exactly(file, 1)[0]
    for left in range(most, 0, -1):
        if not size:
            return left
        size = _exactly(file, size + 1)[size]
    raise EndlessError


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return data
