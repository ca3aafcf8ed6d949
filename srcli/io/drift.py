"""The slow colour drift that networks add, taken out: the low-pass of the input replaces theirs."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from srcli.io.resample import shrink
from srcli.io.vips import VipsImage

SIGMA_PX = 16.0  # of the low-pass, in pixels of the input
_CELL_PX = 4  # squares this small say all that the low-pass lets through
_RASTER_PX = 1024  # longest side of the rasters that are compared
_TOLERANCE = 1 / 255


class ColorFix(StrEnum):
    """Whether the low frequencies of the result are replaced by those of the input."""

    AUTO = "auto"  # where they are more than 1/255 apart somewhere
    ON = "on"
    OFF = "off"


def measure_drift(
    open_input: Callable[[], VipsImage], open_result: Callable[[], VipsImage], fix: ColorFix
) -> VipsImage | None:
    """The low frequencies of the input less those of the result, as a small raster.

    Both are averaged over squares of input pixels (of 4, of more where a side has more than 1,024
    of them) and the difference is low-passed by a Gaussian of SIGMA_PX input pixels, two squares
    at least. Floats, sRGB-coded, in [0, 1]. None where nothing is to be corrected: for
    OFF, and for AUTO where the difference is within 1/255 everywhere.
    """
    if fix is ColorFix.OFF:
        return None
    source = open_input()
    cell = max(-(-max(source.width, source.height) // _RASTER_PX), _CELL_PX)
    got = _average(open_result(), source.width, source.height, cell)
    wanted = _average(source, source.width, source.height, cell)
    sigma = max(SIGMA_PX / cell, 2.0)
    drift = (wanted - got).gaussblur(sigma, min_ampl=0.02, precision="float").copy_memory()
    is_small = drift.abs().max() <= _TOLERANCE
    return None if fix is ColorFix.AUTO and is_small else drift


def correct_drift(result: VipsImage, drift: VipsImage) -> VipsImage:
    """The result with the drift added, enlarged smoothly: its low frequencies are the input's."""
    scales = result.width / drift.width, result.height / drift.height
    return result + drift.resize(scales[0], vscale=scales[1], kernel="linear")


def _average(image: VipsImage, width: int, height: int, cell: int) -> VipsImage:
    """Means over squares of `cell` pixels of a width x height grid laid on the image."""
    across, remainder_x = divmod(image.width, width)
    down, remainder_y = divmod(image.height, height)
    if remainder_x or remainder_y:  # no whole squares: the grid's own pixels first
        image, across, down = shrink(image, width, height), 1, 1
    return image.shrink(across * cell, down * cell, ceil=True).copy_memory()
