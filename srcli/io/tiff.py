"""Directories of a TIFF structure, classic or BigTIFF: read, changed, written at the end of a file.

libvips writes neither EXIF nor pages of different sizes into a TIFF. Both are directories, which
may lie anywhere in the file:

    header -> directory of page 1 -> directory of page 2 -> 0
                     |-> EXIF, GPS          |-> tiles

So a new directory is appended and the pointer to the old one is changed. Layout: TIFF 6.0
section 2, BigTIFF as libtiff defines it.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

# Bytes of a value and of the units in which its byte order is reversed, by field type.
_KINDS = {
    1: (1, 1),
    2: (1, 1),
    3: (2, 2),
    4: (4, 4),
    5: (8, 4),
    6: (1, 1),
    7: (1, 1),
    8: (2, 2),
    9: (4, 4),
    10: (8, 4),
    11: (4, 4),
    12: (8, 8),
    13: (4, 4),
    16: (8, 8),
    17: (8, 8),
    18: (8, 8),
}
ASCII, SHORT, LONG, UNDEFINED, LONG8 = 2, 3, 4, 7, 16
_MOST_BYTES = 32 << 20  # of all values of a directory: more is damage
_FARTHEST = 1 << 62  # that a file can be sought to
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324


class TiffError(ValueError):
    """Bytes that are no TIFF structure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One field of a directory; `data` are its values in little-endian order."""

    tag: int
    kind: int
    count: int
    data: bytes

    @classmethod
    def numbers(cls, tag: int, kind: int, values: Sequence[int]) -> Entry:
        """A field of SHORT, LONG or LONG8 values."""
        letter = {SHORT: "H", LONG: "I", LONG8: "Q"}[kind]
        data = struct.pack(f"<{len(values)}{letter}", *values)
        return cls(tag=tag, kind=kind, count=len(values), data=data)

    @classmethod
    def text(cls, tag: int, text: str) -> Entry:
        """A field of ASCII type; other characters are written in UTF-8, as everyone does."""
        data = text.encode() + b"\0"
        return cls(tag=tag, kind=ASCII, count=len(data), data=data)

    def whole_numbers(self) -> tuple[int, ...]:
        """The values of a SHORT, LONG, IFD or LONG8 field."""
        letter = {SHORT: "H", LONG: "I", 13: "I", LONG8: "Q", 18: "Q"}.get(self.kind)
        if letter is None:
            raise TiffError(f"tag {self.tag} holds no whole numbers")
        return struct.unpack(f"<{self.count}{letter}", self.data)

    def whole_number(self) -> int:
        """The first of them."""
        if not self.count:
            raise TiffError(f"tag {self.tag} holds nothing")
        return self.whole_numbers()[0]


@dataclass(frozen=True, slots=True)
class Tiff:
    """A TIFF structure in a file that can be sought, its byte order and the width of offsets."""

    file: BinaryIO
    order: str  # "<" or ">"
    is_big: bool

    @classmethod
    def opened(cls, file: BinaryIO) -> Tiff:
        """Read the header. Raises TiffError where there is none."""
        head = file.read(8)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 8:
            raise TiffError("no TIFF header")
        version = struct.unpack_from(f"{order}H", head, 2)[0]
        if version not in (42, 43):
            raise TiffError("no TIFF header")
        return cls(file, order, version == 43)

    @property
    def first_pointer(self) -> int:
        """Where the header points to the first directory."""
        return 8 if self.is_big else 4

    def pointer_at(self, place: int) -> int:
        """The offset stored at `place`."""
        return self._number("Q" if self.is_big else "I", place)

    def set_pointer(self, place: int, offset: int) -> None:
        """Store an offset at `place`."""
        self.file.seek(place)
        self.file.write(struct.pack(self.order + ("Q" if self.is_big else "I"), offset))

    def read(
        self, offset: int, *, wanted: Container[int] | None = None, unwanted: Container[int] = ()
    ) -> tuple[dict[int, Entry], int]:
        """The fields of the directory at `offset`, and where its pointer to the next one lies.

        Of fields that are not `wanted`, or are `unwanted`, no value is read.
        """
        places = self._places(offset)
        # All values together are no more than the file.
        fields, left = {}, min(self.file.seek(0, 2), _MOST_BYTES)
        for at in places:
            tag = self._number("H", at)
            if tag in unwanted or (wanted is not None and tag not in wanted):
                continue
            entry = self._entry(at)
            if entry is None:
                continue
            left -= len(entry.data)
            if left < 0:
                raise TiffError("fields that lie one over the other")
            fields[entry.tag] = entry
        return fields, places.stop

    def tags(self, offset: int) -> list[int]:
        """Of which fields the directory at `offset` is made, as they lie in it."""
        return [self._number("H", place) for place in self._places(offset)]

    def append(self, fields: Iterable[Entry]) -> tuple[int, int]:
        """Write a directory at the end; return its offset and where its next-pointer lies."""
        entries = sorted(fields, key=lambda entry: entry.tag)
        inline = 8 if self.is_big else 4
        form = self.order + ("HHQ" if self.is_big else "HHI")
        table = b""
        for entry in entries:
            data = self._reordered(entry)
            head = struct.pack(form, entry.tag, entry.kind, entry.count)
            if len(data) > inline:
                data = struct.pack(self.order + ("Q" if self.is_big else "I"), self._add(data))
            table += head + data.ljust(inline, b"\0")
        count = struct.pack(self.order + ("Q" if self.is_big else "H"), len(entries))
        offset = self._add(count + table + bytes(inline))
        return offset, offset + len(count) + len(table)

    def align(self) -> int:
        """Go to the end, at an even offset, where directories and values start."""
        offset = self.file.seek(0, 2)
        if offset % 2:
            self.file.write(b"\0")
        return offset + offset % 2

    def _places(self, offset: int) -> range:
        """Where the fields of the directory at `offset` lie; it stops where they do."""
        count = self._number("Q" if self.is_big else "H", offset)
        if count > 4096:
            raise TiffError("a directory of too many fields")
        first, size = (offset + 8, 20) if self.is_big else (offset + 2, 12)
        return range(first, first + size * count, size)

    def _entry(self, place: int) -> Entry | None:
        self.file.seek(place)
        length = 20 if self.is_big else 12
        raw = self.file.read(length)
        if len(raw) < length:
            raise TiffError("a directory is cut off")
        form = self.order + ("HHQ" if self.is_big else "HHI")
        tag, kind, count = struct.unpack_from(form, raw)
        if kind not in _KINDS:
            return None
        size = _KINDS[kind][0] * count
        inline = struct.calcsize(form)
        data = raw[inline:]
        if size > len(data):
            data = self._bytes(struct.unpack(self.order + "IQ"[self.is_big], data)[0], size)
        entry = Entry(tag=tag, kind=kind, count=count, data=data[:size])
        return replace(entry, data=self._reordered(entry))

    def _reordered(self, entry: Entry) -> bytes:
        unit = _KINDS[entry.kind][1]
        if self.order == "<" or unit == 1:
            return entry.data
        return np.frombuffer(entry.data, f"u{unit}").byteswap().tobytes()

    def _add(self, data: bytes) -> int:
        offset = self.align()
        self.file.write(data)
        return offset

    def _number(self, letter: str, place: int) -> int:
        data = self._bytes(place, struct.calcsize(f"={letter}"))
        return int(struct.unpack(self.order + letter, data)[0])

    def _bytes(self, offset: int, size: int) -> bytes:
        if size > _MOST_BYTES or offset > _FARTHEST:
            raise TiffError("a field of impossible length or place")
        self.file.seek(offset)
        data = self.file.read(size)
        if len(data) < size:
            raise TiffError("a field lies beyond the end")
        return data


def append_page(target: Tiff, last_pointer: int, page: Path) -> int:
    """Copy a TIFF of one page into another one, after the page whose next-pointer is given.

    Returns where the new page's next-pointer lies.
    """
    with page.open("rb") as file:
        source = Tiff.opened(file)
        fields, _ = source.read(source.pointer_at(source.first_pointer))
        file.seek(0)
        base = target.align()
        shutil.copyfileobj(file, target.file, 1 << 20)
    kind = LONG8 if target.is_big else LONG
    for tag in (_STRIP_OFFSETS, _TILE_OFFSETS):
        if tag in fields:
            moved = [base + offset for offset in fields[tag].whole_numbers()]
            fields[tag] = Entry.numbers(tag, kind, moved)
    offset, next_pointer = target.append(fields.values())
    target.set_pointer(last_pointer, offset)
    return next_pointer
