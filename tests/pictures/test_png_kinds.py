"""Every colour type, depth, interlacing and transparency of PNG, and damage of every kind."""

import itertools
import struct

import numpy as np
import pytest
from picture_tools import enlarge, noise
from png_files import CHANNELS, GRAY, GRAY_ALPHA, PALETTE, RGB, RGBA, SIGNATURE, chunk, png

from srcli.errors import ImageError
from srcli.io.pictures import open_picture

KINDS = [(GRAY, depth) for depth in (1, 2, 4, 8, 16)]
KINDS += [(PALETTE, depth) for depth in (1, 2, 4, 8)]
KINDS += [(kind, depth) for kind in (RGB, GRAY_ALPHA, RGBA) for depth in (8, 16)]


def picture_of(kind, depth, *, interlaced=False, extra=()):
    """Random samples of that kind, and the file."""
    samples = noise(13, 11, CHANNELS[kind], dtype=np.uint16, top=2**depth)
    if kind == PALETTE:
        extra = ((b"PLTE", palette(depth).tobytes()), *extra)
    return samples, png(samples, kind, depth, interlaced=interlaced, extra=extra)


def palette(depth):
    return noise(2**depth, 3)


@pytest.mark.parametrize(("kind", "depth"), KINDS)
@pytest.mark.parametrize("interlaced", [False, True])
def test_every_kind_of_png_gives_its_colours(kind, depth, interlaced):
    samples, data = picture_of(kind, depth, interlaced=interlaced)
    colours = palette(depth)[samples[:, :, 0]] if kind == PALETTE else samples
    colours = colours[:, :, : 3 if colours.shape[2] >= 3 else 1]
    picture = open_picture(data)
    rows = picture.page(0).read_rows(0, 13)
    top = 255 if kind == PALETTE else 2**depth - 1
    visible = np.broadcast_to(picture.page(0).read_alpha_rows(0, 13)[:, :, None] > 0, rows.shape)
    expected = np.broadcast_to(colours / top, rows.shape)
    np.testing.assert_allclose(rows[visible], expected[visible], atol=1e-6)
    assert picture.dtype == ("uint16" if depth == 16 else "uint8")
    assert picture.is_gray == (kind in (GRAY, GRAY_ALPHA))


@pytest.mark.parametrize(
    ("kind", "depth"), [(GRAY_ALPHA, 8), (GRAY_ALPHA, 16), (RGBA, 8), (RGBA, 16)]
)
def test_alpha_channels_are_given_apart(kind, depth):
    samples, data = picture_of(kind, depth)
    alpha = open_picture(data).page(0).read_alpha_rows(0, 13)
    np.testing.assert_allclose(alpha, samples[:, :, -1] / (2**depth - 1), atol=1e-6)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_transparent_palette_entries_become_alpha(depth):
    transparency = noise(2**depth)
    samples, data = picture_of(PALETTE, depth, extra=((b"tRNS", transparency.tobytes()),))
    alpha = open_picture(data).page(0).read_alpha_rows(0, 13)
    np.testing.assert_allclose(alpha, transparency[samples[:, :, 0]] / 255, atol=1e-6)


@pytest.mark.parametrize(("kind", "depth"), [(GRAY, 8), (GRAY, 16), (RGB, 8), (RGB, 16)])
def test_a_transparent_colour_becomes_alpha(kind, depth):
    samples = noise(13, 11, CHANNELS[kind], dtype=np.uint16, top=2**depth)
    key = samples[5, 5]
    data = png(samples, kind, depth, extra=((b"tRNS", key.astype(">u2").tobytes()),))
    alpha = open_picture(data).page(0).read_alpha_rows(0, 13)
    np.testing.assert_array_equal(alpha == 0, (samples == key).all(axis=2))


GOOD = png(noise(32, 32, 3), RGB, 8)
HEADER = struct.pack(">IIBBBBB", 32, 32, 8, RGB, 0, 0, 0)


def with_header(*values):
    return GOOD.replace(chunk(b"IHDR", HEADER), chunk(b"IHDR", struct.pack(">IIBBBBB", *values)))


DAMAGE = {
    "signature": b"\x89PNG\r\n\x1a\r" + GOOD[8:],
    "line ends changed": GOOD.replace(b"\r\n", b"\n"),
    "header checksum": GOOD[:29] + bytes(4) + GOOD[33:],
    "pixel checksum": GOOD[:-16] + bytes(4) + GOOD[-12:],
    "no pixels": SIGNATURE + chunk(b"IHDR", HEADER) + chunk(b"IEND", b""),
    "no width": with_header(0, 32, 8, RGB, 0, 0, 0),
    "depth 99": with_header(32, 32, 99, RGB, 0, 0, 0),
    "colour type 9": with_header(32, 32, 8, 9, 0, 0, 0),
    "depth 4 of RGB": with_header(32, 32, 4, RGB, 0, 0, 0),
    "no palette": with_header(32, 32, 8, PALETTE, 0, 0, 0),
    "more rows than data": with_header(32, 64, 8, RGB, 0, 0, 0),
    "cut in the pixels": GOOD[: len(GOOD) // 2],
    "cut in the header": GOOD[:20],
    "one byte": GOOD[:1],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_damage_is_one_clear_line(damage):
    with pytest.raises(ImageError) as caught:
        open_picture(DAMAGE[damage]).page(0).read_rows(0, 32)
    message = str(caught.value)
    assert message.startswith("the input ")
    assert "\n" not in message
    assert not any(word in message for word in ("Vips", "unable to", "None"))
    assert caught.value.hint


def test_bytes_after_the_end_do_no_harm():
    open_picture(GOOD + b"more").page(0).read_rows(0, 32)


def test_every_kind_comes_out_as_it_went_in(tmp_path):
    for (kind, depth), interlaced in itertools.product(KINDS, (False, True)):
        _, data = picture_of(kind, depth, interlaced=interlaced)
        enlarge(data, tmp_path / "out.png")
        before, after = open_picture(data), open_picture(tmp_path / "out.png")
        assert (after.dtype, after.is_gray, after.alpha) == (
            before.dtype,
            before.is_gray,
            before.alpha,
        )
        rows = before.page(0).read_rows(0, 13), after.page(0).read_rows(0, 13)
        visible = before.page(0).read_alpha_rows(0, 13) > 0
        np.testing.assert_array_equal(rows[0][visible], rows[1][visible])
