"""The texts of a PNG, read and written as its specification has them (3rd edition, 11.3.3).

    tEXt   keyword 0 text                               both Latin-1
    zTXt   keyword 0 method text                        the same, the text deflated
    iTXt   keyword 0 flag method language 0 translated 0 text    the text UTF-8, deflated or not

libvips hands out all three as bytes of unknown coding, cuts a keyword at its first space, and
writes what is UTF-8 into chunks that are Latin-1.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from srcli.io.files import insert_bytes

_KINDS = (b"tEXt", b"zTXt", b"iTXt")
_LONGEST_KEYWORD = 79
_MOST_BYTES = 16 << 20  # of all texts of a file, unpacked: what is beyond is left out
_MOST_WASTE = 4 * _MOST_BYTES  # of what is unpacked, and then no text
_LEAST_BYTES = 256  # that a text counts: a file of empty ones has millions
_MOST_CHUNKS = 1 << 20  # of pixels too: those of 8 GiB, as most programs write them
_DEFLATE_MOST = 1032  # no deflate stream unpacks to more than this many times its size
# What other fields of the metadata hold, and profiles as old programs put them: hexadecimal.
_NO_COMMENTS = (b"XML:com.adobe.xmp", b"Raw profile type ")
_HEADER_END = 33  # the signature and the first chunk, which is 25 bytes long

Text = tuple[str, str]


def png_texts(file: BinaryIO) -> tuple[Text, ...]:
    """(keyword, text) of each text chunk, before and behind the pixels; damaged ones left out."""
    found, room, patience = [], _MOST_BYTES, _MOST_WASTE
    for kind, size in _text_chunks(file):
        if size > room or patience <= 0:
            break
        text, cost = _read(kind, file.read(size), room)
        if text is None:
            patience -= cost + _LEAST_BYTES
            continue
        found.append(text)
        room -= cost + _LEAST_BYTES
    return tuple(found)


def insert_png_texts(path: Path, texts: Iterable[Text]) -> None:
    """Put texts behind the header of a PNG file, each in the plainest chunk that holds it."""
    insert_bytes(path, _HEADER_END, b"".join(_chunk(keyword, text) for keyword, text in texts))


def _text_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Kind and size of each text chunk, with the file at its content."""
    place = 8
    for _ in range(_MOST_CHUNKS):
        if len(head := _at(file, place, 8)) < 8:
            return
        size, kind = struct.unpack(">I4s", head)
        if kind in _KINDS:
            yield kind, size
        place += size + 12


def _at(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


def _read(kind: bytes, data: bytes, most: int) -> tuple[Text | None, int]:
    """The text, None where it is damaged or no comment; and the bytes that were unpacked."""
    keyword, _, rest = data.partition(b"\0")
    if not 1 <= len(keyword) <= _LONGEST_KEYWORD or keyword.startswith(_NO_COMMENTS):
        return None, 0
    is_deflated, coding = kind == b"zTXt", "latin-1"
    if is_deflated:
        rest = rest[1:]
    elif kind == b"iTXt":
        is_deflated, coding = rest[:1] == b"\1", "utf-8"
        _, _, rest = rest[2:].partition(b"\0")
        _, _, rest = rest.partition(b"\0")
    plain = _inflated(rest, most) if is_deflated else rest
    if plain is None:
        return None, min(most, len(rest) * _DEFLATE_MOST)
    return (keyword.decode("latin-1"), plain.decode(coding, "replace")), len(plain)


def _inflated(data: bytes, most: int) -> bytes | None:
    """At most so many bytes; None where the data are damaged, or more."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, most)
    except zlib.error:
        return None
    return plain if stream.eof else None


def _chunk(keyword: str, text: str) -> bytes:
    name = (keyword or "Comment").encode("latin-1", "replace")[:_LONGEST_KEYWORD]
    text = text.replace("\0", "")
    try:
        kind, content = b"tEXt", text.encode("latin-1")
    except UnicodeEncodeError:
        # Neither deflated nor in a language that is known, nor is the keyword translated.
        kind, content = b"iTXt", bytes(4) + text.encode("utf-8", "replace")
    data = kind + name + b"\0" + content
    return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
