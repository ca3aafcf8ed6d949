"""Exact sizes, the light they are resampled in, the mix with Lanczos, and the colour fix."""

import io

import numpy as np
import pytest
import pyvips
from icc_profiles import DISPLAY_P3, SRGB_CURVE, rgb_profile
from picture_tools import encoded, enlarge, noise, smooth
from PIL import Image

from srcli.errors import ConfigError
from srcli.io.drift import ColorFix
from srcli.io.encode import WriteOptions
from srcli.io.pictures import open_picture
from srcli.io.resample import enlarge as enlarge_lanczos
from srcli.io.resample import resize_coded, resize_plain


def result(pixels, **options):
    target = io.BytesIO()
    enlarge(encoded(pixels, "PNG"), target, **options)
    return np.asarray(Image.open(target))


@pytest.mark.parametrize("size", [(1, 1), (7, 200), (91, 33), (120, 160), (121, 161), (300, 17)])
def test_the_size_is_exact(size):
    assert result(smooth(40, 53), scale=3, size=size).shape == (*size, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 3)])
def test_the_smallest_pictures_go_through(shape):
    pixels = noise(*shape, 3)
    enlarged = result(pixels, scale=4, strength=0.5, color_fix=ColorFix.ON)
    assert enlarged.shape == (shape[0] * 4, shape[1] * 4, 3)


@pytest.mark.parametrize("scale", [2, 3, 4, 7])
def test_whole_factors_equal_pillows_lanczos_away_from_the_border(scale):
    plain = noise(40, 50).astype(np.float32) / 255
    expected = Image.fromarray(plain).resize((50 * scale, 40 * scale), Image.Resampling.LANCZOS)
    image = enlarge_lanczos(pyvips.Image.new_from_array(plain), 50 * scale, 40 * scale)
    inner = slice(3 * scale, -3 * scale)
    np.testing.assert_allclose(
        image.numpy()[inner, inner], np.asarray(expected)[inner, inner], atol=1e-6
    )


@pytest.mark.parametrize("size", [(80, 100), (60, 77), (41, 51), (20, 25)])
@pytest.mark.parametrize("resize", [resize_coded, resize_plain])
def test_a_flat_picture_stays_flat(resize, size):
    image = pyvips.Image.new_from_array(np.full((40, 50), 0.3, np.float32))
    values = resize(image, size[1], size[0]).numpy()
    assert values.shape[:2] == size
    np.testing.assert_allclose(values, 0.3, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 1.5])
def test_a_fine_checker_keeps_the_light_it_has_from_afar(factor):
    checker = (np.indices((120, 120)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = result(checker, size=(round(120 / factor),) * 2, color_fix=ColorFix.OFF) / 255
    light = np.where(small < 0.04045, small / 12.92, ((small + 0.055) / 1.055) ** 2.4)
    assert light.mean() == pytest.approx(0.5, abs=0.01)


def test_strength_zero_is_a_plain_lanczos_enlargement():
    pixels = smooth(40, 50)
    plain = result(
        pixels, scale=2, strength=0, color_fix=ColorFix.OFF, network=lambda rows: rows * 0
    )
    expected = np.asarray(Image.fromarray(pixels).resize((100, 80), Image.Resampling.LANCZOS))
    assert np.abs(plain.astype(int) - expected)[6:-6, 6:-6].max() <= 1


def test_strength_mixes_linearly():
    pixels = np.full((20, 20, 3), 100, np.uint8)
    mixed = result(pixels, strength=0.25, color_fix=ColorFix.OFF, network=lambda rows: rows + 0.4)
    assert np.abs(mixed - (100 + 0.25 * 0.4 * 255)).max() <= 1


def tinted(rows):
    return np.clip(rows * 0.9 + np.array([0.03, 0.0, 0.05], np.float32), 0, 1)


@pytest.mark.parametrize("fix", [ColorFix.AUTO, ColorFix.ON])
def test_a_tint_of_the_network_is_taken_out(fix):
    pixels = smooth(120, 160) // 2 + 64
    corrected = result(pixels, scale=2, network=tinted, color_fix=fix)
    expected = pixels.repeat(2, 0).repeat(2, 1)
    assert np.abs(corrected.astype(int) - expected).mean() < 1.5
    untouched = result(pixels, scale=2, network=tinted, color_fix=ColorFix.OFF)
    assert np.abs(untouched.astype(int) - expected).mean() > 5


def test_detail_of_the_network_survives_the_colour_fix():
    pixels = np.full((120, 160, 3), 128, np.uint8)
    stripes = np.where(np.arange(160) // 2 % 2, 0.1, -0.1)[None, :, None].astype(np.float32)
    fixed = result(pixels, network=lambda rows: rows + stripes, color_fix=ColorFix.ON).astype(int)
    assert np.ptp(fixed[60, 40:120, 0]) == pytest.approx(0.2 * 255, abs=3)


def test_a_drift_within_one_level_is_left_alone():
    pixels = smooth(60, 80)
    faint = result(pixels, network=lambda rows: rows + 0.9 / 255, color_fix=ColorFix.AUTO)
    np.testing.assert_array_equal(
        faint, result(pixels, network=lambda rows: rows + 0.9 / 255, color_fix=ColorFix.OFF)
    )


def test_gray_stays_gray_whatever_the_network_paints():
    pixels = smooth(40, 50)[:, :, 0]
    gray = result(pixels, network=lambda rows: rows + np.array([0.02, 0, -0.02], np.float32))
    assert gray.shape == (40, 50)
    assert np.abs(gray.astype(int) - pixels).max() <= 1


def test_a_16_bit_gradient_is_not_banded():
    ramp = np.linspace(20000, 24000, 64 * 500).reshape(64, 500).astype(np.uint16)
    picture = io.BytesIO()
    enlarge(encoded(ramp, "PNG"), picture, scale=2)
    rows = open_picture(picture.getvalue()).page(0).read_rows(0, 128)[:, :, 0]
    assert len(np.unique(rows)) > 3900  # of 4,001 levels


@pytest.mark.parametrize("memory_limit", [0, 1 << 30])
def test_streaming_gives_the_same_file_as_memory(memory_limit, monkeypatch):
    pixels = np.dstack([noise(2500, 30, 3), smooth(2500, 30)[:, :, 0] // 16 * 16])
    options = {"scale": 2, "size": (3750, 45), "strength": 0.7, "color_fix": ColorFix.ON}
    profile = rgb_profile(DISPLAY_P3, SRGB_CURVE)
    data = encoded(pixels, "PNG", icc_profile=profile)
    whole, streamed = io.BytesIO(), io.BytesIO()
    enlarge(data, whole, **options)
    monkeypatch.setattr("srcli.io.pictures._HELD_BYTES", 0)  # decode again for every pass
    enlarge(data, streamed, **options, memory_limit=memory_limit)
    assert streamed.getvalue() == whole.getvalue()


@pytest.mark.parametrize("wrong", [{"size": (0, 5)}, {"strength": 1.5}, {"quality": 0}])
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match="impossible"):
        WriteOptions(**{"size": (5, 5)} | wrong)
