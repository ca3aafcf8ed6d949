"""Animated PNG, put together from the chunks of one PNG per frame (PNG 3rd edition, section 11).

libvips writes one picture to a PNG, and Pillow holds all frames and 8 bits only; here the frames
come one after the other and keep 16 bits.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from srcli.io.metadata import Animation

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST = (1 << 16) - 1  # of either part of a frame's time, which is a fraction


def write_animation(file: BinaryIO, frames: Iterable[bytes], animation: Animation) -> None:
    """Write PNG files of one size and kind as frames; the first one gives the metadata."""
    numbers = iter(range(1 << 31))
    delays = animation.delays_ms
    for index, frame in enumerate(frames):
        chunks = list(_chunks(frame))
        control = _control(next(numbers), chunks[0][1], delays[index])
        if index == 0:
            count = struct.pack(">II", len(delays), animation.loops)
            _write_first(file, chunks, count, control)
            continue
        _write(file, b"fcTL", control)
        for name, data in chunks:
            if name == b"IDAT":
                _write(file, b"fdAT", struct.pack(">I", next(numbers)) + data)
    _write(file, b"IEND", b"")


def _write_first(
    file: BinaryIO, chunks: list[tuple[bytes, bytes]], count: bytes, control: bytes
) -> None:
    file.write(_SIGNATURE)
    _write(file, *chunks[0])
    _write(file, b"acTL", count)
    is_before = True
    for name, data in chunks[1:-1]:
        if name == b"IDAT" and is_before:
            _write(file, b"fcTL", control)
            is_before = False
        _write(file, name, data)


def _control(number: int, header: bytes, delay_ms: int) -> bytes:
    # Whole frames, each one replacing the one before: nothing to dispose of, nothing to blend.
    time = struct.pack(">HH", *_seconds(delay_ms))
    return struct.pack(">I", number) + header[:8] + bytes(8) + time + bytes(2)


def _seconds(delay_ms: int) -> tuple[int, int]:
    """A time as a fraction of 16 bits, as fine as can be; beyond 18 hours the longest there is.

    >>> _seconds(40), _seconds(70_000), _seconds(10**9)
    ((40, 1000), (7000, 100), (65535, 1))
    """
    fractions = ((round(delay_ms * parts / 1000), parts) for parts in (1000, 100, 10, 1))
    return next((each for each in fractions if each[0] <= _MOST), (_MOST, 1))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_SIGNATURE)
    while place < len(png):
        size, name = struct.unpack_from(">I4s", png, place)
        yield name, png[place + 8 : place + 8 + size]
        place += size + 12


def _write(file: BinaryIO, name: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + name + data)
    file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))
