"""Sheets of crops: where they look, and what they show."""

import numpy as np
import pytest
from PIL import Image

from srcli.reports.sheet import Box, comparison_sheet, interesting_boxes


@pytest.fixture
def smooth_and_detailed():
    """Equal but for noise in a square of 40 px at (100, 20)."""
    smooth = np.full((120, 200, 3), 128, np.uint8)
    detailed = smooth.copy()
    detailed[20:60, 100:140] = np.random.default_rng(0).integers(79, 178, (40, 40, 3))
    return smooth, detailed


def test_the_first_box_lies_where_one_picture_has_more_detail(smooth_and_detailed):
    box = interesting_boxes(smooth_and_detailed)[0]
    assert 95 <= box.left <= 140 - box.width + 5 and 15 <= box.top <= 60 - box.height + 5


def test_boxes_lie_apart_and_inside(smooth_and_detailed):
    boxes = interesting_boxes(smooth_and_detailed, count=4)
    painted = np.zeros((120, 200), int)
    for box in boxes:
        assert box.cut(painted).shape == (box.height, box.width)
        painted[box.top : box.top + box.height, box.left : box.left + box.width] += 1
    assert painted.max() == 1


def test_a_small_picture_is_one_box():
    picture = np.zeros((10, 14, 3), np.uint8)
    (box, *_) = interesting_boxes((picture, picture))
    assert (box.height, box.width) == (10, 10)


@pytest.mark.parametrize("size", [(120, 200), (200, 120)])
def test_a_sheet_shows_the_pixels_of_every_crop(size):
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
    pictures = [(f"picture {colour}", np.full((*size, 3), colour, np.uint8)) for colour in colours]
    sheet = comparison_sheet(pictures, [Box(10, 10, 50, 50), Box(60, 60, 50, 25)])
    counts = dict((colour, count) for count, colour in sheet.getcolors(sheet.width * sheet.height))
    assert all(counts[colour] > 100_000 for colour in colours)


def test_crops_are_enlarged_without_inventing_levels():
    picture = np.random.default_rng(0).choice([0, 255], (64, 64, 1)).astype(np.uint8)
    checker = picture.repeat(3, axis=2)
    sheet = comparison_sheet([("a", checker), ("b", checker)], [Box(0, 0, 20, 20)])
    crop = sheet.convert("L").crop(
        (sheet.width - 290, sheet.height - 290, sheet.width - 25, sheet.height - 25)
    )
    assert set(np.unique(np.asarray(crop))) == {0, 255}
    assert isinstance(sheet, Image.Image)
