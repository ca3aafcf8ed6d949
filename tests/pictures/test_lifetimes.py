"""What a decoder reads from lives as long as its rows are read."""

import gc
import io
from weakref import ref

import numpy as np
import pytest
from picture_tools import noise
from PIL import Image

from srcli.io.pictures import open_picture

TALL = 2500  # rows: enough that freed memory goes back to the system at once


@pytest.mark.parametrize("kind", ["BMP", "PNG", "TIFF"])
def test_rows_are_those_of_the_file_whatever_happens_between_them(kind):
    pixels, file = noise(TALL, 2500, 3), io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **({"compress_level": 0} if kind == "PNG" else {}))
    page = open_picture(file.getvalue()).page(0)
    del file
    for top in range(0, TALL, 500):
        rows = page.read_rows(top, top + 500)
        assert np.array_equal(np.rint(rows * 255).astype(np.uint8), pixels[top : top + 500])
        gc.collect()


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_picture_that_nobody_needs_is_gone_before_garbage_is_collected(kind):
    """Its pixels and its file do not show in what the collector counts."""
    file = io.BytesIO()
    frames = [Image.fromarray(np.roll(noise(9, 8, 4), 2 * i)) for i in range(3)]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    gc.disable()
    try:
        picture = open_picture(file.getvalue())
        pages = [ref(picture.page(index)) for index in range(picture.pages)]
        for page in map(picture.page, range(picture.pages)):
            page.read_rows(0, 9)
            page.read_alpha_rows(0, 9)
        del picture, page
        assert [page() for page in pages] == [None] * 3
    finally:
        gc.enable()
