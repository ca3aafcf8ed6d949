"""What a network is given of a picture: rows of sRGB floats, whatever the file."""

import io

import numpy as np
import pytest
from picture_tools import encoded, noise

from srcli.errors import ImageError
from srcli.io.alpha import AlphaKind
from srcli.io.formats import PictureFormat
from srcli.io.pictures import open_picture


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_rows_are_the_samples_divided_by_their_range(kind):
    pixels = noise(50, 40, 3)
    page = open_picture(encoded(pixels, kind)).page(0)
    np.testing.assert_allclose(page.read_rows(0, 50), pixels / np.float32(255), rtol=1e-6)


def test_overlapping_windows_give_the_same_rows_as_the_whole():
    page = open_picture(encoded(noise(90, 20, 3), "PNG")).page(0)
    whole = page.read_rows(0, 90)
    for start in range(0, 60, 7):
        np.testing.assert_array_equal(page.read_rows(start, start + 30), whole[start : start + 30])


def test_a_page_can_be_read_again_from_the_top():
    page = open_picture(encoded(noise(90, 20, 3), "PNG")).page(0)
    first = page.read_rows(60, 90)
    page.rewind()
    page.read_rows(0, 10)
    np.testing.assert_array_equal(page.read_rows(60, 90), first)


def test_a_stream_is_read_as_a_file():
    data = encoded(noise(9, 8, 3), "JPEG")
    picture = open_picture(io.BytesIO(data))
    assert (picture.format, picture.height, picture.width) == (PictureFormat.JPEG, 9, 8)


def test_the_content_counts_not_the_name(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(noise(9, 8, 3), "JPEG"))
    assert open_picture(path).format is PictureFormat.JPEG


def test_gray_is_given_in_three_equal_channels():
    picture = open_picture(encoded(noise(9, 8), "PNG"))
    rows = picture.page(0).read_rows(0, 9)
    assert picture.is_gray
    assert rows.shape == (9, 8, 3)
    assert (rows == rows[:, :, :1]).all()


def test_a_dark_16_bit_picture_stays_16_bit():
    pixels = noise(20, 10, dtype=np.uint16, top=200)
    picture = open_picture(encoded(pixels, "PNG"))
    assert picture.dtype == "uint16"
    rows = picture.page(0).read_rows(0, 20)
    np.testing.assert_allclose(rows[:, :, 0], pixels / np.float32(65535), rtol=1e-6)


@pytest.mark.parametrize(
    ("alpha", "kind"),
    [(np.full((9, 8), 77), AlphaKind.CONSTANT), (np.eye(9, 8) * 255, AlphaKind.VARYING)],
)
def test_alpha_is_known_as_constant_or_varying(alpha, kind):
    pixels = np.dstack([noise(9, 8, 3), alpha.astype(np.uint8)])
    assert open_picture(encoded(pixels, "PNG")).alpha is kind


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(ImageError, match="does not exist"):
        open_picture(tmp_path / "none.png")
