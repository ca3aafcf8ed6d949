"""The one place that meets libvips: its settings and its image type."""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from srcli.errors import SrcliError

try:
    import pyvips
except (ImportError, OSError) as error:  # OSError: the package is there, its library is not
    raise SrcliError(
        f"libvips, which reads and writes pictures, cannot be loaded: {error}",
        hint="pip install 'pyvips[binary]'",
    ) from error

# Of older ones `clamp` is missing, for one; a system's own may be of that kind.
if not pyvips.at_least_libvips(8, 16):
    raise SrcliError(
        f"libvips {pyvips.version(0)}.{pyvips.version(1)} is too old: 8.16 is needed",
        hint="pip install 'pyvips[binary]', which brings its own",
    )

# libvips keeps the last hundred operations with their pixels. Every picture here is read once, so
# that cache only costs memory, and it would serve an old picture from a path written anew.
pyvips.cache_set_max(0)

# GLib remarks on numbers of damaged files that its types cannot hold. Such remarks go where pyvips
# sends those of libvips: to Python's logging, not to stderr.
_GLIB, _EVERY_LEVEL = b"GLib-GObject", 0xFF
_remarks = pyvips.glib_lib.g_log_set_handler(
    _GLIB, _EVERY_LEVEL, pyvips._log_handler_cb, pyvips.ffi.NULL
)
atexit.register(pyvips.glib_lib.g_log_remove_handler, _GLIB, _remarks)

# Every thread of libvips holds rows of every step. Eight are enough to keep any encoder busy.
_MOST_THREADS = 8
pyvips.concurrency_set(min(pyvips.concurrency_get(), _MOST_THREADS))

_TILE_PX = 64

VipsImage: TypeAlias = pyvips.Image
VipsRegion: TypeAlias = pyvips.Region
VipsSource: TypeAlias = pyvips.Source
VipsError: TypeAlias = pyvips.Error
Pixels: TypeAlias = npt.NDArray[np.uint8 | np.uint16 | np.float32]

FULL_SCALE = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
VIPS_FORMAT = {"uint8": "uchar", "uint16": "ushort", "float32": "float"}
NUMPY_DTYPE = {"uchar": "uint8", "ushort": "uint16", "float": "float32"}

BLOB = pyvips.GValue.blob_type
TEXT = pyvips.GValue.gstr_type
WHOLE = pyvips.GValue.gint_type
ARRAY = pyvips.GValue.array_int_type


def libvips_version() -> str:
    """The version of the library itself."""
    return ".".join(str(pyvips.version(part)) for part in range(3))


def written_suffixes() -> list[str]:
    """The endings of the files that libvips writes."""
    return sorted(pyvips.get_suffixes())


def block_untrusted() -> None:
    """Let libvips use no decoder in this process that its makers do not hold against bad input."""
    pyvips.block_untrusted_set(True)


def file_name(path: Path) -> bytes:
    """A path as libvips takes it. pyvips encodes text strictly, and not every name is UTF-8."""
    return os.fsencode(path)


def has_field(image: VipsImage, field: str) -> bool:
    """Whether the image carries that piece of metadata."""
    return bool(image.get_typeof(field))


def field_names(image: VipsImage) -> list[str]:
    """The names of all pieces of metadata, but for those that are no UTF-8.

    A PNG names its texts in Latin-1. pyvips decodes all names strictly, and gives none where one
    of them cannot be; such names are taken out of `image` first.
    """
    try:
        return [str(name) for name in image.get_fields()]
    except UnicodeDecodeError as error:
        image.remove(error.object)
        return field_names(image)


def blob(image: VipsImage, field: str) -> bytes | None:
    """A binary piece of metadata, None where there is none."""
    return bytes(image.get(field)) if has_field(image, field) else None


def in_tiles(image: VipsImage) -> VipsImage:
    """The image computed once, in tiles, in whatever areas it is asked for from top to bottom.

    Every step of a pipeline has its own copy of the area that is asked for, and steps that look
    around compute what lies around it again. So steps that are many, or look far, shall see neither
    whole rows, which may be long, nor bands of a few rows.
    """
    across = -(-image.width // _TILE_PX)
    return image.tilecache(
        tile_width=_TILE_PX,
        tile_height=_TILE_PX,
        max_tiles=2 * across,
        access="sequential",
        threaded=True,
    )


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
