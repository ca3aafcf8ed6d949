"""The slow colour drift that networks add, taken out: the low-pass of the input replaces theirs."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from srcli.io.resample import shrink
from srcli.io.vips import VipsImage

SIGMA_PX = 16.0  # of the low-pass, in pixels of the input
_RASTER_PX = 1024  # longest side of the rasters that are compared
_TOLERANCE = 1 / 255


class ColorFix(StrEnum):
    """Whether the low frequencies of the result are replaced by those of the input."""

    AUTO = "auto"  # where they are more than 1/255 apart somewhere
    ON = "on"
    OFF = "off"


def correct_drift(
    coded: VipsImage, open_input: Callable[[], VipsImage], fix: ColorFix
) -> VipsImage:
    """The result with its low frequencies brought to the input's: result + blur(input - result).

    Both are averaged over squares of input pixels (single pixels up to 1,024 a side, so that the
    rasters stay small), the difference is low-passed by a Gaussian of SIGMA_PX input pixels, two
    squares at least, and enlarged smoothly. Floats, sRGB-coded, in [0, 1]. AUTO leaves the result
    alone where the low-passed difference is within 1/255 everywhere.
    """
    source = open_input()
    cell = -(-max(source.width, source.height) // _RASTER_PX)
    got = _average(coded, source.width, source.height, cell)
    wanted = _average(source, source.width, source.height, cell)
    drift = _low_pass(wanted - got, max(SIGMA_PX / cell, 2.0)).copy_memory()
    if fix is ColorFix.AUTO and drift.abs().max() <= _TOLERANCE:
        return coded
    return coded + _spread(drift, coded.width, coded.height)


def _average(image: VipsImage, width: int, height: int, cell: int) -> VipsImage:
    """Means over squares of `cell` pixels of a width x height grid laid on the image."""
    across, remainder_x = divmod(image.width, width)
    down, remainder_y = divmod(image.height, height)
    if remainder_x or remainder_y:  # no whole squares: the grid's own pixels first
        image, across, down = shrink(image, width, height), 1, 1
    return image.shrink(across * cell, down * cell, ceil=True).copy_memory()


def _low_pass(image: VipsImage, sigma: float) -> VipsImage:
    return image.gaussblur(sigma, min_ampl=0.02, precision="float")


def _spread(drift: VipsImage, width: int, height: int) -> VipsImage:
    return drift.resize(width / drift.width, vscale=height / drift.height, kernel="linear")
