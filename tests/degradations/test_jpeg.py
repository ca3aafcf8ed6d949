"""JPEG against libjpeg-turbo, through Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from srcli.degradations.jpeg import _basis, jpeg


def through_pillow(levels: np.ndarray, quality: int) -> np.ndarray:
    memory = io.BytesIO()
    Image.fromarray(levels).save(memory, "JPEG", quality=quality)
    return np.asarray(Image.open(memory)).astype(float)


def through_ours(levels: np.ndarray, quality: int) -> np.ndarray:
    image = torch.from_numpy(levels).permute(2, 0, 1).unsqueeze(0) / 255
    coded = jpeg(image, torch.tensor([float(quality)])).squeeze(0) * 255
    return coded.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("quality", [10, 30, 49, 50, 75, 90, 95, 100])
@pytest.mark.parametrize("picture", ["astronaut", "coffee", "chelsea"])
def test_a_photograph_comes_out_as_libjpeg_makes_it(picture, quality):
    levels = np.ascontiguousarray(getattr(data, picture)()[:251, :333])
    error = np.abs(through_ours(levels, quality) - through_pillow(levels, quality))
    # What differs is a coefficient here and there that falls on the other side of a half, because
    # libjpeg's integer cosines are rounded: then a whole block changes by a quantisation step.
    assert error.mean() < 0.15
    assert (error < 0.01).mean() > 0.88


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (8, 8), (16, 16), (17, 31), (33, 16)])
def test_sizes_that_are_no_multiple_of_a_unit_are_padded_as_libjpeg_pads(size):
    places = [(row, column) for row in range(0, 400, 60) for column in range(0, 400, 60)]
    windows = [data.astronaut()[y : y + size[0], x : x + size[1]].copy() for y, x in places]
    errors = [np.abs(through_ours(levels, 80) - through_pillow(levels, 80)) for levels in windows]
    assert np.mean(errors) < 0.2
    assert np.mean([error[-1].mean() + error[:, -1].mean() for error in errors]) < 0.4


def test_each_picture_of_a_batch_has_its_own_quality():
    images, qualities = torch.rand(3, 3, 20, 30), torch.tensor([20.0, 60.0, 95.0])
    singles = [
        jpeg(image, quality)
        for image, quality in zip(images.split(1), qualities.split(1), strict=True)
    ]
    torch.testing.assert_close(jpeg(images, qualities), torch.cat(singles))


def test_its_arguments_are_left_as_they_are():
    images, qualities = torch.rand(2, 3, 20, 30), torch.tensor([20.0, 60.0])
    before = images.clone(), qualities.clone()
    jpeg(images, qualities)
    assert torch.equal(images, before[0])
    assert torch.equal(qualities, before[1])


def test_a_better_quality_is_nearer_to_the_picture():
    image = torch.from_numpy(data.chelsea()[:128, :128]).permute(2, 0, 1).unsqueeze(0) / 255
    qualities = (10.0, 30.0, 50.0, 70.0, 90.0, 100.0)
    errors = [(jpeg(image, torch.tensor([q])) - image).abs().mean().item() for q in qualities]
    assert errors == sorted(errors, reverse=True)


def test_a_differentiable_one_has_the_same_values():
    image, quality = torch.rand(1, 3, 20, 30), torch.tensor([40.0])
    torch.testing.assert_close(jpeg(image, quality, differentiable=True), jpeg(image, quality))


def test_the_gradient_passes_as_if_nothing_were_rounded():
    flat = torch.full((1, 3, 32, 32), 0.5, dtype=torch.float64, requires_grad=True)
    coded = jpeg(flat, torch.tensor([90.0]), differentiable=True)
    coded.sum().backward()
    # A sum over whole units: halving, doubling and the DCT keep it.
    assert flat.grad is not None
    torch.testing.assert_close(flat.grad.sum().item(), 3.0 * 32 * 32, rtol=1e-6, atol=0)


def test_a_coder_that_was_first_met_without_gradients_has_them_later():
    _basis.cache_clear()
    image = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    with torch.inference_mode():
        jpeg(image, torch.tensor([50.0]))
    jpeg(image.requires_grad_(), torch.tensor([50.0]), differentiable=True).sum().backward()
    assert image.grad.abs().sum() > 0
