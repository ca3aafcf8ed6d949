"""EXIF, XMP and IPTC, made true for a picture that was turned upright and enlarged.

EXIF is a TIFF structure of its own (CIPA DC-008): a main directory, one for the camera, one for
the place, and one for the thumbnail, which is dropped here.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

from srcli.io.tiff import LONG, SHORT, UNDEFINED, Entry, Tiff, TiffError

_PREFIX = b"Exif\0\0"
SHAPE_NOTE = b'{"shape":'  # tifffile's note to itself, untrue once the picture is enlarged
_DESCRIPTION = 0x010E
_ORIENTATION, _SOFTWARE = 0x0112, 0x0131
_MAIN_SIZE = (0x0100, 0x0101)  # width, height
_CAMERA_SIZE = (0xA002, 0xA003)
_IPTC = 0x83BB
_CAMERA, _PLACE, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005
_LAYERS = 0x935C  # Photoshop's, of the picture as it was

# What a TIFF's main directory says about its own storage, not about the photograph.
_STORAGE = frozenset(
    [*range(0x00FE, 0x010E), *range(0x0111, 0x0120), *range(0x0120, 0x012E), 0x013D]
    + [*range(0x0140, 0x0160), *range(0x0200, 0x0215), 0x015B, 0x02BC, 0x83BB, 0x8649, 0x8773]
    + [_CAMERA, _PLACE, _INTEROPERABILITY, _LAYERS]
) - {0x010E, 0x010F, 0x0110, 0x0131}

Fields = dict[int, Entry]


@dataclass(slots=True)
class Exif:
    """The directories of an EXIF block."""

    main: Fields = field(default_factory=dict)
    camera: Fields = field(default_factory=dict)
    place: Fields = field(default_factory=dict)
    interoperability: Fields = field(default_factory=dict)

    def correct(self, height: int, width: int, software: str | None) -> None:
        """Say what is true now: upright, of this size, made by `software`."""
        if _ORIENTATION in self.main:
            self.main[_ORIENTATION] = Entry.numbers(_ORIENTATION, SHORT, [1])
        for fields, tags in ((self.main, _MAIN_SIZE), (self.camera, _CAMERA_SIZE)):
            for tag, size in zip(tags, (width, height), strict=True):
                if tag in fields:
                    fields[tag] = Entry.numbers(tag, LONG, [size])
        if software:
            self.main[_SOFTWARE] = Entry.text(_SOFTWARE, software)

    def append_to(self, tiff: Tiff, others: Fields) -> tuple[int, int]:
        """Write all directories, the main one with `others` (which win) added; see Tiff.append."""
        fields = self.main | others
        if self.camera:
            camera = dict(self.camera)
            if self.interoperability:
                offset, _ = tiff.append(self.interoperability.values())
                camera[_INTEROPERABILITY] = Entry.numbers(_INTEROPERABILITY, LONG, [offset])
            offset, _ = tiff.append(camera.values())
            fields[_CAMERA] = Entry.numbers(_CAMERA, LONG, [offset])
        if self.place:
            offset, _ = tiff.append(self.place.values())
            fields[_PLACE] = Entry.numbers(_PLACE, LONG, [offset])
        return tiff.append(fields.values())

    def to_bytes(self) -> bytes:
        """The whole block, little-endian, with the prefix that JPEG wants."""
        file = BytesIO(b"II*\0" + bytes(4))
        tiff = Tiff(file, "<", is_big=False)
        offset, _ = self.append_to(tiff, {})
        tiff.set_pointer(tiff.first_pointer, offset)
        return _PREFIX + file.getvalue()


def read_exif(data: bytes) -> Exif:
    """Read an EXIF block. Raises TiffError where it is damaged."""
    tiff = Tiff.opened(file := BytesIO(data.removeprefix(_PREFIX)))
    return _read(tiff, len(file.getvalue()))


def exif_of_tiff(file: BinaryIO) -> Exif:
    """What the first page of a TIFF file says about the photograph. Raises TiffError."""
    tiff = Tiff.opened(file)
    exif = _read(tiff, file.seek(0, 2), unwanted=_STORAGE - {_CAMERA, _PLACE})
    description = exif.main.get(_DESCRIPTION)
    if description is not None and description.data.startswith(SHAPE_NOTE):
        del exif.main[_DESCRIPTION]
    return exif


def add_to_tiff(exif: Exif, iptc: bytes | None, tiff: Tiff) -> int:
    """Give a TIFF's first page EXIF and IPTC; return where its next-pointer then lies."""
    stored, next_place = tiff.read(tiff.pointer_at(tiff.first_pointer))
    following = tiff.pointer_at(next_place)
    described = {tag: entry for tag, entry in exif.main.items() if tag not in _STORAGE}
    if _DESCRIPTION in described:  # the photographer's, not the comment of some program
        stored.pop(_DESCRIPTION, None)
    if iptc is not None:
        stored[_IPTC] = Entry(tag=_IPTC, kind=UNDEFINED, count=len(iptc), data=iptc)
    full = Exif(described, exif.camera, exif.place, exif.interoperability)
    offset, next_pointer = full.append_to(tiff, stored)
    tiff.set_pointer(next_pointer, following)
    tiff.set_pointer(tiff.first_pointer, offset)
    return next_pointer


def _read(tiff: Tiff, size: int, unwanted: frozenset[int] = frozenset()) -> Exif:
    def directory(parent: Fields, tag: int) -> Fields:
        pointer = parent.pop(tag, None)
        if pointer is None:
            return {}
        try:
            return tiff.read(pointer.whole_number())[0]
        except TiffError:  # a lost branch does not cost the tree
            return {}

    if size < 8:
        raise TiffError("no TIFF header")
    main, _ = tiff.read(tiff.pointer_at(tiff.first_pointer), unwanted=unwanted)
    camera = directory(main, _CAMERA)
    return Exif(main, camera, directory(main, _PLACE), directory(camera, _INTEROPERABILITY))


def corrected_xmp(xmp: bytes, height: int, width: int) -> bytes:
    """The packet with orientation and sizes made true and the thumbnails taken out."""
    truth = {
        b"tiff:Orientation": b"1",
        b"tiff:ImageWidth": str(width).encode(),
        b"tiff:ImageLength": str(height).encode(),
        b"exif:PixelXDimension": str(width).encode(),
        b"exif:PixelYDimension": str(height).encode(),
    }
    for name, value in truth.items():
        xmp = re.sub(rb"(%s\s*=\s*[\"'])[^\"']*" % name, rb"\g<1>" + value, xmp)
        xmp = re.sub(rb"(<%s>)[^<]*" % name, rb"\g<1>" + value, xmp)
    for prefix in (b"xmp", b"xap"):
        xmp = _without_elements(xmp, b"<%s:Thumbnails>" % prefix, b"</%s:Thumbnails>" % prefix)
    return xmp


def _without_elements(xmp: bytes, start: bytes, end: bytes) -> bytes:
    """The packet without what lies between the marks, in one walk: a pattern would look for the
    end again from every start that has none."""
    kept, place = [], 0
    while (begin := xmp.find(start, place)) >= 0 and (stop := xmp.find(end, begin)) >= 0:
        kept.append(xmp[place:begin])
        place = stop + len(end)
    return b"".join([*kept, xmp[place:]])


def iptc_records(data: bytes) -> bytes | None:
    """The IPTC records of what a file keeps them in: bare, or as a Photoshop resource block."""
    if data[:1] == b"\x1c":
        return data
    place = data.find(b"8BIM")
    while 0 <= place <= len(data) - 12:
        if place + 12 + data[place + 6] > len(data):
            return None
        (kind,) = struct.unpack_from(">H", data, place + 4)
        name = data[place + 6] // 2 * 2 + 2  # a Pascal string, padded to an even length
        (size,) = struct.unpack_from(">I", data, place + 6 + name)
        start = place + 10 + name
        if kind == 0x0404:
            return data[start : start + size]
        place = data.find(b"8BIM", start + size)
    return None


def photoshop_block(records: bytes) -> bytes:
    """IPTC records as a JPEG carries them."""
    head = b"Photoshop 3.0\0" + b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(records))
    return head + records + bytes(len(records) % 2)
