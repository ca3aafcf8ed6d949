"""Noise of each picture of a batch, with its own strength; gray noise is equal in all channels."""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # BT.601, as in torchvision's rgb_to_grayscale
LEVELS = 256


def add_gaussian(
    image: Tensor, sigma: Tensor, *, gray: Tensor, generator: torch.Generator
) -> Tensor:
    """Add normal noise to (N, 3, H, W) in [0, 1] and clip.

    `sigma` (N,) is its standard deviation in levels of 255; `gray` (N,) is boolean. The
    generator lives on the picture's device.
    """
    noise = torch.empty_like(image).normal_(generator=generator)
    noise = torch.where(_each(gray), noise[:, :1], noise)
    return (image + noise * _each(sigma) / 255).clamp(0, 1)


def add_poisson(
    image: Tensor, strength: Tensor, *, gray: Tensor, generator: torch.Generator
) -> Tensor:
    """Add the noise of counting photons to (N, 3, H, W) in [0, 1], `strength` (N,) times; clip.

    White is as many photons as the picture has different 8-bit levels, rounded up to a power of
    two (Real-ESRGAN's choice), so a flat picture is noisier than a rich one. `gray` (N,) is
    boolean: then the luma is counted.
    """
    weights = image.new_tensor(LUMA).view(1, 3, 1, 1)
    luma = (image * weights).sum(dim=1, keepdim=True).expand_as(image)
    clean = torch.where(_each(gray), luma, image).clamp(0, 1).mul(255).round().div(255)
    white = _photons(clean)
    noise = torch.poisson(clean * white, generator=generator) / white - clean
    noise = torch.where(_each(gray), noise[:, :1], noise)
    return (image + noise * _each(strength)).clamp(0, 1)


def _each(parameter: Tensor) -> Tensor:
    return parameter.view(-1, 1, 1, 1)


def _photons(image: Tensor) -> Tensor:
    """2^ceil(log2 of the number of different 8-bit levels) of each picture, (N, 1, 1, 1)."""
    levels = image.mul(LEVELS - 1).round().long().flatten(1)
    # Counted without `unique`, whose size would make a GPU wait for the host.
    is_used = torch.zeros(len(image), LEVELS, device=image.device).scatter_(1, levels, 1.0)
    return _each(is_used.sum(dim=1).log2().ceil().exp2())
