"""Filter each picture of a batch with its own kernel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from srcli.degradations.precision import full_precision


@full_precision
def blur(image: Tensor, kernels: Tensor) -> Tensor:
    """Correlate (N, C, H, W) with kernels (N, k, l), one for each picture, both sides odd.

    The border is mirrored without the edge pixel, as often as a small picture needs.
    """
    batch, channels, height, width = image.shape
    rows, columns = kernels.shape[1:]
    padded = _mirror(_mirror(image, -2, rows // 2), -1, columns // 2)
    planes = padded.reshape(1, batch * channels, *padded.shape[2:])
    filters = kernels.to(image).repeat_interleave(channels, dim=0).unsqueeze(1)
    blurred = F.conv2d(planes, filters, groups=batch * channels)
    return blurred.view(batch, channels, height, width)


def blur_separable(image: Tensor, profile: Tensor) -> Tensor:
    """Blur (N, C, H, W) with the outer product of `profile` (k,) with itself."""
    profile = profile.expand(len(image), -1)
    return blur(blur(image, profile.unsqueeze(1)), profile.unsqueeze(2))


def _mirror(image: Tensor, axis: int, margin: int) -> Tensor:
    length = image.shape[axis]
    position = torch.arange(-margin, length + margin, device=image.device)
    period = max(2 * (length - 1), 1)
    folded = position.remainder(period)
    return image.index_select(axis, torch.minimum(folded, (period - folded).clamp(max=length - 1)))
