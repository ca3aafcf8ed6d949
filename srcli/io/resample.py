"""Rasters brought to an exact size by Lanczos-3, lazily, in the light that suits the direction.

Shrinking averages light: it is done on linear values, so that a fine checker of black and white
keeps the brightness it has from afar. Enlarging is done on coded values, where the dark and the
bright overshoot of an edge look alike.
"""

from __future__ import annotations

import math

import numpy as np

from srcli.io.curves import SRGB
from srcli.io.vips import VipsImage

_LOBES = 3


def resize_coded(image: VipsImage, width: int, height: int) -> VipsImage:
    """sRGB-coded floats at the asked size: up on coded values, down in linear light."""
    image = enlarge(image, width, height)
    if (image.width, image.height) == (width, height):
        return image
    return SRGB.encode_image(shrink(SRGB.decode_image(image), width, height))


def resize_plain(image: VipsImage, width: int, height: int) -> VipsImage:
    """Floats that are no light (alpha, differences) at the asked size."""
    return shrink(enlarge(image, width, height), width, height)


def shrink(image: VipsImage, width: int, height: int) -> VipsImage:
    """Lanczos-3 down to an exact size; never up."""
    if (image.width, image.height) == (width, height):
        return image
    scales = width / image.width, height / image.height
    return image.resize(scales[0], vscale=scales[1], kernel="lanczos3", gap=0)


def enlarge(image: VipsImage, width: int, height: int) -> VipsImage:
    """Lanczos-3 up by the smallest whole factors that reach the asked size; never down.

    libvips enlarges by bicubic whatever kernel is named (8.18), hence this: samples are set `s`
    pixels apart in zeros and convolved with the kernel of every phase at once. Equal to Pillow's
    LANCZOS at whole factors, away from the border; at the border pixels are repeated.
    """
    across = math.ceil(width / image.width)
    down = math.ceil(height / image.height)
    image = image.cast("float")
    if across > 1:
        image = _spread(image, across, 1).conv(_kernel(across), precision="float")
        image = image.crop(_LOBES * across, 0, image.width - 2 * _LOBES * across, image.height)
    if down > 1:
        image = _spread(image, 1, down).conv(_kernel(down).rot90(), precision="float")
        image = image.crop(0, _LOBES * down, image.width, image.height - 2 * _LOBES * down)
    return image


def _spread(image: VipsImage, across: int, down: int) -> VipsImage:
    left, top = _LOBES * (across > 1), _LOBES * (down > 1)
    width, height = image.width + 2 * left, image.height + 2 * top
    framed = image.embed(left, top, width, height, extend="copy")
    cell = np.zeros((down, across), np.uint8)
    cell[_offset(down), _offset(across)] = 255
    mask = VipsImage.new_from_array(cell).replicate(width, height)
    return mask.ifthenelse(framed.zoom(across, down), 0)


def _kernel(factor: int) -> VipsImage:
    # Tap i weighs the sample i pixels away: i / factor source pixels, less the half-pixel shift
    # between the centres of the fine and the coarse grid.
    reach = _LOBES * factor
    taps = np.arange(-reach, reach + 1)
    distance = (taps + _offset(factor) + 0.5) / factor - 0.5
    inside = np.abs(distance) < _LOBES
    weights = np.where(inside, np.sinc(distance) * np.sinc(distance / _LOBES), 0.0)
    for phase in range(factor):
        weights[taps % factor == phase] /= weights[taps % factor == phase].sum()
    return VipsImage.new_from_array([weights[::-1].tolist()])


def _offset(factor: int) -> int:
    return (factor - 1) // 2
