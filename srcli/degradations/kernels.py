"""Blur kernels as (size, size) float32 tensors that sum to one; size is odd, lengths in pixels.

All but `sinc` are functions of the squared elliptical distance q = x' S^-1 x with
S = R diag(sigma_x^2, sigma_y^2) R' (Real-ESRGAN, arXiv:2107.10833, section 3.1):

    Gaussian      exp(-q / 2)
    generalised   exp(-q^shape / 2)      shape < 1 pointed with long tails, > 1 flat and steep
    plateau       1 / (1 + q^shape)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def isotropic(size: int, sigma: float) -> Tensor:
    """The round Gaussian.

    >>> float(isotropic(3, 0.5).sum())
    1.0
    """
    return anisotropic(size, sigma, sigma, 0.0)


def anisotropic(size: int, sigma_x: float, sigma_y: float, rotation: float) -> Tensor:
    """The elliptical Gaussian, its x axis turned by `rotation` radians towards y (down)."""
    return _normalised(torch.exp(-0.5 * _squared_distance(size, sigma_x, sigma_y, rotation)))


def generalised(size: int, sigma_x: float, sigma_y: float, rotation: float, shape: float) -> Tensor:
    """The generalised Gaussian: the Gaussian at `shape` 1, a flat ellipse as `shape` grows."""
    distance = _squared_distance(size, sigma_x, sigma_y, rotation)
    return _normalised(torch.exp(-0.5 * distance**shape))


def plateau(size: int, sigma_x: float, sigma_y: float, rotation: float, shape: float) -> Tensor:
    """The plateau-shaped kernel, with tails far heavier than a Gaussian's."""
    distance = _squared_distance(size, sigma_x, sigma_y, rotation)
    return _normalised(1 / (1 + distance**shape))


def sinc(size: int, cutoff: float) -> Tensor:
    """The circular ideal low-pass, cut off to a square: it rings, like oversharpening and JPEG.

    `cutoff` is the highest angular frequency that passes, in radians per pixel, at most pi
    (formula 6 of arXiv:2107.10833, J1 the Bessel function): cutoff J1(cutoff r) / (2 pi r).
    """
    x, y = _grid(size)
    radius = torch.hypot(x, y)
    centre = radius == 0
    radius[centre] = 1.0
    kernel = cutoff * torch.special.bessel_j1(cutoff * radius) / (2 * math.pi * radius)
    kernel[centre] = cutoff**2 / (4 * math.pi)
    return _normalised(kernel)


def _grid(size: int) -> tuple[Tensor, Tensor]:
    if size < 1 or size % 2 == 0:
        raise ValueError(f"a kernel has an odd size, not {size}")
    axis = torch.arange(size, dtype=torch.float64) - size // 2
    return axis.expand(size, size), axis.unsqueeze(1).expand(size, size)


def _squared_distance(size: int, sigma_x: float, sigma_y: float, rotation: float) -> Tensor:
    x, y = _grid(size)
    cosine, sine = math.cos(rotation), math.sin(rotation)
    along, across = cosine * x + sine * y, cosine * y - sine * x
    return (along / sigma_x) ** 2 + (across / sigma_y) ** 2


def _normalised(kernel: Tensor) -> Tensor:
    return (kernel / kernel.sum()).float()
