"""From the network's rows to the samples of the file, lazily: nothing is computed until saved.

spool -> exact size -> gray -> strength -> colour fix -> what sRGB clipped -> profile -> samples
alpha (source or spool) -> exact size -> 0 and 1 held ------------------------------> samples
"""

from __future__ import annotations

from dataclasses import dataclass

from srcli.io.alpha import AlphaKind, AlphaMode, hold_extremes, on_white
from srcli.io.drift import ColorFix, correct_drift, measure_drift
from srcli.io.pictures import Page
from srcli.io.profiles import IccMode
from srcli.io.resample import resize_coded, resize_plain
from srcli.io.spool import Spool, SpoolDtype
from srcli.io.vips import FULL_SCALE, VIPS_FORMAT, VipsImage, interpretation


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """What is done to the network's result on its way to the file."""

    size: tuple[int, int]  # height, width
    dtype: SpoolDtype  # of the file
    strength: float = 1.0  # 1 is the network alone, 0 a plain Lanczos enlargement
    color_fix: ColorFix = ColorFix.AUTO
    alpha: AlphaMode = AlphaMode.LANCZOS
    icc: IccMode = IccMode.KEEP


def finish_page(page: Page, colour: Spool, alpha: Spool | None, finish: Finish) -> VipsImage:
    """The page as an image of the file's samples, with alpha where the source has it.

    `colour` holds the network's result of `page.read_rows`, at any size, in 1 or 3 channels;
    `alpha` that of `page.read_alpha_rows`, used by AlphaMode.NETWORK.
    """
    transparency = _alpha(page, alpha, finish)
    is_flat = transparency is not None and finish.alpha is AlphaMode.DROP
    if _is_ready(page, colour, finish) and not is_flat:
        samples = colour.as_vips()
    else:
        coded = _colour(page, colour, finish)
        if is_flat:
            coded, transparency = on_white(coded, transparency), None
        samples = _quantise(coded, finish.dtype)
    if transparency is not None:
        samples = samples.bandjoin(_quantise(transparency, finish.dtype))
    return samples.copy(interpretation=interpretation(samples.bands, finish.dtype))


def _is_ready(page: Page, colour: Spool, finish: Finish) -> bool:
    return (
        (colour.height, colour.width) == finish.size
        and colour.dtype == finish.dtype
        and colour.channels == (1 if page.layout.is_gray else 3)
        and finish.strength == 1
        and finish.color_fix is ColorFix.OFF
        and not page.layout.is_wide
    )


def _colour(page: Page, colour: Spool, finish: Finish) -> VipsImage:
    height, width = finish.size

    def result() -> VipsImage:
        coded = (colour.as_vips().cast("float") / FULL_SCALE[colour.dtype]).cast("float")
        is_collapsed = page.layout.is_gray and coded.bands == 3
        return coded.bandmean().cast("float") if is_collapsed else coded

    coded = result()
    drift = measure_drift(page.coded_image, result, finish.color_fix)
    if drift is not None:
        coded = correct_drift(coded, drift)
    coded = resize_coded(coded, width, height)
    if finish.strength < 1:
        plain = resize_coded(page.coded_image(), width, height)
        coded = coded * finish.strength + plain * (1 - finish.strength)
    coded = clip(coded)
    profile = page.layout.profile
    returns = profile is not None and profile.embeds and finish.icc is IccMode.KEEP
    residual = page.residual_image() if returns or finish.dtype == "float32" else None
    if residual is not None:
        coded = coded + resize_plain(residual, width, height)
    return profile.from_srgb(coded) if returns and profile is not None else coded


def _alpha(page: Page, spool: Spool | None, finish: Finish) -> VipsImage | None:
    height, width = finish.size
    source = page.alpha_image()
    if source is None:
        return None
    if page.alpha is AlphaKind.CONSTANT:
        assert page.alpha_range is not None
        return (VipsImage.black(width, height) + page.alpha_range[0]).cast("float")
    if finish.alpha is AlphaMode.NETWORK and spool is not None:
        enlarged = (spool.as_vips().cast("float") / FULL_SCALE[spool.dtype]).bandmean()
    else:
        enlarged = source
    return hold_extremes(clip(resize_plain(enlarged, width, height)), source)


def clip(image: VipsImage) -> VipsImage:
    """Floats brought into [0, 1]."""
    return image.cast("float").clamp(min=0, max=1)


def _quantise(coded: VipsImage, dtype: SpoolDtype) -> VipsImage:
    if dtype == "float32":
        return coded.cast("float")
    return (coded * FULL_SCALE[dtype] + 0.5).cast(VIPS_FORMAT[dtype])  # which cuts off
