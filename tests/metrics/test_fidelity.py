"""PSNR and SSIM against scikit-image, and the bicubic row of the published tables."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import metrics as skimage_metrics

from srcli.degradations.resize import quantize, rescale
from srcli.errors import ConfigError, ImageError
from srcli.metrics.fidelity import Channels, Protocol, crop_border, luma, measure, psnr, ssim

SHARED = Path(os.environ.get("SRCLI_SHARED", Path(__file__).parents[2].parent / "shared"))
SET5 = SHARED / "testsets" / "Set5"
RGB = Protocol(channels=Channels.RGB)


def pair(height: int, width: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    target = chance.uniform(0, 255, (height, width, 3))
    return np.clip(target + chance.normal(0, spread, target.shape), 0, 255), target


def batch(levels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(levels).permute(2, 0, 1).unsqueeze(0)


@given(st.integers(11, 40), st.integers(11, 40), st.floats(0.1, 90))
@settings(max_examples=20, deadline=None)
def test_both_agree_with_scikit_image(height, width, spread):
    restored, target = pair(height, width, spread)
    reference = skimage_metrics.structural_similarity(
        restored,
        target,
        data_range=255,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(batch(restored), batch(target)).item() == pytest.approx(reference, abs=1e-9)
    reference = skimage_metrics.peak_signal_noise_ratio(target, restored, data_range=255)
    assert psnr(batch(restored), batch(target)).item() == pytest.approx(reference)


def test_equal_pictures_have_infinite_psnr_and_an_ssim_of_exactly_one():
    picture = torch.rand(3, 20, 30)
    score = measure(picture, picture.clone(), RGB)
    assert score.psnr == math.inf
    assert score.ssim == 1.0


def test_each_picture_of_a_batch_is_scored_apart():
    restored, target = torch.rand(3, 3, 16, 16), torch.rand(3, 3, 16, 16)
    for metric in (psnr, ssim):
        alone = torch.cat([metric(restored[i : i + 1], target[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(metric(restored, target), alone)


@pytest.mark.parametrize(
    ("rgb", "matlab"),
    [
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),
        ((255, 0, 0), 81),
        ((0, 255, 0), 145),
        ((0, 0, 255), 41),
    ],
)
def test_the_luma_is_matlabs_rgb2ycbcr(rgb, matlab):
    assert luma(torch.tensor(rgb).view(1, 3, 1, 1)).item() == matlab


def test_unrounded_luma_keeps_its_fraction():
    red = torch.tensor([100, 0, 0]).view(1, 3, 1, 1)
    assert luma(red, rounded=False).item() == pytest.approx(16 + 65.481 * 100 / 255)


def test_floating_pictures_are_rounded_to_eight_bits_before_they_are_scored():
    levels = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    almost = levels / 255 + 0.3 / 255
    assert measure(almost, levels, RGB).psnr == math.inf


def test_values_out_of_range_are_clipped_before_they_are_scored():
    bright = torch.ones(3, 16, 16)
    assert measure(bright * 1.7, bright, RGB).psnr == math.inf


def test_the_cropped_border_does_not_count():
    target = torch.rand(3, 30, 30)
    restored = target.clone()
    restored[:, :4] = 0
    assert measure(restored, target, Protocol(crop=4)).psnr == math.inf
    assert measure(restored, target, Protocol(crop=3)).psnr < math.inf


def test_a_gray_picture_is_scored_without_the_lumas_factor():
    restored, target = torch.rand(1, 20, 20), torch.rand(1, 20, 20)
    assert measure(restored, target, Protocol()) == measure(restored, target, RGB)


@pytest.mark.parametrize(
    ("restored", "target", "protocol", "message"),
    [
        ((3, 20, 20), (3, 20, 21), Protocol(), "cannot be compared"),
        ((3, 20, 20), (1, 20, 20), Protocol(), "cannot be compared"),
        ((3, 10, 20), (3, 10, 20), Protocol(), "11 x 11 px"),
        ((3, 20, 20), (3, 20, 20), Protocol(crop=10), "nothing is left"),
    ],
)
def test_what_cannot_be_scored_is_an_error_with_a_reason(restored, target, protocol, message):
    with pytest.raises(ImageError, match=message):
        measure(torch.rand(restored), torch.rand(target), protocol)


def test_a_negative_crop_is_refused():
    with pytest.raises(ConfigError):
        Protocol(crop=-1)


def test_cropping_nothing_is_the_picture():
    picture = torch.rand(3, 2, 2)
    assert torch.equal(crop_border(picture, 0), picture)


@pytest.mark.skipif(not SET5.is_dir(), reason="Set5 is not here (SRCLI_SHARED)")
@pytest.mark.parametrize(
    ("channels", "expected_psnr", "expected_ssim"),
    [
        (Channels.Y, 28.42, 0.8104),  # ESRGAN's table 2 and everybody's first row
        (Channels.Y_UNROUNDED, 28.4314, 0.8113),
        (Channels.RGB, 26.6955, 0.7734),
    ],
)
def test_bicubic_enlargement_of_set5_has_the_published_scores(
    channels, expected_psnr, expected_ssim
):
    scores = []
    for path in sorted(SET5.glob("*.png")):
        target = batch(np.array(Image.open(path)))
        target = target[..., : target.shape[-2] // 4 * 4, : target.shape[-1] // 4 * 4]
        restored = rescale(quantize(rescale(target / 255, 1 / 4)), 4)
        scores.append(measure(restored[0], target[0], Protocol(channels=channels, crop=4)))
    assert np.mean([score.psnr for score in scores]) == pytest.approx(expected_psnr, abs=0.01)
    assert np.mean([score.ssim for score in scores]) == pytest.approx(expected_ssim, abs=0.0015)
