"""The picture that contestants run on: the same everywhere, with what photographs have."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

OCTAVES = 6  # of noise: photographs have about as much contrast at each scale


def bench_picture(height: int, width: int) -> Tensor:
    """(3, height, width) float32 in [0, 1], drawn from a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.zeros(1, 3, height, width)
    for octave in range(OCTAVES):
        sides = [max(side >> octave, 1) for side in (height, width)]
        noise = torch.rand(1, 3, *sides, generator=generator)
        picture += F.interpolate(noise, (height, width), mode="bilinear", align_corners=False)
    return ((picture / OCTAVES - 0.5) * 2 + 0.5).clamp(0, 1)[0]
