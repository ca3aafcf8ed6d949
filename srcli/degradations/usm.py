"""Unsharp masking of the target: networks trained towards it give crisper pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from srcli.degradations.blur import blur

# OpenCV's getGaussianKernel(51, sigma=0) takes 0.3 * ((51 - 1) / 2 - 1) + 0.8 as sigma: a window
# of 51 px with sigma 8, which Real-ESRGAN calls radius 50.
WINDOW = 51
SIGMA = 8.0


def sharpen(image: Tensor, *, amount: float = 0.5, threshold: float = 10.0) -> Tensor:
    """Sharpen (N, C, H, W) in [0, 1] where it differs by more than `threshold` levels of 255.

    Real-ESRGAN's target (arXiv:2107.10833, section 3.4): picture + amount (picture - blurred),
    clipped, blended in by a mask that is itself blurred so that it has no edge.
    """
    position = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    profile = torch.exp(-0.5 * (position / SIGMA) ** 2)
    profile = profile / profile.sum()
    kernels = torch.outer(profile, profile).expand(len(image), -1, -1)
    residual = image - blur(image, kernels)
    mask = (residual.abs() * 255 > threshold).to(image.dtype)
    softness = blur(mask, kernels)
    sharpened = (image + amount * residual).clamp(0, 1)
    return torch.lerp(image, sharpened, softness)
