"""Pictures that are no files: NumPy arrays and Pillow images, in and out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from srcli.errors import ImageError
from srcli.io.decoded import Decoded
from srcli.io.encode import PageSpools, WriteOptions, finished_pages
from srcli.io.foreign import metadata_of, to_vips
from srcli.io.formats import PictureFormat
from srcli.io.metadata import Metadata, corrected
from srcli.io.pictures import Picture
from srcli.io.profiles import IccMode
from srcli.io.reasons import reading
from srcli.io.vips import Pixels, VipsImage, from_numpy

# Arrays are finished as a TIFF would be: every dtype and every channel stays.
_HOLDS_ALL = PictureFormat.TIFF


def from_array(array: npt.NDArray[np.generic]) -> Picture:
    """A picture from (H, W) gray or (H, W, C) samples, C = 1 gray, 2 gray + alpha, 3 RGB, 4 RGBA.

    uint8 and uint16 over their whole range, floats in [0, 1]; other floats become float32, and
    either byte order will do. The samples are taken for sRGB-coded. Raises ImageError for other
    shapes and dtypes.
    """
    samples = array[:, :, None] if array.ndim == 2 else array
    if samples.ndim != 3 or samples.size == 0 or samples.shape[2] > 4:
        message = f"an array of shape {array.shape} is no picture"
        raise ImageError(message, hint="give (H, W) or (H, W, C) with 1 to 4 channels")
    pixels: Pixels
    native = samples.dtype.newbyteorder("=")
    if native == np.uint8:
        pixels = samples.astype(np.uint8)
    elif native == np.uint16:
        pixels = samples.astype(np.uint16)
    elif samples.dtype.kind == "f":
        pixels = samples.astype(np.float32)
    else:
        message = f"an array of {array.dtype} is no picture"
        raise ImageError(message, hint="give uint8, uint16 or float32")
    return _in_memory(from_numpy(pixels), Metadata())


def from_pil(image: Image.Image) -> Picture:
    """A picture from a Pillow image, turned upright, with its profile and metadata."""
    upright = ImageOps.exif_transpose(image)
    return _in_memory(to_vips(upright), metadata_of(upright))


def to_array(picture: Picture, pages: Sequence[PageSpools], options: WriteOptions) -> Pixels:
    """The finished first page in the picture's dtype: (H, W) for gray, else (H, W, C)."""
    image = finished_pages(picture, pages[:1], _HOLDS_ALL, options)[0]
    with reading(picture.name):
        data = image.write_to_memory()
    shape = (image.height, image.width, image.bands)
    pixels: Pixels = np.frombuffer(data, picture.dtype).reshape(shape)
    return pixels[:, :, 0] if shape[2] == 1 else pixels


def to_pil(picture: Picture, pages: Sequence[PageSpools], options: WriteOptions) -> Image.Image:
    """The finished first page as a Pillow image with profile, EXIF and resolution in `info`.

    Gray keeps 16 bits (I;16) and floats (F); other pictures get 8 bits, all that Pillow has.
    """
    pixels = to_array(picture, pages, options)
    if pixels.ndim == 3 and pixels.dtype != np.uint8:
        full_scale = 1.0 if pixels.dtype == np.float32 else 65535.0
        pixels = np.rint(np.clip(pixels / np.float32(full_scale), 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    icc = picture.page(0).layout.icc
    if icc is not None and (options.icc or picture.icc) is IccMode.KEEP:
        image.info["icc_profile"] = icc
    kept = picture.metadata if options.metadata else Metadata()
    height, width = options.size
    metadata, _ = corrected(kept, height=height, width=width, software=options.software)
    if metadata.exif is not None:
        image.info["exif"] = metadata.exif
    if metadata.dpi is not None:
        image.info["dpi"] = metadata.dpi
    return image


def _in_memory(image: VipsImage, metadata: Metadata) -> Picture:
    return Picture(
        Decoded(
            name="the picture",
            format=PictureFormat.OTHER,
            metadata=metadata,
            pages=1,
            open_page=lambda _: image,
            is_held=True,
        )
    )
