"""MATLAB's imresize, and its relatives, as one separable weighted sum.

An output pixel i of an axis enlarged by s lies at u = (i + 1/2) / s - 1/2 among the input pixels:

    input     0     1     2     3     4     5        the kernel is centred on u; when shrinking
           |--x--|--x--|--x--|--x--|--x--|--x--|     with antialiasing it is widened by 1/s;
    output |--------o--------|--------o--------|     beyond the border the picture is mirrored,
                    u                                edge pixel included: 2 1 0 | 0 1 2

Weights are made in float64 and sum to one. Method: R. Keys, "Cubic convolution interpolation",
1981 (a = -1/2), with MATLAB's conventions for position, border and antialiasing.
"""

from __future__ import annotations

import math
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from srcli.degradations.precision import full_precision

# Output pixels per matrix product: wide enough for BLAS, narrow enough that few weights are zero.
BLOCK = 64


class Filter(StrEnum):
    """What an output pixel is made from."""

    AREA = "area"  # the mean over the pixel's own footprint, fractions of pixels counted
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS3 = "lanczos3"


WIDTHS = {Filter.BILINEAR: 2.0, Filter.BICUBIC: 4.0, Filter.LANCZOS3: 6.0}


class Taps(NamedTuple):
    """The input pixels of each output pixel and their weights, both (outputs, taps)."""

    position: Tensor
    weight: Tensor


@full_precision
def resize(
    image: Tensor,
    size: tuple[int, int],
    *,
    filter: Filter = Filter.BICUBIC,
    antialias: bool = True,
    scale: tuple[float, float] | None = None,
) -> Tensor:
    """Resample (..., H, W) to (..., *size); any range, differentiable, no rounding, no clipping.

    `scale` is output over input per axis (height, width); by default the quotient of the sizes.
    Without `antialias` a shrunken picture aliases, as in `F.interpolate`; area ignores it.

    >>> resize(torch.arange(8.0).view(1, 8), (1, 2), filter=Filter.AREA)
    tensor([[1.5000, 5.5000]])
    """
    height, width = image.shape[-2:]
    rows, columns = scale or (size[0] / height, size[1] / width)
    axes = [(-2, size[0], rows), (-1, size[1], columns)]
    for axis, length, factor in sorted(axes, key=lambda axis: axis[2]):  # the cheaper order
        image = _resize_axis(image, axis, length, factor, filter, antialias)
    return image


def rescale(image: Tensor, factor: float, *, filter: Filter = Filter.BICUBIC) -> Tensor:
    """Resample by `factor` as `imresize(image, factor)`: the size rounds up, the scale is exact.

    >>> rescale(torch.zeros(1, 3, 10, 11), 0.25).shape
    torch.Size([1, 3, 3, 3])
    """
    # 1.1 * 10 is 11.000000000000002 in floating point, and not 12 pixels.
    height, width = (math.ceil(side * factor - 1e-9) for side in image.shape[-2:])
    return resize(image, (height, width), filter=filter, scale=(factor, factor))


def quantize(image: Tensor) -> Tensor:
    """Clip [0, 1] to 8 bits as MATLAB's uint8() does: halves go up. The result stays in [0, 1].

    >>> quantize(torch.tensor([-0.1, 0.5, 1.2]))
    tensor([0.0000, 0.5020, 1.0000])
    """
    return image.clamp(0, 1).mul(255).add(0.5).floor().div(255)


def _resize_axis(
    image: Tensor, axis: int, length: int, scale: float, filter: Filter, antialias: bool
) -> Tensor:
    if image.shape[axis] == length and scale == 1:
        return image
    pieces = []
    for first, block in _blocks(image.shape[axis], length, scale, filter, antialias):
        matrix = block.to(image)  # (outputs, inputs) of the block
        window = image.narrow(axis, first, matrix.shape[1])
        pieces.append(matrix @ window if axis == -2 else window @ matrix.T)
    return torch.cat(pieces, dim=axis)


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)  # what is kept must serve those who want gradients too
def _blocks(
    inputs: int, outputs: int, scale: float, filter: Filter, antialias: bool
) -> list[tuple[int, Tensor]]:
    taps = _taps(inputs, outputs, scale, filter, antialias)
    blocks = []
    for index, weight in zip(*(torch.split(part, BLOCK) for part in taps), strict=True):
        first, last = int(index.min()), int(index.max())
        matrix = weight.new_zeros(len(index), last - first + 1)
        blocks.append((first, matrix.scatter_add_(1, index - first, weight)))
    return blocks


def _taps(inputs: int, outputs: int, scale: float, filter: Filter, antialias: bool) -> Taps:
    centre = (torch.arange(outputs, dtype=torch.float64) + 0.5) / scale - 0.5
    stretch = min(scale, 1.0) if antialias else 1.0
    width = 1 / scale + 1 if filter is Filter.AREA else WIDTHS[filter] / stretch
    reach = torch.arange(math.ceil(width) + 2)
    position = (centre - width / 2).floor().long().unsqueeze(1) + reach  # (outputs, taps)
    offset = position - centre.unsqueeze(1)
    weight = (
        _footprint(offset, 1 / scale) if filter is Filter.AREA else _kernel(offset, filter, stretch)
    )
    return Taps(_mirrored(position, inputs), weight / weight.sum(dim=1, keepdim=True))


def _mirrored(position: Tensor, length: int) -> Tensor:
    folded = position.remainder(2 * length)
    return torch.minimum(folded, 2 * length - 1 - folded)


def _footprint(offset: Tensor, width: float) -> Tensor:
    """The part of each pixel, one wide, that lies in the output pixel, `width` wide."""
    right = torch.clamp(offset + 0.5, max=width / 2)
    left = torch.clamp(offset - 0.5, min=-width / 2)
    return (right - left).clamp(min=0)


def _kernel(offset: Tensor, filter: Filter, stretch: float) -> Tensor:
    distance = offset.abs() * stretch
    if filter is Filter.BILINEAR:
        return (1 - distance).clamp(min=0)
    if filter is Filter.LANCZOS3:
        return torch.sinc(distance) * torch.sinc(distance / 3) * (distance < 3)
    near = ((1.5 * distance - 2.5) * distance) * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance <= 1, near, torch.where(distance <= 2, far, 0.0))
