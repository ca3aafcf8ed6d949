"""What the structure of a file tells before a decoder is asked: its chunks and blocks."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from srcli.io.files import insert_bytes
from srcli.io.tiff import Tiff, TiffError

_JPEG_COMMENT, _JPEG_SCAN = 0xFE, 0xDA
_JPEG_SEGMENT_BYTES = 65_533
_MOST_COMMENTS = 10_000  # a file of nothing else has millions
_TIFF_COMPRESSION = 259
_FORGIVING = {2, 3, 6, 7}  # facsimiles of group 3, JPEG
MOST_PARTS = 100_000  # chunks or segments ahead of the pixels: hundreds are many


def is_animated_png(file: BinaryIO) -> bool:
    """Whether a PNG says, before its pixels, that it is animated."""
    file.seek(8)
    for _ in range(MOST_PARTS):
        if len(head := file.read(8)) < 8:
            break
        size, name = struct.unpack(">I4s", head)
        if name in (b"acTL", b"IDAT", b"IEND"):
            return bool(name == b"acTL")
        file.seek(size + 4, 1)
    return False


def avif_brands(file: BinaryIO) -> list[bytes]:
    """What an AVIF says it is, first of all, and what else: `avis` is a sequence of frames."""
    file.seek(0)
    size = int.from_bytes(file.read(4), "big")
    brands = file.read(max(min(size, 256) - 4, 0))[4:]
    return [brands[i : i + 4] for i in range(0, len(brands), 4)]


def is_avif_sequence(file: BinaryIO) -> bool:
    """Whether an AVIF is shown as an animation: where it says so first of all."""
    return avif_brands(file)[:1] == [b"avis"]


def has_hidden_frames(file: BinaryIO) -> bool:
    """Whether an AVIF holds frames, but is shown as a still picture."""
    return b"avis" in avif_brands(file)[1:]


def is_lossless_webp(file: BinaryIO) -> bool:
    """Whether the pixels of a still WebP are stored without loss."""
    file.seek(12)
    for _ in range(MOST_PARTS):
        if len(head := file.read(8)) < 8:
            break
        name, size = struct.unpack("<4sI", head)
        if name in (b"VP8L", b"VP8 ", b"ANMF"):
            return bool(name == b"VP8L")
        file.seek(size + size % 2, 1)
    return False


def must_not_warn(file: BinaryIO) -> bool:
    """Whether a warning of libtiff about a TIFF means that pixels are damaged.

    In strips of most kinds that is an error. In the others a warning says so, unless it may be one
    about the fields, which ought to be sorted and each there once. The first page stands for all.
    """
    try:
        tiff = Tiff.opened(file)
        place = tiff.pointer_at(tiff.first_pointer)
        tags = tiff.tags(place)
        fields, _ = tiff.read(place, wanted={_TIFF_COMPRESSION})
        compression = fields.get(_TIFF_COMPRESSION)
        is_forgiving = compression is not None and compression.whole_number() in _FORGIVING
    except TiffError:
        return False
    return is_forgiving and tags == sorted(set(tags))


def has_too_many_segments(file: BinaryIO) -> bool:
    """Whether a JPEG has more ahead of its pixels than any camera writes.

    libvips takes 200 bytes for each that may hold metadata, of which four lie in the file.
    """
    return next(islice(_jpeg_segments(file), MOST_PARTS, None), None) is not None


def jpeg_comments(file: BinaryIO) -> tuple[str, ...]:
    """The comment segments of a JPEG, which libvips leaves out."""
    comments = (
        file.read(size).rstrip(b"\0").decode("utf-8", "replace")
        for marker, size in _jpeg_segments(file)
        if marker == _JPEG_COMMENT
    )
    return tuple(islice(comments, _MOST_COMMENTS))


def _jpeg_segments(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Marker and length of each segment ahead of the pixels, with the file at its content."""
    place = 2
    while True:
        file.seek(place)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == _JPEG_SCAN:
            return
        size = int.from_bytes(head[2:], "big") - 2
        if size < 0:  # a length counts its own two bytes
            return
        yield head[1], size
        place += size + 4


def insert_jpeg_comment(path: Path, text: str) -> None:
    """Put a comment segment behind the first segment of a JPEG, which must stay the first."""
    comment = text.encode()[:_JPEG_SEGMENT_BYTES]
    segment = bytes([0xFF, _JPEG_COMMENT]) + (len(comment) + 2).to_bytes(2, "big") + comment
    with path.open("rb") as file:
        head = file.read(6)
    insert_bytes(path, 4 + int.from_bytes(head[4:], "big"), segment)
