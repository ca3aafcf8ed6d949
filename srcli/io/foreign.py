"""Pictures that libvips does not read: by Pillow, and HEIC by the optional pillow-heif.

These are decoded whole, a frame at a time: their kinds are small, or hold small pictures.
"""

from __future__ import annotations

import logging
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from io import BytesIO
from threading import Lock
from types import ModuleType
from typing import NoReturn

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import Blend, Disposal, PngImageFile

from srcli.errors import ImageError, SrcliError
from srcli.io.claims import check_png
from srcli.io.decoded import Decoded, Source, check_claims, check_memory
from srcli.io.formats import PictureFormat
from srcli.io.metadata import Animation, Metadata
from srcli.io.png_text import png_texts
from srcli.io.quiet import no_warnings
from srcli.io.vips import BLOB, TEXT, WHOLE, Pixels, VipsImage, from_numpy

# What Pillow logs of damaged files would go to stderr where nobody has set up logging.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_MODES = {"1": "L", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB"}
_KEPT_MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "F")
_DEFAULT_DELAY_MS = 100
_PIXEL_BYTES = 20  # that are taken for each pixel of a page: Pillow's own four, and copies
# The same of a HEIC of 8 bits and of more (libheif 1.23, with an alpha channel; without, 7 and 17).
_HEIC_BYTES, _DEEP_HEIC_BYTES = 10, 22
# What Pillow's decoders, and pillow-heif, end in where a file is damaged: they take its numbers as
# they come, for indices, lengths and divisors.
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, EOFError, RuntimeError),
    *(LookupError, ArithmeticError, AttributeError, struct.error, zlib.error),
)


def decode(
    source: Source, name: str, kind: PictureFormat, pixel_limit: int, reason: str | None = None
) -> Decoded:
    """Read the header with Pillow. `reason` is why libvips refused, told if Pillow refuses too."""
    if kind is PictureFormat.HEIC:
        return _decode_heic(source, name, pixel_limit)
    with _translated(name, kind, reason), _opened(source) as image:
        if kind is PictureFormat.TIFF and _is_by_libtiff(image):
            _refuse(name, kind, reason)
        frames = _frames(image)
        if not frames:
            raise ValueError("it holds no picture")
        check_claims(name, image.width, image.height * len(frames), pixel_limit)
        metadata, notes = metadata_of(image), _depth_notes(image)
        if kind is PictureFormat.PNG:
            metadata = replace(metadata, comments=_believed_png(source, name))
        decoder_bytes = check_memory(name, image.width * image.height * _PIXEL_BYTES)
        if len(frames) > 1:
            metadata = _animated(image, frames, metadata)

    # Pages stand alone, and may differ in size.
    reel = _Reel(source, is_kept=metadata.animation is not None)

    def open_page(index: int) -> VipsImage:
        with _translated(name, kind, reason):
            return reel.frame(frames[index])

    return Decoded(
        name=name,
        format=kind,
        metadata=metadata,
        pages=len(frames),
        open_page=open_page,
        decoder_bytes=decoder_bytes,
        notes=notes,
    )


def to_vips(image: Image.Image) -> VipsImage:
    """A Pillow image as a libvips image in memory, with its profile, no channel lost."""
    converted = from_numpy(samples_of(image))
    if image.mode == "CMYK":
        converted = converted.copy(interpretation="cmyk")
    icc = image.info.get("icc_profile")
    if icc:
        converted.set_type(BLOB, "icc-profile-data", icc)
    return converted


def samples_of(image: Image.Image) -> Pixels:
    """The samples of a Pillow image, (H, W, C): uint8, uint16 for I;16, float32 for F."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[:, :, None]
    if image.mode == "I":  # 32-bit integers that hold 16-bit samples
        return np.asarray(image).clip(0, 65535).astype(np.uint16)[:, :, None]
    if image.mode == "P":
        has_alpha = "transparency" in image.info
        image = image.convert("RGBA" if has_alpha else "RGB")
    mode = _MODES.get(image.mode, image.mode)
    if "transparency" in image.info and mode in ("L", "RGB"):
        mode = {"L": "LA", "RGB": "RGBA"}[mode]
    mode = mode if mode in _KEPT_MODES else "RGB"
    return _three_dimensions(np.asarray(image if image.mode == mode else image.convert(mode)))


def metadata_of(image: Image.Image) -> Metadata:
    """The metadata that Pillow keeps in `info`."""
    info = image.info
    dpi = info.get("dpi")
    comment = info.get("comment")
    text = comment.decode("utf-8", "replace") if isinstance(comment, bytes) else comment
    xmp = info.get("xmp")
    return Metadata(
        icc=info.get("icc_profile") or None,
        exif=info.get("exif") or None,
        xmp=xmp.encode() if isinstance(xmp, str) else xmp,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None,
        comments=(("", str(text)),) if text else (),
    )


def heif_module(error: type[SrcliError] = ImageError) -> ModuleType:
    """pillow-heif, or an `error` that says how to get it."""
    try:
        import pillow_heif
    except ImportError:
        raise error(
            "HEIC pictures need the package pillow-heif", hint="pip install 'srcli[heic]'"
        ) from None
    module: ModuleType = pillow_heif
    return module


def _decode_heic(source: Source, name: str, pixel_limit: int) -> Decoded:
    heif = heif_module()

    def read() -> tuple[VipsImage, Metadata, int]:
        with _translated(name, PictureFormat.HEIC, None):
            opened = heif.open_heif(_stream(source), convert_hdr_to_8bit=False)
            check_claims(name, opened.size[0], opened.size[1], pixel_limit)
            info = opened.info
            bits = int(info.get("bit_depth", 8))
            pixel_bytes = _DEEP_HEIC_BYTES if bits > 8 else _HEIC_BYTES
            decoder_bytes = check_memory(name, opened.size[0] * opened.size[1] * pixel_bytes)
            image = from_numpy(_three_dimensions(np.asarray(opened)))
        if image.format == "ushort":
            image = image.copy()
            image.set_type(WHOLE, "bits-per-sample", bits)
            image.set_type(TEXT, "heif-compression", "hevc")
        metadata = Metadata(icc=info.get("icc_profile"), exif=info.get("exif"), xmp=info.get("xmp"))
        return image, metadata, decoder_bytes

    image, metadata, decoder_bytes = read()
    if metadata.icc:
        image.set_type(BLOB, "icc-profile-data", metadata.icc)
    return Decoded(
        name=name,
        format=PictureFormat.HEIC,
        metadata=metadata,
        pages=1,
        open_page=lambda _: image,
        decoder_bytes=decoder_bytes,
    )


def _three_dimensions(array: Pixels) -> Pixels:
    return array[:, :, None] if array.ndim == 2 else array


def _stream(source: Source) -> BytesIO | str:
    return BytesIO(source) if isinstance(source, bytes) else str(source)


def _believed_png(source: Source, name: str) -> tuple[tuple[str, str], ...]:
    """The texts of a PNG. Raises ImageError where its bytes cannot hold what it claims."""
    with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        check_png(name, file, size)
        return png_texts(file)


@contextmanager
def _opened(source: Source) -> Iterator[Image.Image]:
    # The limit of pixels is ours, and so are words about damage.
    with no_warnings(), Image.open(_stream(source)) as image:
        yield image


class _Reel:
    """The frames of a file, each drawn over those before: one decoder, which goes on from its last.

    From the beginning for each, the time would grow with the square of their number. Threads may
    share it.
    """

    def __init__(self, source: Source, *, is_kept: bool) -> None:
        self._source, self._is_kept = source, is_kept
        self._mutex = Lock()
        self._resources = ExitStack()
        self._image: Image.Image | None = None

    def frame(self, number: int) -> VipsImage:
        with self._mutex, ExitStack() as until_done, no_warnings():
            until_done.callback(self.close)
            if self._image is not None and self._image.tell() > number:
                self.close()  # not every decoder of Pillow goes back rightly
            if self._image is None:
                self._image = self._resources.enter_context(Image.open(_stream(self._source)))
            if self._image.tell() != number:
                self._image.seek(number)
            frame, goes_on = _shown(self._image)
            if self._is_kept and goes_on:
                until_done.pop_all()
            return frame

    def close(self) -> None:
        self._image = None
        self._resources.close()

    def __del__(self) -> None:
        self.close()


def _shown(image: Image.Image) -> tuple[VipsImage, bool]:
    """A frame, and whether its decoder can go on to the next one.

    A frame of an APNG may be blended over something that is to come back behind it. Pillow 13
    blends it into its only copy of that as soon as the frame is looked at.
    """
    if not isinstance(image, PngImageFile) or not _takes_back(image):
        return to_vips(ImageOps.exif_transpose(image)), True
    kept = getattr(image, "_prev_im", None)
    ground = None if kept is None else kept.copy()
    frame = to_vips(ImageOps.exif_transpose(image))
    image._prev_im = ground
    return frame, ground is not None


def _takes_back(image: PngImageFile) -> bool:
    is_back = image.info.get("disposal") == Disposal.OP_PREVIOUS
    return is_back and image.info.get("blend") == Blend.OP_OVER


@contextmanager
def _translated(name: str, kind: PictureFormat, reason: str | None) -> Iterator[None]:
    try:
        yield
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name} has more pixels than Pillow, which reads {kind.upper()}, allows",
            hint="convert it to PNG or TIFF first: those are read by rows",
        ) from error
    except UnidentifiedImageError:
        _refuse(name, kind, reason)
    except _DAMAGE as error:
        told = reason or " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"{name} cannot be read: {told}",
            hint="the file is damaged or cut off: get it again, or open and save it elsewhere",
        ) from error


def _refuse(name: str, kind: PictureFormat, reason: str | None) -> NoReturn:
    if kind is PictureFormat.OTHER:
        raise ImageError(
            f"{name} is no picture: its content is of no known kind",
            hint="PNG, JPEG, WebP, TIFF, AVIF, HEIC, GIF and BMP are read, and what Pillow reads",
        ) from None
    raise ImageError(
        f"{name} cannot be read: {reason or 'the file is damaged'}",
        hint="the file is damaged or cut off: get it again, or open and save it elsewhere",
    ) from None


def _is_by_libtiff(image: Image.Image) -> bool:
    # libvips reads TIFF by that library too, so what it refused is damaged. Pillow would show what
    # is left, and let the library write to stderr.
    return any(tile[0] == "libtiff" for tile in getattr(image, "tile", ()))


def _frames(image: Image.Image) -> list[int]:
    if image.format == "PSD":  # opens as it is seen; its layers are no frames
        return [image.tell()]
    count = int(getattr(image, "n_frames", 1))
    if count == 1:
        return [image.tell()]
    is_apart = count > 1 and bool(image.info.get("default_image"))
    return list(range(1 if is_apart else 0, count))


def _animated(image: Image.Image, frames: list[int], metadata: Metadata) -> Metadata:
    """The metadata with the times of the frames. Where none has a time they are pages."""
    if image.format == "DCX":  # pages of any sizes, which older Pillows load from no one decoder
        return metadata
    times = []
    for index in frames:
        image.seek(index)
        # An AVIF tells it once the frame is decoded; until then older Pillows say the last one's.
        if image.format == "AVIF" or "duration" not in image.info:
            image.load()
        times.append(image.info.get("duration"))
    image.seek(0)
    if not any(time is not None for time in times):
        return metadata
    delays = tuple(round(float(time or _DEFAULT_DELAY_MS)) for time in times)
    loops = int(image.info.get("loop") or 0)
    return replace(metadata, animation=Animation(delays_ms=delays, loops=loops))


def _depth_notes(image: Image.Image) -> tuple[str, ...]:
    if image.mode == "I":
        return ("32-bit samples are kept as 16-bit ones",)
    # How Pillow is going to unpack the samples, into what has 8 bits but for gray: "RGB;16B".
    forms = (str(tile[3]) for tile in getattr(image, "tile", ()))
    if any(";16" in form for form in forms) and not image.mode.startswith("I;16"):
        return ("16-bit samples are read as 8-bit ones",)
    return ()
