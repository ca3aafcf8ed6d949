"""Colour profiles: what the network sees, and what comes back."""

import io

import numpy as np
import pytest
import tifffile
from icc_profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    PROPHOTO,
    SRGB,
    SRGB_CURVE,
    gamma,
    gray_profile,
    lut_profile,
    parametric,
    rgb_profile,
    table,
)
from picture_tools import encoded, enlarge, noise, smooth
from PIL import Image, ImageCms

from srcli.io.drift import ColorFix
from srcli.io.encode import WriteOptions, spool_dtype
from srcli.io.formats import PictureFormat
from srcli.io.pictures import open_picture
from srcli.io.profiles import IccMode, ProfileError, read_profile

CODED = np.linspace(0, 1, 1024)
SRGB_TABLE = np.where(CODED < 0.04045, CODED / 12.92, ((CODED + 0.055) / 1.055) ** 2.4)
P3 = rgb_profile(DISPLAY_P3, SRGB_CURVE)
WIDE = {
    "display-p3": P3,
    "display-p3 by table": rgb_profile(DISPLAY_P3, table(SRGB_TABLE)),
    "adobe rgb": rgb_profile(ADOBE_RGB, gamma(2.19921875)),
    "prophoto": rgb_profile(PROPHOTO, gamma(1.8)),
    "romm": rgb_profile(PROPHOTO, parametric(3, 1.8, 1, 0, 1 / 16, 1 / 32)),
}
LEVELS = np.linspace(0, 255, 12).round().astype(np.uint8)
CUBE = np.stack(np.meshgrid(LEVELS, LEVELS, LEVELS), -1).reshape(48, 36, 3)


def tiff(pixels, icc, **options):
    buffer = io.BytesIO()
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(buffer, pixels, iccprofile=icc, photometric=photometric, **options)
    return buffer.getvalue()


def through(data, kind=PictureFormat.TIFF, **options):
    """The file after an identity network, as bytes."""
    target = io.BytesIO()
    enlarge(data, target, format=kind, **options)
    return target.getvalue()


def littlecms(pixels, source, target="sRGB"):
    """Little CMS's own conversion of 8-bit pixels to sRGB."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(source))
    converted = ImageCms.profileToProfile(
        Image.fromarray(pixels), profile, ImageCms.createProfile(target), renderingIntent=1
    )
    return np.asarray(converted)


@pytest.mark.parametrize("name", WIDE)
def test_8_bit_colours_of_a_wide_space_come_back_exactly(name):
    after = tifffile.imread(io.BytesIO(through(tiff(CUBE, WIDE[name]))))
    np.testing.assert_array_equal(after, CUBE)


@pytest.mark.parametrize(("name", "levels"), [("display-p3", 0), ("adobe rgb", 8), ("prophoto", 4)])
def test_16_bit_colours_of_a_wide_space_come_back_within_a_few_levels(name, levels):
    # A pure power has no slope limit at black: there the floats' last bit is a few of 65,535.
    pixels = noise(64, 48, 3, dtype=np.uint16)
    after = tifffile.imread(io.BytesIO(through(tiff(pixels, WIDE[name]))))
    assert np.abs(after.astype(int) - pixels).max() <= levels


@pytest.mark.parametrize("name", WIDE)
def test_a_16_bit_spool_is_enough_for_8_bit_pictures(name):
    after = tifffile.imread(io.BytesIO(through(tiff(CUBE, WIDE[name]), dtype="uint16")))
    assert np.abs(after.astype(int) - CUBE).max() <= 1


@pytest.mark.parametrize(
    ("pixels", "icc", "fix", "expected"),
    [
        (CUBE, None, ColorFix.OFF, "uint8"),
        (CUBE, None, ColorFix.AUTO, "uint16"),
        (CUBE, P3, ColorFix.OFF, "uint16"),
        (CUBE.astype(np.uint16), None, ColorFix.AUTO, "uint16"),
        (CUBE.astype(np.uint16), P3, ColorFix.OFF, "float32"),
        (CUBE.astype(np.float32), None, ColorFix.OFF, "float32"),
    ],
)
def test_a_spool_gets_the_samples_that_the_picture_needs(pixels, icc, fix, expected):
    picture = open_picture(tiff(pixels, icc))
    options = WriteOptions(size=(48, 36), color_fix=fix)
    assert spool_dtype(picture.page(0), PictureFormat.TIFF, options, (48, 36)) == expected


@pytest.mark.parametrize("name", WIDE)
def test_the_network_sees_srgb(name):
    rows = open_picture(tiff(CUBE, WIDE[name])).page(0).read_rows(0, 48)
    inside = (rows > 0).all(axis=2) & (rows < 1).all(axis=2)
    expected = littlecms(CUBE, WIDE[name])
    assert np.abs(rows * 255 - expected)[inside].max() < 1.5  # two roundings of 8 bits


def test_the_profile_is_embedded_again():
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF"):
        data = through(encoded(smooth(20, 30), kind, icc_profile=P3), PictureFormat(kind.lower()))
        assert Image.open(io.BytesIO(data)).info["icc_profile"] == P3


def test_saturated_colours_keep_their_detail_beyond_srgb():
    ramp = np.zeros((8, 64, 3), np.uint8)
    ramp[:, :, 1] = np.linspace(190, 255, 64)  # greens of P3, none of which sRGB has
    rows = open_picture(tiff(ramp, P3)).page(0).read_rows(0, 8)
    after = tifffile.imread(io.BytesIO(through(tiff(ramp, P3))))
    assert rows[:, :, 0].max() == 0
    np.testing.assert_array_equal(after, ramp)


def test_colours_beyond_srgb_are_enlarged_too():
    patch = np.full((10, 10, 3), (0, 255, 0), np.uint8)
    after = tifffile.imread(io.BytesIO(through(tiff(patch, P3), scale=3)))
    assert after.shape == (30, 30, 3)
    assert np.abs(after.astype(int) - (0, 255, 0)).max() <= 1


@pytest.mark.parametrize("mode", [IccMode.SRGB, IccMode.STRIP])
def test_a_profile_can_be_left_for_srgb(mode):
    image = Image.open(io.BytesIO(through(tiff(CUBE, P3), icc=mode)))
    assert np.abs(np.asarray(image).astype(int) - littlecms(CUBE, P3)).max() <= 1
    assert ("icc_profile" in image.info) == (mode is IccMode.SRGB)


def test_what_the_picture_was_opened_with_is_what_is_written():
    target = io.BytesIO()
    enlarge(open_picture(tiff(CUBE, P3), icc=IccMode.STRIP), target)
    assert "icc_profile" not in Image.open(target).info


def test_an_srgb_profile_changes_nothing_and_stays():
    icc = rgb_profile(SRGB, SRGB_CURVE)
    picture = open_picture(tiff(CUBE, icc))
    np.testing.assert_array_equal(picture.page(0).read_rows(0, 48), CUBE / np.float32(255))
    assert Image.open(io.BytesIO(through(tiff(CUBE, icc)))).info["icc_profile"] == icc


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_gray_with_a_gray_profile_comes_back_gray(kind):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    icc = gray_profile(gamma(1.8))
    image = Image.open(
        io.BytesIO(through(encoded(ramp, kind, icc_profile=icc), PictureFormat(kind.lower())))
    )
    assert (image.mode, image.info["icc_profile"]) == ("L", icc)
    np.testing.assert_array_equal(np.asarray(image), ramp)


def test_gray_into_webp_becomes_srgb_because_webp_has_no_gray():
    icc = gray_profile(gamma(1.0))
    data = encoded(np.full((8, 8), 55, np.uint8), "TIFF", icc_profile=icc)
    image = Image.open(io.BytesIO(through(data, PictureFormat.WEBP)))
    light = 55 / 255
    expected = (1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert "icc_profile" not in image.info
    assert np.abs(np.asarray(image) - expected).max() < 2


def test_gray_with_the_profile_of_rgb_is_read_by_its_neutral_axis():
    icc = rgb_profile(PROPHOTO, gamma(1.8))
    data = tiff(np.full((8, 8), 100, np.uint8), icc)
    seen = open_picture(data).page(0).read_rows(0, 8)[0, 0, 0]
    light = (100 / 255) ** 1.8
    assert seen == pytest.approx(1.055 * light ** (1 / 2.4) - 0.055, abs=1e-3)


RISE = np.linspace(0, 1, 256)
DAMAGED = {
    "junk": b"junk" * 50,
    "cut": P3[:300],
    "for gray": gray_profile(gamma(2.2)),
    "all black": rgb_profile(DISPLAY_P3, table(RISE * 0)),
    "falling": rgb_profile(DISPLAY_P3, table(1 - RISE)),
    "up and down": rgb_profile(DISPLAY_P3, table(np.minimum(1.5 * RISE, 1.4 - RISE))),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_profile_that_fails_is_noted_and_the_pixels_stay(damage):
    data = tiff(CUBE, DAMAGED[damage])
    picture = open_picture(data)
    assert "profile is left out" in picture.notes[0]
    image = Image.open(io.BytesIO(through(data)))
    np.testing.assert_array_equal(np.asarray(image), CUBE)
    assert "icc_profile" not in image.info


def test_a_measured_curve_may_waver():
    wavering = RISE**2 + np.where(np.arange(256) % 2, 1e-3, 0)
    profile = rgb_profile(DISPLAY_P3, table(np.clip(wavering, 0, 1)))
    assert open_picture(tiff(CUBE, profile)).notes == ()


@pytest.mark.parametrize("cut", range(0, len(P3), 7))
def test_a_profile_cut_anywhere_is_refused_not_a_crash(cut):
    with pytest.raises(ProfileError):
        read_profile(P3[:cut], 3)


def lab_grid(channels, points):
    """Lab bytes of a naive device: the mean of the channels as lightness, no colour."""
    axes = np.meshgrid(*[np.linspace(0, 255, points)] * channels, indexing="ij")
    lightness = np.mean(axes, axis=0)
    return lightness, np.stack(
        [lightness, np.full_like(lightness, 128), np.full_like(lightness, 128)], -1
    )


def test_cmyk_with_a_profile_goes_out_as_srgb():
    ink, lab = lab_grid(4, 3)
    lab[..., 0] = 255 - ink
    icc = lut_profile(b"CMYK", lab.astype(np.uint8))
    pixels = np.full((8, 8, 4), 128, np.uint8)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="separated", iccprofile=icc)
    image = Image.open(io.BytesIO(through(buffer.getvalue())))
    assert image.mode == "RGB"
    assert image.info.get("icc_profile") != icc
    assert np.abs(np.asarray(image) - 118.0).max() < 3  # L* 50 is 119 in sRGB


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_without_a_profile_is_read_as_usual_ink(kind):
    data = encoded(Image.fromarray(smooth(20, 30)).convert("CMYK"), kind)
    picture = open_picture(data)
    assert (picture.is_gray, picture.page(0).read_rows(0, 20).shape) == (False, (20, 30, 3))


def test_a_profile_of_tables_goes_there_and_back():
    _, to_lab = lab_grid(3, 2)
    axis = np.linspace(0, 255, 3)
    from_lab = np.broadcast_to(axis[:, None, None, None], (3, 3, 3, 3)).astype(np.uint8)
    icc = lut_profile(b"RGB ", to_lab.astype(np.uint8), from_lab)
    grays = np.repeat(np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8, 1), 3, axis=2)
    after = tifffile.imread(io.BytesIO(through(tiff(grays, icc))))
    assert np.abs(after.astype(int) - grays).max() <= 1


@pytest.mark.parametrize("curve", ["parametric 1", "parametric 2", "parametric 4", "table"])
def test_every_kind_of_tone_curve_is_inverted(curve):
    forms = {
        "parametric 1": parametric(1, 2.0, 0.9, 0.1),
        "parametric 2": parametric(2, 2.0, 0.9, 0.1, 0.0),
        "parametric 4": parametric(4, 2.4, 0.9479, 0.0521, 0.0774, 0.04045, 0.0, 0.0),
        "table": table(np.linspace(0, 1, 256) ** 2.4),
    }
    after = tifffile.imread(io.BytesIO(through(tiff(CUBE, rgb_profile(DISPLAY_P3, forms[curve])))))
    assert np.abs(after.astype(int) - CUBE).max() <= 1


def test_float_values_outside_0_to_1_survive():
    pixels = np.linspace(-0.5, 3, 20 * 10 * 3, dtype=np.float32).reshape(20, 10, 3)
    after = tifffile.imread(io.BytesIO(through(tiff(pixels, None), color_fix=ColorFix.OFF)))
    assert after.dtype == np.float32
    np.testing.assert_allclose(after, pixels, atol=1e-6)
