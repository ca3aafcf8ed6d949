"""What a decoder reads from lives as long as its rows are read."""

import gc
import io

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
