"""Filtering with a kernel per picture, and the sharpened target."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srcli.degradations.blur import blur
from srcli.degradations.usm import sharpen


def by_definition(plane: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    rows, columns = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = np.pad(plane, ((rows, rows), (columns, columns)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape)
    return np.asarray((windows * kernel).sum(axis=(2, 3)))


@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([1, 3, 7, 21]))
@settings(max_examples=30, deadline=None)
def test_blur_is_a_correlation_however_small_the_picture(height, width, size):
    images, kernels = torch.rand(2, 3, height, width).double(), torch.rand(2, size, size).double()
    blurred = blur(images, kernels)
    for image, kernel, result in zip(images, kernels, blurred, strict=True):
        expected = [by_definition(plane.numpy(), kernel.numpy()) for plane in image]
        np.testing.assert_allclose(result, np.stack(expected))


def test_the_identity_kernel_changes_nothing():
    kernel = torch.zeros(2, 5, 5)
    kernel[:, 2, 2] = 1
    images = torch.rand(2, 3, 9, 4)
    torch.testing.assert_close(blur(images, kernel), images)


def test_the_gradient_is_that_of_finite_differences():
    image = torch.rand(1, 2, 6, 5, dtype=torch.float64, requires_grad=True)
    kernel = torch.rand(1, 3, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: blur(x, kernel), image)


def test_sharpening_leaves_a_flat_picture_and_faint_texture_alone():
    faint = 0.5 + torch.rand(1, 3, 40, 40) * 10 / 255
    torch.testing.assert_close(sharpen(faint), faint)


def test_sharpening_widens_a_step_edge():
    image = torch.full((1, 3, 60, 60), 0.3)
    image[..., 30:] = 0.7
    sharpened = sharpen(image)
    assert sharpened[..., 30].mean() > 0.75
    assert sharpened[..., 29].mean() < 0.25
    assert sharpened.min() >= 0


def test_sharpening_is_the_formula_of_real_esrgan():
    position = np.arange(51) - 25
    profile = np.exp(-(position**2) / (2 * 8.0**2))
    kernel = np.outer(profile, profile) / profile.sum() ** 2
    plane = torch.rand(40, 30, dtype=torch.float64)
    image = plane.numpy()
    residual = image - by_definition(image, kernel)
    softness = by_definition((np.abs(residual) * 255 > 10).astype(float), kernel)
    sharp = np.clip(image + 0.5 * residual, 0, 1)
    expected = softness * sharp + (1 - softness) * image
    np.testing.assert_allclose(sharpen(plane.expand(1, 3, 40, 30))[0, 0], expected, atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (3, 2)])
def test_the_smallest_pictures_can_be_sharpened(size):
    assert sharpen(torch.rand(1, 3, *size)).isfinite().all()
