"""The statistics of the noise."""

from __future__ import annotations

import pytest
import torch

from srcli.degradations.noise import add_gaussian, add_poisson

COLOUR, GRAY = torch.tensor([False]), torch.tensor([True])
SHAPE = (1, 3, 200, 200)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(level: float, batch: int = 1) -> torch.Tensor:
    return torch.full((batch, *SHAPE[1:]), level)


@pytest.mark.parametrize("sigma", [1.0, 12.0, 25.0])
@pytest.mark.parametrize("gray", [COLOUR, GRAY])
def test_gaussian_noise_has_its_mean_and_deviation(sigma, gray):
    noise = add_gaussian(flat(0.5), torch.tensor([sigma]), gray=gray, generator=generator()) - 0.5
    # 40 000 values at least: five standard errors of the mean and of the deviation.
    assert noise.mean().mul(255).item() == pytest.approx(0, abs=5 * sigma / 200)
    assert noise.std().mul(255).item() == pytest.approx(sigma, rel=5 / 280)


def test_gray_noise_is_equal_in_the_channels_and_colour_noise_independent():
    both = torch.tensor([True, False])
    noise = add_gaussian(flat(0.5, 2), torch.full((2,), 9.0), gray=both, generator=generator())
    gray, colour = noise - 0.5
    torch.testing.assert_close(gray[0], gray[2])
    assert torch.corrcoef(colour.flatten(1))[0, 1:].abs().max() < 5 / 200


def test_each_picture_has_its_own_strength():
    sigma = torch.tensor([2.0, 20.0])
    noise = add_gaussian(flat(0.5, 2), sigma, gray=COLOUR.expand(2), generator=generator()) - 0.5
    torch.testing.assert_close(noise.std(dim=(1, 2, 3)) * 255, sigma, rtol=0.02, atol=0)


def test_poisson_noise_has_the_variance_of_counted_photons():
    halves = torch.cat([flat(51 / 255)[..., :100], flat(204 / 255)[..., 100:]], dim=-1)
    noise = add_poisson(halves, torch.ones(1), gray=COLOUR, generator=generator()) - halves
    # Two levels make two photons of white, so that brightness p has variance p / 2; clipping at
    # white and black takes from it: only the dark half, where a count above two is rare, is exact.
    counts = torch.poisson(torch.full((400_000,), 0.4), generator=generator(1)) / 2
    expected = (counts.clamp(max=1)).std()
    assert noise[..., :100].std().item() == pytest.approx(expected.item(), rel=0.03)


def test_a_rich_picture_has_less_poisson_noise_than_its_levels_alone():
    ramp = torch.arange(256).div(255).view(1, 1, 1, 256).expand(1, 3, 256, 256)
    noise = add_poisson(ramp, torch.ones(1), gray=COLOUR, generator=generator()) - ramp
    deviation = noise[..., 128].std().item()
    assert deviation == pytest.approx((128 / 255 / 256) ** 0.5, rel=5 / 39)  # 768 values


def test_the_strength_multiplies_poisson_noise():
    ramp = torch.arange(256).div(255).view(1, 1, 1, 256).expand(1, 3, 64, 256)
    weak, strong = (
        add_poisson(ramp, torch.tensor([strength]), gray=GRAY, generator=generator()) - ramp
        for strength in (0.5, 1.0)
    )
    middle = slice(100, 150)  # far from where noise is clipped
    torch.testing.assert_close(2 * weak[..., middle], strong[..., middle])


def test_gray_poisson_noise_is_equal_in_the_channels():
    image = torch.rand(SHAPE) * 0.2 + 0.4
    noise = add_poisson(image, torch.tensor([0.2]), gray=GRAY, generator=generator()) - image
    torch.testing.assert_close(noise[:, 0], noise[:, 1])


def test_noise_never_leaves_the_range_and_never_changes_its_input():
    image = torch.rand(SHAPE)
    before = image.clone()
    for add in (add_gaussian, add_poisson):
        noisy = add(image, torch.tensor([30.0]), gray=COLOUR, generator=generator())
        assert 0 <= noisy.min() <= noisy.max() <= 1
    assert torch.equal(image, before)
