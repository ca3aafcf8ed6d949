"""ICC profiles: what a picture's numbers mean as sRGB, exactly and there and back.

libvips hands colour profiles to Little CMS, whose connection space keeps 16 bits: a round trip
moved 16-bit samples by up to 1,079 of 65,535 levels and 8-bit samples by up to 4 (measured,
Display P3 and ProPhoto). Profiles of the matrix kind, which are nearly all that cameras, displays
and editors embed, are therefore computed here in floats (ICC.1:2022, annex F.3); only profiles
made of tables go through libvips.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from srcli.io.curves import SRGB, Curve, Floats, PowerCurve, TableCurve, decode_native
from srcli.io.vips import BLOB, VipsImage

# sRGB's primaries adapted to D50 (Bradford), the rows X, Y, Z: IEC 61966-2-1 seen by ICC.
_SRGB_TO_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
# A profile nearer to sRGB than this is sRGB. The most common sRGB profile, with its primaries
# rounded, is one level of 255 away from the standard at pure green.
_SAME = 2 / 255
_AXIS = np.linspace(0, 1, 9)
_MOST_LIGHT = 1e6  # far above any white, far below what overflows once it is multiplied
_MOST_FALL = 1 / 255  # of a tone curve that rises: some were measured
_NO_WAY_BACK = "its tone curves have no way back"
_MOST_SAMPLES = 65536  # of a tone curve: one for each value of 16 bits


class IccMode(StrEnum):
    """What becomes of an embedded profile."""

    KEEP = "keep"  # the result is in the source's colour space, its profile embedded
    SRGB = "srgb"  # the result is converted to sRGB and says so
    STRIP = "strip"  # the result is converted to sRGB, no profile embedded


class ProfileError(ValueError):
    """Bytes that are no usable ICC profile."""


@dataclass(frozen=True, slots=True)
class MatrixProfile:
    """A profile of tone curves and, for three channels, a matrix to linear sRGB."""

    curves: tuple[Curve, ...]
    matrix: tuple[tuple[float, ...], ...] | None  # device light -> linear sRGB light
    embeds: bool = True  # whether the profile may stand beside these pixels in a file

    def to_srgb(self, image: VipsImage, full_scale: float) -> VipsImage:
        """Native samples to sRGB-coded floats; colours outside sRGB pass below 0 or above 1."""
        bands = [
            decode_native(band, curve, full_scale)
            for band, curve in zip(image.bandsplit(), self.curves, strict=True)
        ]
        return SRGB.encode_image(_apply(_join(bands), self.matrix))

    def from_srgb(self, image: VipsImage) -> VipsImage:
        """sRGB-coded floats back to the profile's coded floats in [0, 1]."""
        inverse = None if self.matrix is None else _rows(np.linalg.inv(np.array(self.matrix)))
        light = _apply(SRGB.decode_image(image), inverse)
        return _join(
            [
                curve.encode_image(band)
                for band, curve in zip(light.bandsplit(), self.curves, strict=True)
            ]
        )

    @property
    def is_srgb(self) -> bool:
        """Whether no colour moves by more than two levels of 255: then nothing is converted."""
        grid = np.stack(np.meshgrid(*[_AXIS] * len(self.curves)), -1).reshape(-1, len(self.curves))
        light = np.stack([curve.decode(grid[:, i]) for i, curve in enumerate(self.curves)], -1)
        if self.matrix is not None:
            light = light @ np.array(self.matrix).T
        expected = SRGB.decode(grid)
        slope = np.maximum(1 / 12.92, expected ** (1 - 1 / 2.4) * 2.4 / 1.055)  # d light / d code
        return bool((np.abs(light - expected) < _SAME * slope).all())


@dataclass(frozen=True, slots=True)
class TableProfile:
    """A profile made of look-up tables: Little CMS converts it, through L*a*b* floats."""

    icc: bytes

    is_srgb = False
    embeds = True

    def to_srgb(self, image: VipsImage, full_scale: float) -> VipsImage:
        """Native samples to sRGB-coded floats; colours outside sRGB pass below 0 or above 1."""
        lab = self._tagged(image).icc_import(embedded=True, intent="relative", pcs="lab")
        light = lab.colourspace("scrgb")
        light = light.extract_band(1) if image.bands == 1 else light
        return SRGB.encode_image(light)

    def from_srgb(self, image: VipsImage) -> VipsImage:
        """sRGB-coded floats back to the profile's coded floats in [0, 1]."""
        light = SRGB.decode_image(image)
        light = _join([light] * 3) if image.bands == 1 else light
        lab = light.copy(interpretation="scrgb").colourspace("lab")
        native = self._tagged(lab).icc_export(intent="relative", pcs="lab", depth=16)
        return native.cast("float") / 65535

    def _tagged(self, image: VipsImage) -> VipsImage:
        tagged = image.copy()
        tagged.set_type(BLOB, "icc-profile-data", self.icc)
        return tagged


Profile = MatrixProfile | TableProfile


def read_profile(icc: bytes, channels: int) -> Profile:
    """The meaning of an embedded profile for pixels of 1 or 3 channels.

    Raises ProfileError where the bytes are damaged, or made for another kind of pixel.
    """
    try:
        space, tags = _tags(icc)
        if space == "RGB " and channels == 1:  # wrong but common: the curve of its neutral axis
            return MatrixProfile((_curve(tags["gTRC"]),), None, embeds=False)
        if {"GRAY": 1, "RGB ": 3}.get(space) != channels:
            raise ProfileError(f"it is made for {space.strip()} pixels")
        if channels == 1 and "kTRC" in tags:
            return MatrixProfile((_curve(tags["kTRC"]),), None)
        if "rXYZ" in tags:
            curves = tuple(_curve(tags[f"{channel}TRC"]) for channel in "rgb")
            to_xyz = np.stack([_xyz(tags[f"{channel}XYZ"]) for channel in "rgb"], axis=1)
            to_srgb = np.linalg.inv(_SRGB_TO_XYZ) @ to_xyz
            np.linalg.inv(to_srgb)  # raises where there is no way back
            return MatrixProfile(curves, _rows(to_srgb))
        if "A2B0" in tags and "B2A0" in tags:
            return TableProfile(icc)
    except (struct.error, KeyError, IndexError, UnicodeDecodeError, np.linalg.LinAlgError) as error:
        raise ProfileError("it is damaged") from error
    raise ProfileError("it is of a kind that cannot be used both ways")


def _tags(icc: bytes) -> tuple[str, dict[str, bytes]]:
    if len(icc) < 132 or icc[36:40] != b"acsp":
        raise ProfileError("it is damaged")
    (count,) = struct.unpack_from(">I", icc, 128)
    tags = {}
    for i in range(min(count, 200)):
        name, offset, size = struct.unpack_from(">4sII", icc, 132 + 12 * i)
        if offset + size > len(icc):
            raise ProfileError("it is cut off")
        tags[name.decode("ascii")] = icc[offset : offset + size]
    return icc[16:20].decode("ascii"), tags


def _xyz(tag: bytes) -> Floats:
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _curve(tag: bytes) -> Curve:
    if tag[:4] == b"para":
        return _parametric(tag)
    if tag[:4] != b"curv":
        raise ProfileError("its tone curves are of an unknown kind")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return PowerCurve(g=1.0)
    if count == 1:
        return _power(g=struct.unpack_from(">H", tag, 12)[0] / 256)
    if count > _MOST_SAMPLES:
        raise ProfileError("its tone curves are too long")
    samples = np.array(struct.unpack_from(f">{count}H", tag, 12)) / 65535
    fall = (np.maximum.accumulate(samples) - samples).max()
    if samples[0] >= samples[-1] or fall > _MOST_FALL:
        raise ProfileError(_NO_WAY_BACK)
    return TableCurve(tuple(samples.tolist()))


def _parametric(tag: bytes) -> PowerCurve:
    (kind,) = struct.unpack_from(">H", tag, 8)
    names = ("g", "ga b", "ga b e", "ga b c d", "ga b c d e f")
    letters = names[kind].replace(" ", "")
    values = struct.unpack_from(f">{len(letters)}i", tag, 12)
    given = {letter: value / 65536 for letter, value in zip(letters, values, strict=True)}
    if (
        kind in (1, 2) and given["a"]
    ):  # these start where a x + b does; below that they are the constant e
        given["d"] = -given["b"] / given["a"]
        given["f"] = given.get("e", 0.0)
    return _power(**given)


def _power(**numbers: float) -> PowerCurve:
    curve = PowerCurve(**numbers)
    with np.errstate(all="ignore"):
        is_curve = curve.g > 0 and curve.a != 0 and _is_light(curve.decode(_AXIS))
    if not is_curve:
        raise ProfileError(_NO_WAY_BACK)
    return curve


def _is_light(linear: Floats) -> bool:
    """Whether these can be linear light: numbers of which a picture in floats can be made."""
    return bool((np.abs(linear) < _MOST_LIGHT).all())


def _apply(image: VipsImage, matrix: tuple[tuple[float, ...], ...] | None) -> VipsImage:
    return (
        image
        if matrix is None
        else image.recomb(VipsImage.new_from_array([list(row) for row in matrix]))
    )


def _join(bands: list[VipsImage]) -> VipsImage:
    return bands[0].bandjoin(bands[1:]) if len(bands) > 1 else bands[0]


def _rows(matrix: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in matrix)
