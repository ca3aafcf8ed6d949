"""What the samples of a decoded page are, and the page as the kinds of raster the work needs."""

from __future__ import annotations

from dataclasses import dataclass

from srcli.errors import ImageError
from srcli.io.profiles import Profile, ProfileError, read_profile
from srcli.io.spool import SpoolDtype
from srcli.io.vips import FULL_SCALE, VipsImage, blob, has_field

_DTYPES: dict[str, SpoolDtype] = {"uchar": "uint8", "ushort": "uint16", "float": "float32"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The samples of a page after `normalise`: dtype, channels, meaning."""

    dtype: SpoolDtype
    is_gray: bool
    has_alpha: bool
    full_scale: float  # the sample value that means 1
    profile: Profile | None  # None: the samples are sRGB-coded as they are
    icc: bytes | None  # the embedded profile, where a file of these samples may carry it
    notes: tuple[str, ...] = ()

    def colour(self, image: VipsImage) -> VipsImage:
        """The colour channels of a normalised page, in its own samples."""
        return image.extract_band(0, n=1 if self.is_gray else 3)

    def alpha(self, image: VipsImage) -> VipsImage | None:
        """Alpha as floats in [0, 1], None where there is none."""
        if not self.has_alpha:
            return None
        samples = image.extract_band(image.bands - 1)
        return (samples.cast("float") / self.full_scale).cast("float")

    def coded(self, image: VipsImage) -> VipsImage:
        """The colour channels as sRGB-coded floats, outside [0, 1] where the colour is."""
        samples = self.colour(image)
        if self.profile is None:
            return (samples.cast("float") / self.full_scale).cast("float")
        return self.profile.to_srgb(samples, self.full_scale).cast("float")

    @property
    def is_wide(self) -> bool:
        """Whether colours can lie outside [0, 1] of sRGB."""
        return self.profile is not None or self.dtype == "float32"


def normalise(image: VipsImage, name: str) -> VipsImage:
    """The page as gray or RGB, with or without alpha, in uchar, ushort or float samples.

    CMYK and L*a*b* become sRGB. Raises ImageError for samples that are no picture's.
    """
    kind = image.interpretation
    depth = 16 if image.format == "ushort" else 8
    if kind == "cmyk":
        return _from_cmyk(image, depth)
    if kind in ("lab", "labs", "labq"):
        return image.colourspace("rgb16" if kind == "labs" else "srgb")
    if image.format == "double":
        image = image.cast("float")
    if image.format not in _DTYPES or image.bands > 4:
        raise ImageError(
            f"{name} has {image.bands} channels of {image.format} samples",
            hint="convert it to gray or RGB of 8 or 16 bits, or float, first",
        )
    return image


def describe(image: VipsImage) -> Layout:
    """The layout of a normalised page."""
    is_gray = image.bands < 3
    channels = 1 if is_gray else 3
    profile, icc, notes = _read_profile(image, channels)
    return Layout(
        dtype=_DTYPES[image.format],
        is_gray=is_gray,
        has_alpha=image.bands in (2, 4),
        full_scale=_full_scale(image),
        profile=profile,
        icc=icc,
        notes=notes,
    )


def _read_profile(
    image: VipsImage, channels: int
) -> tuple[Profile | None, bytes | None, tuple[str, ...]]:
    icc = blob(image, "icc-profile-data")
    if icc is None:
        return None, None, ()
    try:
        profile = read_profile(icc, channels)
    except ProfileError as error:
        note = f"the colour profile is left out, {error}: the pixels stay as they are"
        return None, None, (note,)
    return None if profile.is_srgb else profile, icc if profile.embeds else None, ()


def _full_scale(image: VipsImage) -> float:
    if image.format == "ushort" and has_field(image, "heif-compression"):
        bits = int(image.get("bits-per-sample"))  # shifted up to 16 bits with zeros below
        return float(((1 << bits) - 1) << (16 - bits))
    return FULL_SCALE[_DTYPES[image.format]]


def _from_cmyk(image: VipsImage, depth: int) -> VipsImage:
    alpha = image[4] if image.bands == 5 else None
    ink = image.extract_band(0, n=4)
    has_profile = has_field(image, "icc-profile-data")
    profile = {} if has_profile else {"input_profile": "cmyk"}
    colour = ink.icc_transform(
        "srgb", embedded=has_profile, intent="relative", depth=depth, **profile
    )
    joined = colour if alpha is None else colour.bandjoin(alpha)
    joined = joined.copy()
    joined.remove("icc-profile-data")
    return joined
