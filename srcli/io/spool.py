"""Rows of a finished picture, kept until the encoder asks: in memory while small, else on disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from tempfile import mkstemp
from types import TracebackType
from typing import Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from srcli.errors import DiskFullError, OutputError
from srcli.io.files import output_errors, scratch_place
from srcli.io.tiff import LONG, LONG8, SHORT, Entry, Tiff
from srcli.io.vips import FULL_SCALE, VIPS_FORMAT, Pixels, VipsImage, file_name, interpretation

SpoolDtype: TypeAlias = Literal["uint8", "uint16", "float32"]

MEMORY_LIMIT = 256 << 20  # bytes a spool may take in memory before it goes to disk
_CHUNK_SAMPLES = 1 << 20

# The file is an uncompressed BigTIFF: libvips reads that strip by strip. A file of bare samples it
# would map whole, and the resident memory would grow with the picture (4.7 GiB for 1.6 Gpx).
_BIG_TIFF_HEADER = b"II+\0\x08\0\0\0" + bytes(8)
_DATA_START = 64
_STRIP_BYTES = 1 << 20
_SPARE = 64 << 20  # bytes left free on the disk for everyone else


class Spool:
    """A (height, width, channels) raster that is written by rows and read by rows or by libvips.

    Values are what the dtype means: uint8 0..255, uint16 0..65535, float32 nominally 0..1.
    Use it in a `with` block: leaving it frees the memory or deletes the file.
    """

    def __init__(
        self, height: int, width: int, channels: int, dtype: SpoolDtype, file: Path | None
    ) -> None:
        self.height, self.width, self.channels = height, width, channels
        self.dtype: SpoolDtype = dtype
        self._file = file
        self._row_bytes = width * channels * np.dtype(dtype).itemsize
        self._memory: Pixels | None = None

    @classmethod
    def create(
        cls,
        height: int,
        width: int,
        channels: int,
        dtype: SpoolDtype,
        *,
        memory_limit: int = MEMORY_LIMIT,
        folder: Callable[[], Path] | Path | None = None,
    ) -> Self:
        """A spool in memory up to `memory_limit` bytes, else a file in `folder` ($TMPDIR if None).

        `folder` may be made when it is first needed.

        Raises DiskFullError, before anything is written, where the disk has not enough room.
        """
        size = height * width * channels * np.dtype(dtype).itemsize
        file = None
        if size > memory_limit:
            place = folder() if callable(folder) else folder
            file = _new_file(place or scratch_place(), size)
        spool = cls(height, width, channels, dtype, file)
        try:
            spool.reset()
        except BaseException:
            spool.close()
            raise
        return spool

    @property
    def on_disk(self) -> bool:
        """Whether the rows lie in a file."""
        return self._file is not None

    @property
    def nbytes(self) -> int:
        """Size of the whole raster in bytes."""
        return self.height * self._row_bytes

    def write_rows(self, start: int, rows: npt.NDArray[np.generic]) -> None:
        """Write (n, width, channels) rows from row `start` on; rows may be written again.

        Rows of the spool's own integer type are stored as they are. Floats are clipped to [0, 1]
        and scaled to the full range of an integer spool, rounded to the nearest level; a float32
        spool stores them unclipped.
        """
        expected = (len(rows), self.width, self.channels)
        if rows.shape != expected or start < 0 or start + len(rows) > self.height:
            raise ValueError(f"rows {rows.shape} at {start} do not fit {self}")
        step = max(1, _CHUNK_SAMPLES // (self.width * self.channels))
        for top in range(0, len(rows), step):  # in pieces: the copies stay small
            self._store(start + top, _quantise(rows[top : top + step], self.dtype))

    def read_rows(self, start: int, stop: int) -> Pixels:
        """Rows [start, stop) in the spool's dtype: (stop - start, width, channels)."""
        if not 0 <= start <= stop <= self.height:
            raise ValueError(f"rows {start} to {stop} are not in {self}")
        if self._memory is not None:
            return self._memory[start:stop].copy()
        rows: Pixels = np.empty((stop - start, self.width, self.channels), self.dtype)
        view = rows.data.cast("B")
        with self._opened() as file:
            file.seek(_DATA_START + start * self._row_bytes)
            while view:
                if not (count := file.readinto(view)):
                    message = f"{self._file} was cut off while it was needed"
                    raise OutputError(message, hint="point $TMPDIR to a folder that nobody cleans")
                view = view[count:]
        return rows

    def as_vips(self) -> VipsImage:
        """The raster as a fresh lazy image, to be read from top to bottom."""
        kind = interpretation(self.channels, self.dtype)
        if self._memory is not None:
            size = (self.width, self.height, self.channels)
            form = VIPS_FORMAT[self.dtype]
            image = VipsImage.new_from_memory(self._memory.data, *size, form)
            return image.copy(interpretation=kind)
        assert self._file is not None
        image = VipsImage.tiffload(file_name(self._file), access="sequential", fail_on="error")
        return image.copy(interpretation=kind)

    def reset(self) -> None:
        """Forget every row, to write the picture again from the top (after out of memory)."""
        if self._file is None:
            shape = (self.height, self.width, self.channels)
            self._memory = np.zeros(shape, self.dtype)
            return
        with self._opened() as file:
            file.truncate(0)
            file.write(_BIG_TIFF_HEADER)
            file.truncate(_DATA_START + self.nbytes)  # sparse: rows never written are zeros
            tiff = Tiff(file, "<", is_big=True)
            directory, _ = tiff.append(self._fields())
            tiff.set_pointer(tiff.first_pointer, directory)

    def close(self) -> None:
        """Free the memory or delete the file; closing twice is fine."""
        self._memory = None
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        place = "disk" if self.on_disk else "memory"
        return f"Spool({self.height}x{self.width}x{self.channels} {self.dtype} in {place})"

    def _fields(self) -> list[Entry]:
        rows = max(1, _STRIP_BYTES // self._row_bytes)
        tops = range(0, self.height, rows)
        sizes = [min(rows, self.height - top) * self._row_bytes for top in tops]
        bits = np.dtype(self.dtype).itemsize * 8
        return [
            Entry.numbers(256, LONG, [self.width]),
            Entry.numbers(257, LONG, [self.height]),
            Entry.numbers(258, SHORT, [bits] * self.channels),
            Entry.numbers(259, SHORT, [1]),  # no compression
            Entry.numbers(262, SHORT, [2 if self.channels == 3 else 1]),
            Entry.numbers(273, LONG8, [_DATA_START + top * self._row_bytes for top in tops]),
            Entry.numbers(277, SHORT, [self.channels]),
            Entry.numbers(278, LONG, [rows]),
            Entry.numbers(279, LONG8, sizes),
            Entry.numbers(339, SHORT, [3 if self.dtype == "float32" else 1] * self.channels),
        ]

    def _store(self, start: int, native: Pixels) -> None:
        if self._memory is not None:
            self._memory[start : start + len(native)] = native
            return
        view = native.data.cast("B")
        with self._opened() as file:
            file.seek(_DATA_START + start * self._row_bytes)
            while view:
                view = view[file.write(view) :]

    @contextmanager
    def _opened(self) -> Iterator[FileIO]:
        # Opened for each use: a picture of a thousand frames has a thousand spools.
        assert self._file is not None
        with output_errors(self._file), self._file.open("r+b", buffering=0) as file:
            yield file


def _quantise(rows: npt.NDArray[np.generic], dtype: SpoolDtype) -> Pixels:
    if rows.dtype == np.dtype(dtype):
        same: Pixels = np.ascontiguousarray(rows)
        return same
    if rows.dtype.kind != "f":
        raise ValueError(f"{rows.dtype} rows for a {dtype} spool: write floats in [0, 1]")
    floats = rows.astype(np.float32)
    if dtype == "float32":
        return floats
    levels = np.clip(floats, 0, 1) * np.float32(FULL_SCALE[dtype])
    quantised: Pixels = np.rint(levels, out=levels).astype(dtype)
    return quantised


def _new_file(folder: Path, size: int) -> Path:
    _check_room(folder, size)
    with output_errors(folder):
        descriptor, name = mkstemp(prefix=".srcli-", suffix=".partial", dir=folder)
    os.close(descriptor)
    return Path(name)


def _check_room(folder: Path, size: int) -> None:
    with output_errors(folder):
        free = shutil.disk_usage(folder).free
    if free < size + _SPARE:
        raise DiskFullError(
            f"{folder} has {free / 1e9:.1f} GB free, {size / 1e9:.1f} GB are needed on the way",
            hint="free some space, or set TMPDIR to a folder on a larger disk",
        )
