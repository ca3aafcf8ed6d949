"""Transparency: no dark rim, exact ends, alpha enlarged apart."""

import io

import numpy as np
import pytest
from picture_tools import encoded, enlarge, noise, smooth
from PIL import Image
from png_files import RGBA, png

from srcli.io.alpha import BLEED_RADIUS, AlphaMode
from srcli.io.drift import ColorFix
from srcli.io.formats import PictureFormat
from srcli.io.pictures import open_picture


def disc(size=64, hidden=0):
    """A red disc with a soft edge on nothing, `hidden` lying under the nothing."""
    down, across = np.mgrid[:size, :size] - (size - 1) / 2
    alpha = np.clip(size / 3 - np.hypot(down, across), 0, 1)
    pixels = np.full((size, size, 4), hidden, np.uint8)
    pixels[alpha > 0, :3] = (220, 30, 40)
    pixels[:, :, 3] = np.rint(alpha * 255)
    return pixels


def enlarged(pixels, kind="png", **options):
    target = io.BytesIO()
    enlarge(encoded(pixels, "PNG"), target, format=PictureFormat(kind), **options)
    return np.asarray(Image.open(target))


@pytest.mark.parametrize("hidden", [0, 255])
def test_visible_colours_reach_under_transparency(hidden):
    rows = open_picture(encoded(disc(hidden=hidden), "PNG")).page(0).read_rows(0, 64)
    down, across = np.mgrid[:64, :64] - 31.5
    near = np.hypot(down, across) < 64 / 3 + min(BLEED_RADIUS, 20)
    assert np.abs(rows[near] * 255 - (220, 30, 40)).max() <= 1


def test_what_lies_far_under_transparency_is_not_seen():
    pixels = np.zeros((8, 100, 4), np.uint8)
    pixels[:, :4] = (10, 200, 10, 255)
    pixels[:, 4:, :3] = noise(8, 96, 3)
    rows = open_picture(encoded(pixels, "PNG")).page(0).read_rows(0, 8)
    assert (rows[:, 5 + BLEED_RADIUS :] == 0).all()


def test_bands_see_the_same_colours_as_the_whole():
    page = open_picture(encoded(disc(), "PNG")).page(0)
    whole = page.read_rows(0, 64)
    page.rewind()
    for start in range(0, 64, 5):
        rows = page.read_rows(start, min(start + 5, 64))
        np.testing.assert_array_equal(rows, whole[start : start + 5])


@pytest.mark.parametrize("hidden", [0, 255])
@pytest.mark.parametrize("background", ["black", "white", "checker"])
@pytest.mark.parametrize("alpha", [AlphaMode.LANCZOS, AlphaMode.NETWORK])
def test_there_is_no_halo_on_any_background(hidden, background, alpha):
    result = enlarged(disc(hidden=hidden), scale=2, alpha=alpha, color_fix=ColorFix.OFF).astype(
        float
    )
    checker = np.indices((128, 128)).sum(axis=0) // 8 % 2 * 255
    behind = {"black": 0.0, "white": 255.0, "checker": checker[:, :, None]}[background]
    opacity = result[:, :, 3:] / 255
    seen = result[:, :, :3] * opacity + behind * (1 - opacity)
    ideal = np.array((220, 30, 40)) * opacity + behind * (1 - opacity)
    assert np.abs(seen - ideal).max() < 2


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("mode", [AlphaMode.LANCZOS, AlphaMode.NETWORK])
def test_clear_and_opaque_stay_exact(scale, mode):
    pixels = np.dstack([smooth(60, 60), np.zeros((60, 60), np.uint8)])
    pixels[:, 30:, 3] = 255
    alpha = enlarged(pixels, scale=scale, alpha=mode)[:, :, 3]
    assert (alpha[:, : 26 * scale] == 0).all()
    assert (alpha[:, 34 * scale :] == 255).all()


def test_an_untidy_network_cannot_touch_what_is_clear_or_opaque():
    pixels = np.dstack([smooth(60, 60), np.zeros((60, 60), np.uint8)])
    pixels[:, 30:, 3] = 255

    def restless(rows):
        return np.clip(rows + np.random.default_rng(0).normal(0, 0.02, rows.shape), 0, 1)

    target = io.BytesIO()
    enlarge(
        encoded(pixels, "PNG"), target, scale=2, alpha=AlphaMode.NETWORK, alpha_network=restless
    )
    alpha = np.asarray(Image.open(target))[:, :, 3]
    assert (alpha[:, :52] == 0).all()
    assert (alpha[:, 68:] == 255).all()


@pytest.mark.parametrize("value", [0, 77, 255])
def test_constant_alpha_stays_that_constant(value):
    pixels = np.dstack([smooth(20, 30), np.full((20, 30), value, np.uint8)])
    assert (enlarged(pixels, scale=3)[:, :, 3] == value).all()


def test_16_bit_alpha_keeps_its_levels():
    alpha = np.full((9, 8), 12345, np.uint16)
    data = png(np.dstack([noise(9, 8, 3, dtype=np.uint16), alpha]), RGBA, 16)
    target = io.BytesIO()
    enlarge(data, target, scale=2)
    rows = open_picture(target.getvalue()).page(0).read_alpha_rows(0, 18)
    np.testing.assert_allclose(rows, 12345 / 65535, atol=1e-7)


def test_gray_with_alpha_stays_gray_with_alpha():
    pixels = np.dstack([smooth(20, 30)[:, :, 0], smooth(20, 30)[:, :, 1]])
    assert enlarged(pixels, scale=2).shape == (40, 60, 2)


@pytest.mark.parametrize(("kind", "options"), [("jpeg", {}), ("png", {"alpha": AlphaMode.DROP})])
def test_without_alpha_the_picture_is_laid_on_white(kind, options):
    result = enlarged(disc(), kind=kind, color_fix=ColorFix.OFF, **options).astype(int)
    assert result.shape == (64, 64, 3)
    assert result[:4, :4].min() >= 253
    assert np.abs(result[28:36, 28:36] - (220, 30, 40)).max() <= 3
