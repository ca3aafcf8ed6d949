"""Figures of a difference, against the metrics that compute in another way."""

import numpy as np
import pytest
import torch

from srcli.metrics.fidelity import psnr
from srcli.reports.difference import difference, enlarged


@pytest.fixture
def pictures():
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (2, 600, 30, 3), dtype=np.uint8)


def test_the_figures_are_those_of_whole_arrays(pictures):
    first, second = pictures
    found = difference(first, second)
    error = np.abs(first.astype(float) - second)
    batch = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    assert found.psnr == pytest.approx(float(psnr(batch[:1], batch[1:])))
    assert (found.mean, found.largest) == (pytest.approx(error.mean()), error.max())
    assert found.changed == error.any(axis=2).mean()


def test_equal_pictures_do_not_differ(pictures):
    found = difference(pictures[0], pictures[0])
    assert (found.psnr, found.mean, found.largest, found.changed) == (np.inf, 0, 0, 0)


def test_enlarging_by_a_whole_factor_repeats_pixels(pictures):
    small = pictures[0][:4, :5]
    blocks = small.repeat(3, axis=0).repeat(3, axis=1)
    np.testing.assert_array_equal(enlarged(small, 12, 15), blocks)


def test_enlarging_by_a_fraction_takes_the_pixel_under_the_centre():
    row = np.array([[[0] * 3, [1] * 3]], np.uint8)
    assert enlarged(row, 1, 3)[0, :, 0].tolist() == [0, 1, 1]
