"""Baseline JPEG at 4:2:0: what libjpeg's coder and decoder do to a picture, as tensors.

    RGB -> YCbCr -> chroma halved -> 8x8 DCT -> quantised | -> inverse DCT -> chroma doubled -> RGB

Entropy coding loses nothing and is left out. Every rounding of libjpeg is made in its place,
and those of its integer DCT in theirs; docs/explanation/degradations.md has what difference is
left, measured. ITU-T T.81 (tables K.1, K.2), JFIF 1.02 for the colours.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from srcli.degradations.precision import full_precision

LUMA_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA_TABLE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *[(99,) * 8] * 4,
)
TO_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)
BLOCK = 8
HAIR = 1e-4  # what float32 may lack to a half
# libjpeg's integer DCT keeps so many fractions of a level between its passes, and of a coefficient.
HALFWAY = 1 / (4 * math.sqrt(8))
COEFFICIENT = 1 / 8
UNIT = 16  # px, the width of two blocks of luma and one of chroma


@full_precision
def jpeg(image: Tensor, quality: Tensor, *, differentiable: bool = False) -> Tensor:
    """Code (N, 3, H, W) in [0, 1] at `quality` (N,) in 1..100 as libjpeg counts it, and decode.

    Any size; the result has 8 bits. With `differentiable` a rounding passes the gradient as if it
    were not there (straight through); the values are the same.
    """
    height, width = image.shape[-2:]
    levels = _rounded(image.clamp(0, 1) * 255, differentiable)
    padded = F.pad(levels, (0, -width % UNIT, 0, height % 2), mode="replicate")
    ycbcr = _rounded(_to_ycbcr(padded), differentiable)
    chroma = _halved(ycbcr[:, 1:], differentiable)
    luma_table, chroma_table = _tables(quality.to(image))
    luma = _coded(_whole_blocks(ycbcr[:, :1]), luma_table, differentiable)
    chroma = _coded(_whole_blocks(chroma), chroma_table, differentiable)
    chroma = chroma[..., : -(-height // 2), : -(-width // 2)]  # the padding has no say any more
    chroma = _doubled(chroma, differentiable)[..., :height, :width]
    return _to_rgb(luma[..., :height, :width], chroma, differentiable) / 255


def _rounded(value: Tensor, differentiable: bool) -> Tensor:
    """Halves go away from zero; a hair is added so that a float's error does not turn them back."""
    whole = (value.abs() + (0.5 + HAIR)).floor() * value.sign()
    return value + (whole - value).detach() if differentiable else whole


def _whole_blocks(planes: Tensor) -> Tensor:
    # libjpeg repeats the last row of each plane, after it has halved the chroma.
    return F.pad(planes, (0, 0, 0, -planes.shape[-2] % BLOCK), mode="replicate")


def _to_ycbcr(levels: Tensor) -> Tensor:
    matrix = levels.new_tensor(TO_YCBCR)
    shift = levels.new_tensor([0.0, 128.0, 128.0]).view(3, 1, 1)
    return torch.einsum("ij,njhw->nihw", matrix, levels) + shift


def _to_rgb(luma: Tensor, chroma: Tensor, differentiable: bool) -> Tensor:
    blue, red = (chroma - 128).unbind(dim=1)
    shifts = torch.stack([1.402 * red, -0.344136286 * blue - 0.714136286 * red, 1.772 * blue], 1)
    return (luma + _rounded(shifts, differentiable)).clamp(0, 255)


def _halved(chroma: Tensor, differentiable: bool) -> Tensor:
    # libjpeg adds 1 and 2 in turn before it divides by four and cuts, so halves go both ways.
    total = F.avg_pool2d(chroma, 2, divisor_override=1)
    return _rounded((total + _alternating(total, 1, 2)) / 4 - 0.5, differentiable)


def _doubled(chroma: Tensor, differentiable: bool) -> Tensor:
    """libjpeg's "fancy" upsampling: 9/16, 3/16, 3/16 and 1/16 of the four nearest samples."""
    total = _interleaved(_interleaved(chroma, -2), -1)
    return _rounded((total + _alternating(total, 8, 7)) / 16 - 0.5, differentiable)


def _alternating(plane: Tensor, even: int, odd: int) -> Tensor:
    return plane.new_tensor([even, odd]).repeat(-(-plane.shape[-1] // 2))[: plane.shape[-1]]


def _interleaved(plane: Tensor, axis: int) -> Tensor:
    """At twice the length, four times the height: 3 of the nearer sample and 1 of the farther."""
    length = plane.shape[axis]
    first, last = plane.narrow(axis, 0, 1), plane.narrow(axis, length - 1, 1)
    before = torch.cat([first, plane.narrow(axis, 0, length - 1)], axis)
    after = torch.cat([plane.narrow(axis, 1, length - 1), last], axis)
    return torch.stack([3 * plane + before, 3 * plane + after], axis).flatten(axis - 1, axis)


def _coded(planes: Tensor, table: Tensor, differentiable: bool) -> Tensor:
    """(N, C, H, W), H and W multiples of 8, through the DCT, `table` (N, 8, 8) and back."""
    batch, channels, height, width = planes.shape
    basis = _basis().to(planes)
    grid = (batch, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    rows = (planes - 128).view(grid)
    half = _fixed(rows @ basis.T, HALFWAY, differentiable).flatten(-2)
    blocks = _fixed(basis @ half, COEFFICIENT, differentiable)
    steps = table.repeat(1, 1, width // BLOCK).view(batch, 1, 1, BLOCK, width)
    coefficients = _rounded(blocks / steps, differentiable) * steps
    half = _fixed(basis.T @ coefficients, HALFWAY, differentiable)
    restored = half.reshape(grid) @ basis
    return _rounded(restored.reshape(planes.shape) + 128, differentiable).clamp(0, 255)


def _fixed(value: Tensor, fraction: float, differentiable: bool) -> Tensor:
    return _rounded(value / fraction, differentiable) * fraction


def _tables(quality: Tensor) -> tuple[Tensor, Tensor]:
    """libjpeg's quantisation tables for each quality, (N, 8, 8) each."""
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).floor().view(-1, 1, 1)
    luma, chroma = (
        ((quality.new_tensor(table) * percent + 50) / 100).floor().clamp(1, 255)
        for table in (LUMA_TABLE, CHROMA_TABLE)
    )
    return luma, chroma


@cache
@torch.inference_mode(mode=False)  # what is kept must serve those who want gradients too
def _basis() -> Tensor:
    """The orthonormal DCT-II of eight samples, frequencies in rows."""
    sample = torch.arange(BLOCK, dtype=torch.float64)
    basis = torch.cos((2 * sample + 1) * sample.unsqueeze(1) * math.pi / (2 * BLOCK)) / 2
    basis[0] /= math.sqrt(2)
    return basis
