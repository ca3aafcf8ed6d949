"""What the structure of a file tells before a decoder is asked: its chunks and blocks."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from srcli.io.files import insert_bytes

_JPEG_COMMENT, _JPEG_SCAN = 0xFE, 0xDA
_JPEG_SEGMENT_BYTES = 65_533
_MOST_COMMENTS = 10_000  # a file of nothing else has millions


def is_animated_png(file: BinaryIO) -> bool:
    """Whether a PNG says, before its pixels, that it is animated."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
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
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name in (b"VP8L", b"VP8 ", b"ANMF"):
            return bool(name == b"VP8L")
        file.seek(size + size % 2, 1)
    return False


def jpeg_comments(file: BinaryIO) -> tuple[str, ...]:
    """The comment segments of a JPEG, which libvips leaves out."""
    found = []
    file.seek(2)
    while len(head := file.read(4)) == 4 and head[0] == 0xFF and head[1] != _JPEG_SCAN:
        size = int.from_bytes(head[2:], "big") - 2
        if size < 0:  # a length counts its own two bytes
            break
        if head[1] == _JPEG_COMMENT:
            found.append(file.read(size).rstrip(b"\0").decode("utf-8", "replace"))
            if len(found) == _MOST_COMMENTS:
                break
        else:
            file.seek(size, 1)
    return tuple(found)


def insert_jpeg_comment(path: Path, text: str) -> None:
    """Put a comment segment behind the first segment of a JPEG, which must stay the first."""
    comment = text.encode()[:_JPEG_SEGMENT_BYTES]
    segment = bytes([0xFF, _JPEG_COMMENT]) + (len(comment) + 2).to_bytes(2, "big") + comment
    with path.open("rb") as file:
        head = file.read(6)
    insert_bytes(path, 4 + int.from_bytes(head[4:], "big"), segment)
