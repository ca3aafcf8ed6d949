"""How near a restored picture is to its target: PSNR and SSIM, and the protocol of the tables.

Published tables (Set5, Set14, ...) clamp and round both pictures to 8 bits, cut `scale` pixels
off each side, take MATLAB's luma rounded to whole levels, score each picture and average scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch
import torch.nn.functional as F
from torch import Tensor

from srcli.errors import ConfigError, ImageError

PEAK = 255.0
WINDOW = 11  # px, SSIM
SIGMA = 1.5  # px
LUMA = (65.481, 128.553, 24.966)  # BT.601 "studio" luma of [0, 1], plus 16: MATLAB's rgb2ycbcr


class Channels(StrEnum):
    """What is compared."""

    Y = "y"  # luma rounded to whole levels, as MATLAB does and the tables have it
    Y_UNROUNDED = "y-unrounded"  # as BasicSR does: some hundredths of a dB higher
    RGB = "rgb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """What is compared, and how many pixels at each side are not."""

    channels: Channels = Channels.Y
    crop: int = 0

    def __post_init__(self) -> None:
        if self.crop < 0:
            raise ConfigError(f"impossible crop {self.crop}", hint="use 0 or more pixels")

    def __str__(self) -> str:
        return f"{self.channels}, {self.crop} px cropped at each side"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """The scores of one picture."""

    psnr: float  # dB, infinite for equal pictures
    ssim: float  # at most 1


def measure(restored: Tensor, target: Tensor, protocol: Protocol) -> Fidelity:
    """Score one picture (C, H, W) by the protocol; C is 3, or 1 for a gray one.

    Pictures are uint8, or floating in [0, 1], which is clamped and rounded to 8 bits first. A gray
    picture is scored as it is, without the luma's 219/255: so the tables do with Set14's `bridge`.
    """
    if restored.shape != target.shape:
        raise ImageError(
            f"pictures of {_size(restored)} and {_size(target)} cannot be compared",
            hint="restored and target must have the same size and channels",
        )
    first, second = (prepared(picture, protocol) for picture in (restored, target))
    return Fidelity(psnr=float(psnr(first, second)), ssim=float(ssim(first, second)))


def psnr(restored: Tensor, target: Tensor, *, peak: float = PEAK) -> Tensor:
    """10 log10(peak^2 / mean squared difference) in dB of each picture: (N, C, H, W) -> (N,).

    Computed in float64; infinite where both are equal.

    >>> psnr(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 25.5))
    tensor([20.], dtype=torch.float64)
    """
    error = (restored.double() - target.double()).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(peak**2 / error)


def ssim(restored: Tensor, target: Tensor, *, peak: float = PEAK) -> Tensor:
    """Structural similarity of each picture: (N, C, H, W) -> (N,), the mean over its channels.

    Z. Wang et al., "Image quality assessment: from error visibility to structural similarity",
    2004: windows of 11 x 11 px weighted by a Gaussian of sigma 1.5, only those that lie inside,
    C1 = (0.01 peak)^2, C2 = (0.03 peak)^2, population variance. Computed in float64.
    """
    if min(restored.shape[-2:]) < WINDOW:
        raise ImageError(
            f"SSIM needs {WINDOW} x {WINDOW} px, not {_size(restored)}",
            hint="compare larger pictures, or crop less",
        )
    x, y = restored.double(), target.double()
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x**2
    variance_y = _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).mean(dim=(1, 2, 3))


def luma(levels: Tensor, *, rounded: bool = True) -> Tensor:
    """MATLAB's Y, 16 to 235, of RGB levels 0 to 255: (N, 3, H, W) -> (N, 1, H, W) in float64.

    >>> luma(torch.tensor([0.0, 128.0, 255.0]).view(3, 1, 1, 1).expand(3, 3, 1, 1)).flatten()
    tensor([ 16., 126., 235.], dtype=torch.float64)
    """
    weights = torch.tensor(LUMA, dtype=torch.float64, device=levels.device).view(1, 3, 1, 1)
    brightness = 16 + (levels.double() * weights).sum(dim=1, keepdim=True) / PEAK
    return _nearest(brightness) if rounded else brightness


def crop_border(picture: Tensor, pixels: int) -> Tensor:
    """(..., H, W) without `pixels` at each side."""
    height, width = picture.shape[-2:]
    if 2 * pixels >= min(height, width):
        raise ImageError(
            f"nothing is left of {_size(picture)} without {pixels} px at each side",
            hint="compare larger pictures, or crop less",
        )
    return picture[..., pixels : height - pixels, pixels : width - pixels]


def prepared(picture: Tensor, protocol: Protocol) -> Tensor:
    """What of a picture (C, H, W) is compared: (1, 1 or C, h, w), float64 in 0 to 255.

    Raises ImageError where the crop leaves nothing.
    """
    levels = crop_border(levels_of(picture), protocol.crop).unsqueeze(0)
    if protocol.channels is Channels.RGB or levels.shape[1] == 1:
        return levels
    return luma(levels, rounded=protocol.channels is Channels.Y)


def levels_of(picture: Tensor) -> Tensor:
    """uint8, or [0, 1] clamped and rounded to whole levels: float64 in 0 to 255."""
    if picture.dtype == torch.uint8:
        return picture.double()
    return _nearest(picture.double().clamp(0, 1) * PEAK)


def _nearest(value: Tensor) -> Tensor:
    return (value + 0.5).floor()  # halves up, as MATLAB's uint8()


def _window_mean(picture: Tensor) -> Tensor:
    position = torch.arange(WINDOW, dtype=torch.float64, device=picture.device) - WINDOW // 2
    weights = torch.exp(-0.5 * (position / SIGMA) ** 2)
    weights = (weights / weights.sum()).view(1, 1, 1, WINDOW)
    planes = picture.flatten(0, 1).unsqueeze(1)  # (N·C, 1, H, W)
    means = F.conv2d(F.conv2d(planes, weights), weights.mT)
    return means.reshape(*picture.shape[:2], *means.shape[-2:])


def _size(picture: Tensor) -> str:
    return " x ".join(map(str, picture.shape[-3:]))
