"""Arrays and Pillow images get the same treatment as files."""

import numpy as np
import pytest
from icc_profiles import DISPLAY_P3, SRGB_CURVE, rgb_profile
from picture_tools import encoded, noise, smooth
from PIL import Image

from srcli.errors import ImageError
from srcli.io.arrays import from_array, from_pil, to_array, to_pil
from srcli.io.encode import WriteOptions
from srcli.io.pictures import open_picture
from srcli.io.spool import Spool


def identity(picture, to, **options):
    page = picture.page(0)
    with Spool.create(page.height, page.width, 3, "float32") as spool:
        spool.write_rows(0, page.read_rows(0, page.height))
        size = (page.height, page.width)
        return to(picture, [(spool, None)], WriteOptions(size=size, **options))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 1), (9, 8, 2), (9, 8, 3), (9, 8, 4)])
def test_an_array_comes_back_with_its_dtype_and_channels(shape, dtype):
    array = noise(*shape, dtype=np.uint16 if dtype == "uint16" else np.uint8)
    array = (array / 255).astype(np.float32) if dtype == "float32" else array
    if len(shape) == 3 and shape[2] in (2, 4):
        array[:, :, -1] = array.max()  # under clear pixels the colour is not kept
    after = identity(from_array(array), to_array)
    assert after.dtype == array.dtype
    np.testing.assert_allclose(after, array[:, :, 0] if shape[2:] == (1,) else array, atol=1e-6)


def test_an_array_is_the_same_picture_as_a_file():
    rows = [
        p.page(0).read_rows(0, 20)
        for p in (from_array(smooth(20, 30)), open_picture(encoded(smooth(20, 30), "PNG")))
    ]
    np.testing.assert_array_equal(rows[0], rows[1])


@pytest.mark.parametrize("dtype", [">u2", "<u2", ">f4", ">f8"])
def test_the_order_of_bytes_in_an_array_does_not_matter(dtype):
    levels = noise(9, 7, 3, dtype=np.uint16)
    pixels = (levels if "u" in dtype else levels / 65535).astype(dtype)
    assert np.allclose(from_array(pixels).page(0).read_rows(0, 9), levels / 65535)


def test_the_array_may_change_afterwards():
    array = smooth(20, 30)
    picture = from_array(array)
    array[:] = 0
    np.testing.assert_allclose(picture.page(0).read_rows(0, 20) * 255, smooth(20, 30), atol=1e-4)


@pytest.mark.parametrize(
    "wrong", [np.zeros((9, 8), int), np.zeros(9), np.zeros((9, 8, 5)), np.zeros((0, 8))]
)
def test_an_array_that_is_no_picture_is_refused(wrong):
    with pytest.raises(ImageError, match="is no picture"):
        from_array(wrong)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "F"])
def test_a_pillow_image_comes_back_in_its_mode(mode):
    array = {"I;16": noise(20, 30, dtype=np.uint16), "F": noise(20, 30).astype(np.float32) / 255}
    image = Image.fromarray(array[mode] if mode in array else smooth(20, 30))
    image = image if mode in array else image.convert(mode)
    after = identity(from_pil(image), to_pil)
    assert (after.mode, after.size) == (mode, image.size)
    np.testing.assert_allclose(np.asarray(after), np.asarray(image), atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "expected"), [("1", "L"), ("P", "RGB"), ("CMYK", "RGB"), ("YCbCr", "RGB")]
)
def test_other_modes_become_the_nearest_plain_one(mode, expected):
    image = Image.fromarray(smooth(20, 30)).convert(mode)
    assert identity(from_pil(image), to_pil).mode == expected


def test_a_pillow_image_keeps_profile_and_exif_and_is_turned():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    profile = rgb_profile(DISPLAY_P3, SRGB_CURVE)
    data = encoded(smooth(20, 30), "PNG", exif=exif, icc_profile=profile)
    import io

    after = identity(from_pil(Image.open(io.BytesIO(data))), to_pil)
    assert after.size == (20, 30)
    assert after.info["icc_profile"] == profile
    assert (after.getexif()[0x010F], after.getexif().get(0x0112, 1)) == ("Maker", 1)
