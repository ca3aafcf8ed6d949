"""Distances between pictures, pixel by pixel, and the distances other terms use on features."""

from __future__ import annotations

from functools import partial
from typing import Protocol, assert_never

import torch
from torch import Tensor, nn

from srcli.losses.choices import Channels, Criterion

CHARBONNIER_EPS = 1e-3  # LapSRN, arXiv:1704.03915
LUMA_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R BT.601, full range


class Distance(Protocol):
    """A differentiable distance of two tensors of one shape: a mean over all elements."""

    def __call__(self, restored: Tensor, target: Tensor, /) -> Tensor: ...


def precise(values: Tensor) -> Tensor:
    """Half precision as fp32, everything else as it is.

    A mean of small squares underflows in fp16, and bf16 keeps eight bits of a difference.
    """
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def difference(restored: Tensor, target: Tensor) -> Tensor:
    """restored - target in at least fp32; ValueError where broadcasting would hide a mistake."""
    if restored.shape != target.shape:
        message = f"restored {tuple(restored.shape)} is not shaped as target {tuple(target.shape)}"
        raise ValueError(message)
    return precise(restored) - precise(target)


def l1(restored: Tensor, target: Tensor) -> Tensor:
    """Mean of |d|, d = restored - target; any shape -> ().

    >>> l1(torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.5])).item()
    0.5
    """
    return difference(restored, target).abs().mean()


def mse(restored: Tensor, target: Tensor) -> Tensor:
    """Mean of d², d = restored - target; any shape -> ().

    >>> mse(torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.5])).item()
    0.25
    """
    return difference(restored, target).square().mean()


def charbonnier(restored: Tensor, target: Tensor, *, eps: float = CHARBONNIER_EPS) -> Tensor:
    """Mean of sqrt(d² + eps²), an L1 that is smooth at zero (arXiv:1704.03915); any shape -> ().

    BasicSR adds its `eps` without squaring it: its 1e-12 is 1e-6 here.

    >>> charbonnier(torch.zeros(2), torch.zeros(2), eps=0.25).item()
    0.25
    """
    return difference(restored, target).square().add(eps**2).sqrt().mean()


def distance(criterion: Criterion, *, eps: float = CHARBONNIER_EPS) -> Distance:
    """The distance of a name; `eps` is used by Charbonnier only."""
    match criterion:
        case "l1":
            return l1
        case "mse":
            return mse
        case "charbonnier":
            return partial(charbonnier, eps=eps)
        case _:
            assert_never(criterion)


def luma(image: Tensor) -> Tensor:
    """BT.601 luma in full range: (N, 3, H, W) in [0, 1] -> (N, 1, H, W) in [0, 1].

    The Y of published tables is 219/255 of it, plus 16/255.
    """
    image = precise(image)
    red, green, blue = image[:, 0:1], image[:, 1:2], image[:, 2:3]
    return LUMA_WEIGHTS[0] * red + LUMA_WEIGHTS[1] * green + LUMA_WEIGHTS[2] * blue


class PixelLoss(nn.Module):
    """L1, MSE or Charbonnier of pictures: (N, 3, H, W) twice, in [0, 1] -> ().

    With channels="luma" only the luma counts, which is what PSNR-Y measures.
    """

    def __init__(
        self,
        criterion: Criterion = "l1",
        *,
        channels: Channels = "rgb",
        eps: float = CHARBONNIER_EPS,
    ) -> None:
        super().__init__()
        self.distance = distance(criterion, eps=eps)
        self.channels = channels

    def forward(self, restored: Tensor, target: Tensor) -> Tensor:
        if self.channels == "luma":
            restored, target = luma(restored), luma(target)
        return self.distance(restored, target)
