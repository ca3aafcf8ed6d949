"""PyTorch files looked through before torch reads them: index, pickles, shapes, lengths.

torch's own reader runs nothing either (`weights_only`), but it believes what a file says: a few
bytes can ask it for more memory than there is, or for mappings without end. What passes here takes
a few times the size of its file at most.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO

from srcli.io.pickle_values import PickleError, Plain, is_plain
from srcli.io.pickles import (
    LONGEST_BYTES,
    MOST_TENSORS,
    names_in,
    read_plain,
    views_below,
)

BAD_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    RuntimeError,  # also of a compression that zipfile does not know
    EOFError,
    ValueError,
    OverflowError,
)
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # of files before PyTorch 1.6
_LEGACY_PICKLES = 5  # magic number, protocol, system, object, storage keys; then raw numbers
_MOST_COPIES = 4  # tensors may share numbers: tied layers, a state dict beside its average
_SPARE_BYTES = 16 << 20
_SPARE_RECORDS = 100  # besides the numbers: the pickle, the version, ...
_LONGEST_SHOWN = 100  # characters of a name
_ZIP_MAGIC = b"PK\x03\x04"
_ZIP_END = 22  # bytes, where nobody has added a remark
_ZIP64_LOCATOR = 20
_ZIP64_END = 56


def check_torch_file(path: Path, *, most_tensors: int = MOST_TENSORS) -> None:
    """Raise PickleError unless the file holds plain values and tensors that lie within it."""
    read = _read_zip if _is_zip(path) else _read_legacy
    try:
        plain = read(path, most_tensors)
        size = path.stat().st_size
    except PickleError:
        raise
    except BAD_ARCHIVE as error:
        raise PickleError("it is no whole archive") from error
    if sum(view.nbytes for view in views_below(plain.value)) > _MOST_COPIES * size + _SPARE_BYTES:
        raise PickleError("its tensors claim many times the numbers that are in it")


def strangers(path: Path) -> list[str]:
    """The dotted names in a .pth file that are no part of plain tensors, in order of appearance.

    Best effort on a damaged file: what can be read of it is read.
    """
    stream: IO[bytes] = io.BytesIO()
    with suppress(*BAD_ARCHIVE):
        stream = io.BytesIO(_pickles(path))
    asked = [name for _ in range(_LEGACY_PICKLES) for name in names_in(stream)]
    return [_shown(name) for name in dict.fromkeys(asked) if not is_plain(name)]


def _shown(name: str) -> str:
    """As it may stand in a line of text: a file may hold any name, of any length."""
    short = name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}..."
    return short if short.isprintable() else ascii(short)[1:-1]


def _is_zip(path: Path) -> bool:
    """As torch tells it: from the first bytes. An archive may stand behind something else."""
    with path.open("rb") as file:
        return file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC


def _pickles(path: Path) -> bytes:
    if not _is_zip(path):
        with path.open("rb") as file:
            return file.read(LONGEST_BYTES)
    with zipfile.ZipFile(path) as archive:
        pickles = [each for each in archive.infolist() if each.orig_filename.endswith("data.pkl")]
        return b"".join(
            archive.read(each) for each in pickles[:1] if each.file_size < LONGEST_BYTES
        )


def _read_zip(path: Path, most_tensors: int) -> Plain:
    size = path.stat().st_size
    with path.open("rb") as file:
        _check_end(file, size)
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check_index(entries, size, most_tensors)
            pickles = [each for each in entries if _name(each).partition("/")[2] == "data.pkl"]
            if len(pickles) != 1 or pickles[0].file_size > LONGEST_BYTES:
                raise PickleError("it has no pickle, or several, or one without end")
            plain = read_plain(io.BytesIO(archive.read(pickles[0])), most_tensors)
    folder = _name(pickles[0]).removesuffix("data.pkl")
    sizes = {_name(each): each.file_size for each in entries}
    for storage in plain.storages:
        if sizes.get(f"{folder}data/{storage.key}") != storage.nbytes:
            raise PickleError(f"its numbers {storage.key!r} are missing or of another length")
    return plain


def _check_end(file: IO[bytes], size: int) -> None:
    """Two readers of archives may take different indices where what leads to them is unusual.

    records | index | zip64 end | zip64 locator | end
    """
    tail_bytes = min(size, _ZIP64_END + _ZIP64_LOCATOR + _ZIP_END)
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    end, locator = tail[-_ZIP_END:], tail[-_ZIP_END - _ZIP64_LOCATOR : -_ZIP_END]
    if not end.startswith(b"PK\x05\x06") or not end.endswith(b"\0\0"):
        raise PickleError("it is cut short, or something stands behind its index")
    if locator.startswith(b"PK\x06\x07"):
        (place,) = struct.unpack_from("<Q", locator, 8)
        if place != size - tail_bytes:
            raise PickleError("its index is not where it should be")


def _check_index(entries: list[zipfile.ZipInfo], size: int, most_tensors: int) -> None:
    """PyTorch stores its records as they are, each once: so they are mapped, and take no memory."""
    if len(entries) > most_tensors + _SPARE_RECORDS:
        raise PickleError(f"it holds more than {most_tensors:,} tensors")
    if any(each.compress_type != zipfile.ZIP_STORED or each.flag_bits & 1 for each in entries):
        raise PickleError("its records are compressed or locked, which PyTorch never does")
    # torch finds records by their names in any case.
    if len({_name(each).lower() for each in entries}) < len(entries):
        raise PickleError("it holds two records of one name")
    if min((each.header_offset for each in entries), default=0):
        raise PickleError("its index is not where it should be")
    if sum(each.file_size for each in entries) > size:
        raise PickleError("its records claim more bytes than the file has")


def _name(entry: zipfile.ZipInfo) -> str:
    """As it is written in the index: Python cuts names at a zero byte and believes extra fields."""
    return entry.orig_filename


def _read_legacy(path: Path, most_tensors: int) -> Plain:
    if tarfile.is_tarfile(path):
        raise PickleError("it is a tar archive, as PyTorch wrote them before 2017")
    with path.open("rb") as file:
        stream = io.BytesIO(file.read(LONGEST_BYTES))
    parts = [read_plain(stream, most_tensors) for _ in range(_LEGACY_PICKLES)]
    if parts[0].value != _LEGACY_MAGIC:
        raise PickleError("its first pickle is not that of a PyTorch file")
    plain = parts[3]
    storages = {each.key: each.nbytes for part in parts for each in part.storages}
    if sum(storages.values()) > path.stat().st_size:
        raise PickleError("its tensors claim more numbers than are in it")
    return plain
