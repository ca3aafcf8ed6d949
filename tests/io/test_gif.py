"""What the images of a GIF really paint, counted without decoding them."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from srcli.errors import ImageError
from srcli.io.gif import gif_images, painted_pixels
from srcli.io.pictures import open_picture

HUGE = 1 << 40


def gif(pixels, colours=256, **options):
    image = Image.fromarray(np.asarray(pixels, np.uint8)).convert("P")
    image.putpalette(bytes(range(colours)) * 3)
    buffer = io.BytesIO()
    image.save(buffer, "GIF", **options)
    return buffer.getvalue()


def canvas_of(data, width, height):
    return data[:6] + struct.pack("<HH", width, height) + data[10:]


def image_of(data, width, height):
    place = data.index(b"\x2c\0\0\0\0") + 5
    return data[:place] + struct.pack("<HH", width, height) + data[place + 4 :]


def painted(data, enough=HUGE):
    file = io.BytesIO(data)
    return [painted_pixels(file, image, enough) for image in gif_images(file)]


@pytest.mark.parametrize("size", [(1, 1), (13, 7), (300, 200), (700, 900)])
@pytest.mark.parametrize("colours", [2, 5, 256])
def test_the_codes_of_a_whole_image_stand_for_its_pixels(size, colours):
    noise = np.random.default_rng(0).integers(0, colours, size)
    flat = np.zeros(size)
    drawing = np.arange(size[0])[:, None] // 9 % colours + flat
    for pixels in (noise, flat, drawing):
        lying = image_of(gif(pixels, colours), 60_000, 60_000)
        assert painted(lying) == [pixels.size]


def test_no_more_is_counted_than_the_image_has_and_than_is_asked_for():
    data = gif(np.zeros((90, 80)))
    assert painted(image_of(data, 80, 10)) == [800]
    assert painted(data, enough=33) == [33]


def test_images_of_an_animation_are_each_counted():
    frames = [Image.fromarray(np.full((40, 50), gray, np.uint8)) for gray in (10, 200)]
    data = gif(np.zeros((40, 50)), save_all=True, append_images=frames)
    assert painted(data) == [2000, 2000, 2000]


def test_a_code_that_is_not_there_ends_the_count():
    codes = struct.pack("<Q", 4 | 1 << 3 | 7 << 6 | 1 << 9)[:2]  # clear, 1, one that is not there
    file = io.BytesIO(gif(np.zeros((9, 9)))[:-1] + b"\x2c" + struct.pack("<HHHHB", 0, 0, 9, 9, 0))
    data = file.getvalue() + b"\2\2" + codes + b"\0;"
    assert painted(data)[-1] == 1


def test_a_large_image_of_which_the_data_paint_little_is_refused():
    data = gif(np.random.default_rng(0).integers(0, 256, (300, 400)))
    with pytest.raises(ImageError, match="claims 9,000 x 9,000 pixels, and its data paint 120,000"):
        open_picture(image_of(canvas_of(data, 9000, 9000), 9000, 9000))


@pytest.mark.parametrize(
    ("width", "height", "words"),
    [(23_170, 23_170, "its data paint 291,600"), (23_171, 23_170, "more than libvips decodes")],
)
def test_a_canvas_that_no_decoder_takes_is_refused_as_such(width, height, words):
    data = gif(np.random.default_rng(0).integers(0, 256, (540, 540)))
    with pytest.raises(ImageError, match=words):
        open_picture(image_of(canvas_of(data, width, height), width, height))


def test_a_large_flat_image_is_no_bomb():
    data = gif(np.zeros((4100, 4000)))
    assert len(data) * 200 < 4100 * 4000
    assert open_picture(data).height == 4100


def test_a_small_canvas_may_be_left_empty():
    assert open_picture(canvas_of(gif(np.zeros((9, 9))), 300, 200)).width == 300


@pytest.mark.parametrize("part", [b"\x21\xfe" + b"\1a" * 90 + b"\0", b"\x21\xfe\0"])
def test_a_file_of_nothing_but_tiny_blocks_is_refused_after_some_of_them(part, monkeypatch):
    monkeypatch.setattr("srcli.io.gif._ENOUGH_BLOCKS", 1000)
    whole = gif(np.zeros((9, 9)))
    data = whole[:-1] + part * (40_000 // len(part)) + b";"
    with pytest.raises(ImageError, match="too many blocks"):
        open_picture(data)
    assert open_picture(whole[:-1] + part + b";").width == 9
