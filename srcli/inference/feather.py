"""How much each tile counts where two overlap.

1 |‾‾‾‾‾‾\\      /‾‾‾‾‾‾
  |       \\    /
  |        \\  /         left + right = 1 at every pixel
  |         \\/
0 |         /\\________
"""

from __future__ import annotations

import torch
from torch import Tensor

from srcli.inference.geometry import Part


def weights(parts: list[Part], index: int, scale: int) -> Tensor:
    """The weight of tile `index` at each of its kept output pixels, (kept.length · scale,)."""
    part = parts[index]
    weight = torch.ones(part.kept.length * scale)
    if index > 0:
        fade = (parts[index - 1].kept.stop - part.kept.start) * scale
        weight[:fade] = rising(fade)
    if index + 1 < len(parts):
        fade = (part.kept.stop - parts[index + 1].kept.start) * scale
        weight[len(weight) - fade :] = rising(fade).flip(0)
    return weight


def rising(length: int) -> Tensor:
    """A straight ramp whose mirror image complements it to one."""
    return (torch.arange(length) + 0.5) / max(length, 1)
