"""imresize against the dense weight matrix of its definition, Pillow and PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from srcli.degradations.resize import Filter, quantize, rescale, resize


def keys(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def triangle(x: float) -> float:
    return max(0.0, 1 - abs(x))


def lanczos(x: float) -> float:
    return float(np.sinc(x) * np.sinc(x / 3)) if abs(x) < 3 else 0.0


KERNELS = {
    Filter.BICUBIC: (keys, 2),
    Filter.BILINEAR: (triangle, 1),
    Filter.LANCZOS3: (lanczos, 3),
}


def mirrored(position: int, length: int) -> int:
    while not 0 <= position < length:
        position = -1 - position if position < 0 else 2 * length - 1 - position
    return position


def by_definition(inputs: int, outputs: int, scale: float, filter: Filter) -> np.ndarray:
    """The matrix whose product with an axis is imresize, one weight after another."""
    kernel, radius = KERNELS[filter]
    stretch = min(scale, 1.0)
    matrix = np.zeros((outputs, inputs))
    for row in range(outputs):
        centre = (row + 0.5) / scale - 0.5
        reach = math.ceil(radius / stretch) + 1
        for position in range(math.floor(centre) - reach, math.floor(centre) + reach + 1):
            weight = kernel((centre - position) * stretch)
            matrix[row, mirrored(position, inputs)] += weight
        matrix[row] /= matrix[row].sum()
    return matrix


@pytest.mark.parametrize("filter", KERNELS)
@given(height=st.integers(1, 90), width=st.integers(1, 20), factor=st.floats(0.13, 3.7))
@settings(max_examples=25, deadline=None)
def test_resizing_is_the_product_with_the_weights_of_the_definition(filter, height, width, factor):
    image = torch.rand(height, width, dtype=torch.float64)
    rows = by_definition(height, math.ceil(height * factor - 1e-9), factor, filter)
    columns = by_definition(width, math.ceil(width * factor - 1e-9), factor, filter)
    expected = torch.from_numpy(rows) @ image @ torch.from_numpy(columns).T
    torch.testing.assert_close(rescale(image, factor, filter=filter), expected)


def test_the_weights_of_a_quarter_are_sixteen_exact_fractions():
    side = [-7, -45, -75, -49, 93, 399, 745, 987]  # 4096 keys((2k + 1) / 8) / 4
    weights = resize(torch.eye(32, dtype=torch.float64), (32, 8))[:, 3] * 4096
    expected = torch.tensor([0] * 6 + side + side[::-1] + [0] * 10, dtype=torch.float64)
    torch.testing.assert_close(weights, expected)


def test_area_is_the_mean_over_the_footprint():
    image = torch.tensor([[0.0, 3.0, 6.0, 9.0, 12.0]])
    halves = resize(image, (1, 2), filter=Filter.AREA)
    torch.testing.assert_close(halves, torch.tensor([[(0 + 3 + 6 / 2) / 2.5, (6 / 2 + 21) / 2.5]]))


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_area_by_a_whole_factor_is_average_pooling(factor):
    image = torch.rand(2, 3, 30, 60)
    shrunk = resize(image, (30 // factor, 60 // factor), filter=Filter.AREA)
    torch.testing.assert_close(shrunk, F.avg_pool2d(image, factor))


@pytest.mark.parametrize("size", [(7, 9), (31, 64)])
def test_bilinear_without_antialiasing_is_pytorchs(size):
    image = torch.rand(1, 2, 20, 33)
    expected = F.interpolate(image, size=size, mode="bilinear")
    plain = resize(image, size, filter=Filter.BILINEAR, antialias=False)
    torch.testing.assert_close(plain, expected)


@pytest.mark.parametrize(
    ("filter", "pillow"),
    [
        (Filter.BICUBIC, Image.Resampling.BICUBIC),
        (Filter.BILINEAR, Image.Resampling.BILINEAR),
        (Filter.LANCZOS3, Image.Resampling.LANCZOS),
        (Filter.AREA, Image.Resampling.BOX),
    ],
)
def test_pillow_agrees_away_from_the_border(filter, pillow):
    image = torch.rand(64, 80)
    theirs = np.asarray(Image.fromarray(image.numpy()).resize((20, 16), pillow))
    ours = resize(image, (16, 20), filter=filter).numpy()
    # Pillow cuts the kernel at the border where MATLAB mirrors the picture.
    np.testing.assert_allclose(ours[4:-4, 4:-4], theirs[4:-4, 4:-4], atol=1e-5)


@pytest.mark.parametrize("filter", Filter)
@given(size=st.tuples(st.integers(1, 300), st.integers(1, 40)))
@settings(max_examples=15, deadline=None)
def test_a_flat_picture_stays_flat_at_any_size(filter, size):
    flat = resize(torch.full((1, 3, 77, 5), 0.3), size, filter=filter)
    torch.testing.assert_close(flat, torch.full((1, 3, *size), 0.3))


@pytest.mark.parametrize("filter", Filter)
def test_the_gradient_is_that_of_finite_differences(filter):
    image = torch.rand(1, 1, 9, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: resize(x, (4, 10), filter=filter), image)


def test_autocast_does_not_coarsen_the_picture():
    image = torch.rand(1, 3, 40, 40)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(resize(image, (10, 10)), rescale(image, 0.25))


def test_a_size_gets_no_extra_pixel_from_a_rounding_error():
    assert rescale(torch.zeros(10, 30), 1.1).shape == (11, 33)


def test_quantizing_rounds_halves_up_and_clips():
    levels = torch.tensor([-0.2, 0.5 / 255, 1.4999 / 255, 2.5 / 255, 1.7], dtype=torch.float64)
    assert quantize(levels).mul(255).round().tolist() == [0, 1, 1, 3, 255]


def test_sizes_met_first_without_gradients_have_gradients_later():
    image = torch.rand(1, 1, 11, 5, dtype=torch.float64)
    with torch.inference_mode():
        resize(image, (3, 2))
    assert torch.autograd.gradcheck(lambda x: resize(x, (3, 2)), image.requires_grad_())
