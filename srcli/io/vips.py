"""The one place that meets libvips: its settings, its image type, its errors in our words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from srcli.errors import DiskFullError, ImageError, OutOfMemoryError, OutputError, SrcliError

try:
    import pyvips
except (ImportError, OSError) as error:  # OSError: the package is there, its library is not
    raise SrcliError(
        f"libvips, which reads and writes pictures, cannot be loaded: {error}",
        hint="pip install 'pyvips[binary]'",
    ) from error

# libvips keeps the last hundred operations with their pixels. Every picture here is read once, so
# that cache only costs memory, and it would serve an old picture from a path written anew.
pyvips.cache_set_max(0)

# Every thread of libvips holds rows of every step. Eight are enough to keep any encoder busy.
_MOST_THREADS = 8
pyvips.concurrency_set(min(pyvips.concurrency_get(), _MOST_THREADS))

VipsImage: TypeAlias = pyvips.Image
VipsError: TypeAlias = pyvips.Error
Pixels: TypeAlias = npt.NDArray[np.uint8 | np.uint16 | np.float32]

FULL_SCALE = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
VIPS_FORMAT = {"uint8": "uchar", "uint16": "ushort", "float32": "float"}
NUMPY_DTYPE = {"uchar": "uint8", "ushort": "uint16", "float": "float32"}

_NO_MEMORY = "out of memory"
_NOISE = ("unable to call", "unable to load", "unable to fetch", "unable to write", "unable to ")

BLOB = pyvips.GValue.blob_type
TEXT = pyvips.GValue.gstr_type
WHOLE = pyvips.GValue.gint_type
ARRAY = pyvips.GValue.array_int_type


def explain(error: VipsError) -> str:
    """What libvips says, in one line: no names of its operations twice, no line said twice."""
    lines = [line.strip() for line in str(error.detail).splitlines()]
    told = [line for line in dict.fromkeys(lines) if line and not _is_noise(line)]
    return "; ".join(told[:2]) or "its content makes no sense"


def _is_noise(line: str) -> bool:
    """No reason: a name of an operation, or a question of pyvips in another thread.

    All threads share one text of errors, and pyvips asks an image for `subtract` as if it were a
    property before it takes it for an operation.
    """
    return line.startswith(_NOISE) or "no property named" in line


def damaged(name: str, error: VipsError) -> SrcliError:
    """The ImageError for an input that libvips cannot read; it may want for memory too."""
    reason = explain(error)
    if _NO_MEMORY in reason:
        return _no_memory(name)
    return ImageError(
        f"{name} cannot be read: {reason}",
        hint="the file is damaged or cut off: get it again, or open and save it elsewhere",
    )


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn a failure of libvips in the block into an ImageError about the input `name`."""
    try:
        yield
    except VipsError as error:
        raise damaged(name, error) from error


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Turn a failure of libvips in the block into an OutputError or DiskFullError about `name`."""
    try:
        yield
    except VipsError as error:
        reason = explain(error)
        if any(os.strerror(code) in reason for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)):
            raise DiskFullError(
                f"no space left to write {name}", hint="free some space, or write elsewhere"
            ) from error
        if _NO_MEMORY in reason:
            raise _no_memory(name) from error
        raise OutputError(
            f"{name} cannot be written: {reason}", hint="try another format: --format png or tiff"
        ) from error


def _no_memory(name: str) -> OutOfMemoryError:
    return OutOfMemoryError(f"no memory left for {name}", hint="close other programs")


def block_untrusted() -> None:
    """Let libvips use no decoder in this process that its makers do not hold against bad input."""
    pyvips.block_untrusted_set(True)


def file_name(path: Path) -> bytes:
    """A path as libvips takes it. pyvips encodes text strictly, and not every name is UTF-8."""
    return os.fsencode(path)


def has_field(image: VipsImage, field: str) -> bool:
    """Whether the image carries that piece of metadata."""
    return bool(image.get_typeof(field))


def blob(image: VipsImage, field: str) -> bytes | None:
    """A binary piece of metadata, None where there is none."""
    return bytes(image.get(field)) if has_field(image, field) else None


def srgb_profile() -> bytes:
    """The sRGB profile that libvips carries."""
    return bytes(pyvips.Operation.call("profile_load", "srgb"))


def from_numpy(pixels: Pixels) -> VipsImage:
    """(H, W, C) samples, gray or RGB, as an image in memory; the array is copied."""
    height, width, bands = pixels.shape
    dtype = str(pixels.dtype)
    image = VipsImage.new_from_memory(pixels.tobytes(), width, height, bands, VIPS_FORMAT[dtype])
    return image.copy(interpretation=interpretation(bands, dtype))


def interpretation(bands: int, dtype: str) -> str:
    """What libvips calls samples of so many channels."""
    if bands < 3:
        return "grey16" if dtype == "uint16" else "b-w"
    return "rgb16" if dtype == "uint16" else "srgb"
