"""Blur kernels: normalised, symmetric, and right in their limits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from srcli.degradations import kernels

sizes = st.integers(1, 11).map(lambda half: 2 * half + 1)
sigmas = st.floats(0.2, 5)
angles = st.floats(-math.pi, math.pi)
shapes = st.floats(0.5, 4)
drawn = st.one_of(
    st.builds(kernels.isotropic, sizes, sigmas),
    st.builds(kernels.anisotropic, sizes, sigmas, sigmas, angles),
    st.builds(kernels.generalised, sizes, sigmas, sigmas, angles, shapes),
    st.builds(kernels.plateau, sizes, sigmas, sigmas, angles, shapes),
    st.builds(kernels.sinc, sizes, st.floats(math.pi / 5, math.pi)),
)


@given(drawn)
def test_a_kernel_sums_to_one(kernel):
    assert kernel.double().sum().item() == pytest.approx(1, abs=1e-6)


@given(drawn)
def test_a_kernel_is_the_same_upside_down(kernel):
    torch.testing.assert_close(kernel, kernel.flip(0, 1))


@given(sizes, sigmas)
def test_the_isotropic_kernel_is_the_product_of_two_gaussians(size, sigma):
    position = torch.arange(size, dtype=torch.float64) - size // 2
    profile = torch.exp(-(position**2) / (2 * sigma**2))
    expected = torch.outer(profile, profile) / profile.sum() ** 2
    torch.testing.assert_close(kernels.isotropic(size, sigma), expected.float())


@given(sizes, sigmas, sigmas, angles)
def test_a_generalised_kernel_of_shape_one_is_gaussian(size, sigma_x, sigma_y, angle):
    gaussian = kernels.anisotropic(size, sigma_x, sigma_y, angle)
    torch.testing.assert_close(kernels.generalised(size, sigma_x, sigma_y, angle, 1.0), gaussian)


@given(sizes, sigmas, sigmas)
def test_a_quarter_turn_swaps_the_axes(size, sigma_x, sigma_y):
    turned = kernels.anisotropic(size, sigma_x, sigma_y, math.pi / 2)
    torch.testing.assert_close(turned, kernels.anisotropic(size, sigma_y, sigma_x, 0.0))


def test_the_first_sigma_lies_along_the_rows_and_turns_downwards():
    wide = kernels.anisotropic(11, 3.0, 1.0, 0.0)
    assert wide[5, 8] > wide[8, 5]
    tilted = kernels.anisotropic(11, 3.0, 1.0, math.pi / 4)
    assert tilted[8, 8] > tilted[2, 8]


def test_a_generalised_kernel_of_great_shape_is_a_flat_disk():
    disk = kernels.generalised(15, 5.2, 5.2, 0.0, 400.0)
    y, x = torch.meshgrid(torch.arange(-7, 8), torch.arange(-7, 8), indexing="ij")
    expected = (x**2 + y**2 < 5.2**2).float()
    torch.testing.assert_close(disk, expected / expected.sum())


def test_the_plateau_falls_as_its_formula_says():
    kernel = kernels.plateau(9, 2.0, 2.0, 0.0, 1.5)
    assert (kernel[4, 8] / kernel[4, 4]).item() == pytest.approx(1 / (1 + (4 / 2) ** 3))


@pytest.mark.parametrize("cutoff", [math.pi / 4, math.pi / 2])
def test_the_sinc_passes_low_frequencies_and_stops_high_ones(cutoff):
    kernel = kernels.sinc(101, cutoff)
    response = torch.fft.fft2(kernel.double(), s=(256, 256)).abs()
    frequency = torch.fft.fftfreq(256, dtype=torch.float64) * 2 * math.pi
    radius = torch.hypot(frequency.unsqueeze(1), frequency)
    # The kernel ends after 50 px, so its edge in frequency is some 2 pi / 50 wide, and it ripples.
    assert (response[radius < cutoff - 0.2] - 1).abs().max() < 0.1
    assert response[radius > cutoff + 0.2].max() < 0.1


def test_an_even_size_is_refused():
    with pytest.raises(ValueError, match="odd"):
        kernels.isotropic(4, 1.0)
