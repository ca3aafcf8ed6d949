"""Tone curves: how a coded sample becomes light, and back, in numpy and in lazy libvips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from srcli.io.vips import FULL_SCALE, NUMPY_DTYPE, VipsImage, from_numpy

Floats = npt.NDArray[np.float64]

_TABLE_LEVELS = 65536  # a curve given as a table is inverted through a table of this many entries


class Curve(Protocol):
    """One channel's tone curve, 0 -> 0 and 1 -> 1 in an ordinary profile."""

    def decode(self, coded: Floats) -> Floats:
        """Coded values to linear light, odd about zero."""
        ...

    def decode_image(self, coded: VipsImage) -> VipsImage:
        """The same on a float image whose values are coded samples."""
        ...

    def encode_image(self, linear: VipsImage) -> VipsImage:
        """Linear light to coded values, a float image."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerCurve:
    """(a x + b)^g + e from `d` on, c x + f below: every parametric curve of ICC.1:2022, 10.18.

    Outside [0, 1] it goes on, and below zero it is the mirror image, so that colours outside the
    gamut keep their place and nothing is clipped.
    """

    g: float
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 0.0
    f: float = 0.0

    def decode(self, coded: Floats) -> Floats:
        """Coded values to linear light, odd about zero."""
        size = np.abs(coded)
        power = np.maximum(self.a * size + self.b, 0) ** self.g + self.e
        return np.copysign(np.where(size >= self.d, power, self.c * size + self.f), coded)

    def decode_image(self, coded: VipsImage) -> VipsImage:
        """The same on a float image whose values are coded samples."""
        size = coded.abs()
        power = _positive(size * self.a + self.b) ** self.g + self.e
        linear = (size >= self.d).ifthenelse(power, size * self.c + self.f)
        return _with_sign(linear, coded)

    def encode_image(self, linear: VipsImage) -> VipsImage:
        """Linear light to coded values, a float image."""
        size = linear.abs()
        power = (_positive(size - self.e) ** (1 / self.g) - self.b) / self.a
        if not self.c:  # below d the curve is flat: everything there was coded as d at most
            return _with_sign(power, linear)
        with np.errstate(over="ignore"):  # nothing is above infinity: then all is linear
            threshold = float(np.maximum(self.a * self.d + self.b, 0) ** self.g + self.e)
        coded = (size >= threshold).ifthenelse(power, (size - self.f) / self.c)
        return _with_sign(coded, linear)


@dataclass(frozen=True, slots=True)
class TableCurve:
    """A curve given by samples at equal distances over [0, 1]; clipped outside."""

    samples: tuple[float, ...]

    def decode(self, coded: Floats) -> Floats:
        """Coded values to linear light, odd about zero."""
        places = np.linspace(0, 1, len(self.samples))
        return np.copysign(np.interp(np.abs(coded), places, self.samples), coded)

    def decode_image(self, coded: VipsImage) -> VipsImage:
        """The same on a float image whose values are coded samples."""
        return _look_up(coded, self.decode(np.linspace(0, 1, _TABLE_LEVELS)))

    def encode_image(self, linear: VipsImage) -> VipsImage:
        """Linear light to coded values, a float image."""
        # Indexed by the square root of the light: dark tones get the many entries they need.
        light = np.linspace(0, 1, _TABLE_LEVELS) ** 2
        rising = np.maximum.accumulate(self.samples)
        coded = np.interp(light, rising, np.linspace(0, 1, len(self.samples)))
        return _look_up(_positive(linear) ** 0.5, coded)


SRGB = PowerCurve(g=2.4, a=1 / 1.055, b=0.055 / 1.055, c=1 / 12.92, d=0.04045)  # IEC 61966-2-1
LINEAR = PowerCurve(g=1.0)


def decode_native(image: VipsImage, curve: Curve, full_scale: float) -> VipsImage:
    """Samples of an image's own type, where `full_scale` means 1, to linear light in float."""
    dtype = NUMPY_DTYPE[image.format]
    if dtype == "float32":
        return curve.decode_image(image)
    levels = np.arange(FULL_SCALE[dtype] + 1) / full_scale
    return image.maplut(_table(curve.decode(levels)))


def _with_sign(size: VipsImage, signed: VipsImage) -> VipsImage:
    return (signed < 0).ifthenelse(size * -1, size)


def _positive(image: VipsImage) -> VipsImage:
    return (image > 0).ifthenelse(image, 0)


def _look_up(image: VipsImage, values: Floats) -> VipsImage:
    index = (image * (_TABLE_LEVELS - 1) + 0.5).cast("ushort")
    return index.maplut(_table(values))


def _table(values: Floats) -> VipsImage:
    return from_numpy(values.astype(np.float32)[None, :, None])
