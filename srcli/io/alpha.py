"""Transparency: colours carried under transparent pixels, and edges that stay exact."""

from __future__ import annotations

from enum import StrEnum

from srcli.io.vips import VipsImage

# Boxes of 5, 13 and 37 pixels, one after the other: colours reach 26 pixels under transparency.
_BLEED_RADII = (2, 6, 18)
BLEED_RADIUS = sum(_BLEED_RADII)
_NOTHING = 1e-9  # a weight below this is no colour at all

_NEIGHBOURHOOD = 7  # pixels square: all that an output pixel of a Lanczos enlargement can see


class AlphaKind(StrEnum):
    """What the alpha channel of a picture holds."""

    NONE = "none"
    CONSTANT = "constant"
    VARYING = "varying"


class AlphaMode(StrEnum):
    """How alpha is enlarged."""

    NETWORK = "network"  # by the network, as a gray picture of its own
    LANCZOS = "lanczos"
    DROP = "drop"  # not at all: the picture is laid on white


def bleed(colour: VipsImage, alpha: VipsImage) -> VipsImage:
    """Colour with every fully transparent pixel replaced by a mean of visible ones near it.

    What lies under alpha 0 is often black or noise, and a network would draw it into the visible
    edge. Means are weighted by alpha over growing squares, the smallest that sees a visible pixel
    wins; farther than BLEED_RADIUS from anything visible the colour is 0. `alpha` is float in
    [0, 1]; the result has the format of `colour`.
    """
    weight, weighted = alpha, colour * alpha
    fills = []
    for radius in _BLEED_RADII:
        weight, weighted = _box(weight, radius), _box(weighted, radius)
        fills.append((weight > _NOTHING).ifthenelse(weighted / weight, -1))
    fill = fills.pop()
    while fills:
        nearer = fills.pop()
        fill = (nearer >= 0).ifthenelse(nearer, fill)
    fill = (fill >= 0).ifthenelse(fill, 0)
    rounded = fill if colour.format == "float" else (fill + 0.5).cast(colour.format)
    return (alpha > 0).ifthenelse(colour, rounded)


def hold_extremes(enlarged: VipsImage, alpha: VipsImage) -> VipsImage:
    """Enlarged alpha in [0, 1] with 0 and 1 exact wherever the source is that all around.

    `alpha` is the source's; a pixel is held where the whole 7x7 square of its source pixel is
    fully transparent, or fully opaque.
    """
    size = _NEIGHBOURHOOD
    half = size // 2
    framed = alpha.embed(half, half, alpha.width + 2 * half, alpha.height + 2 * half, extend="copy")
    lowest = framed.rank(size, size, 0)
    highest = framed.rank(size, size, size * size - 1)
    lowest, highest = (_nearest(image, enlarged) for image in (lowest, highest))
    held = (lowest >= 1).ifthenelse(1, enlarged)
    return (highest <= 0).ifthenelse(0, held).cast("float")


def on_white(colour: VipsImage, alpha: VipsImage) -> VipsImage:
    """Coded colour floats laid on white, as a browser would show them."""
    return colour * alpha + (1 - alpha)


def _box(image: VipsImage, radius: int) -> VipsImage:
    length = 2 * radius + 1
    row = VipsImage.new_from_array([[1.0] * length], scale=length)
    return image.convsep(row, precision="float")


def _nearest(image: VipsImage, like: VipsImage) -> VipsImage:
    scales = like.width / image.width, like.height / image.height
    return image.resize(scales[0], vscale=scales[1], kernel="nearest")
