"""What a network of the catalogue costs to run, from its shape alone: no weights, no torch.

Work is counted as in the papers: two operations a multiplication, convolutions only. Memory is the
peak of the activations where the whole picture goes through at once; `measure_need` measures the
same of a network that is loaded, and a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from srcli.io.catalogue import Compact, Entry, Rrdb

KERNEL = 9  # taps of a 3x3 convolution
GROWTH = 32  # of nearly every released network; taken only where the size of the file agrees
SIZE_TOLERANCE = 0.02  # names and headers of the file
FAST, MEDIUM = 4e6, 16e6  # operations per input pixel, up to which a network is called so


class Speed(StrEnum):
    """How fast, by operations per input pixel: to 4, to 16, more than 16 million."""

    FAST = "fast"
    MEDIUM = "medium"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one input pixel."""

    operations: float
    values: float  # alive at the peak; times the bytes of the numbers that it computes in

    @property
    def speed(self) -> Speed:
        if self.operations <= FAST:
            return Speed.FAST
        return Speed.MEDIUM if self.operations <= MEDIUM else Speed.SLOW

    def gigabytes(self, megapixels: float = 1.0, bytes_of_number: int = 2) -> float:
        """Activations of a picture of so many input megapixels at once, by default in fp16."""
        return self.values * megapixels * 1e6 * bytes_of_number / 1e9


def cost_of(entry: Entry) -> Cost | None:
    """What the network of an upscaler costs; None where its shape is not known."""
    match entry.architecture:
        case Rrdb() as shape if entry.scale is not None:
            growth = shape.growth or _growth(entry, shape)
            return None if growth is None else _rrdb(shape, growth, entry.scale)
        case Compact() as shape if entry.scale is not None:
            return _compact(shape, entry.scale)
        case _:
            return None


def _rrdb(shape: Rrdb, growth: int, scale: int) -> Cost:
    channels, fold = shape.channels, shape.unshuffle**2
    doublings = (scale * shape.unshuffle).bit_length() - 1
    final = 4**doublings  # pixels behind the enlargement, for one before it
    trunk = sum(_rrdb_weights(shape, growth)[:3])
    behind = sum(4**step for step in range(1, doublings + 1)) + final  # conv_up1 .. , conv_hr
    work = trunk + KERNEL * channels * (channels * behind + 3 * final)
    return Cost(2 * work / fold, _rrdb_values(channels, growth, doublings, fold) / fold)


def _rrdb_weights(shape: Rrdb, growth: int) -> tuple[int, int, int, int]:
    """Weights without biases: conv_first, the blocks, conv_body, and one convolution behind."""
    channels = shape.channels
    grown = sum(channels + step * growth for step in range(4)) * growth
    dense = KERNEL * (grown + (channels + 4 * growth) * channels)
    if shape.kind == "esrgan-plus":
        dense += channels * growth  # its 1x1 convolution past the second
    square = KERNEL * channels**2
    return KERNEL * 3 * shape.unshuffle**2 * channels, 3 * shape.blocks * dense, square, square


def _rrdb_values(channels: int, growth: int, doublings: int, fold: int) -> float:
    """Values alive at once, for a pixel of the folded image.

    In a dense block: the inputs of the trunk, of the block and of the dense block, and its features
    before and after the last of them were joined. While the picture is enlarged for the last time:
    the trunk's input, the features before, behind, and what the convolution makes of them.
    """
    dense = 3 * channels + (channels + 3 * growth) + growth + (channels + 4 * growth)
    enlarging = channels * (1 + 4 ** (doublings - 1) + 2 * 4**doublings) if doublings else 0
    return max(dense, enlarging) + (3 * fold if fold > 1 else 0)


def _growth(entry: Entry, shape: Rrdb) -> int | None:
    """The usual growth, if the file of the first source is as large as it makes it."""
    doublings = ((entry.scale or 1) * shape.unshuffle).bit_length() - 1
    first, blocks, body, square = _rrdb_weights(shape, GROWTH)
    weights = first + blocks + body + square * (doublings + 1) + KERNEL * 3 * shape.channels
    ratios = [(entry.size or 0) / (weights * each) for each in (4, 2)]  # fp32 or fp16 on disk
    return GROWTH if any(abs(ratio - 1) < SIZE_TOLERANCE for ratio in ratios) else None


def _compact(shape: Compact, scale: int) -> Cost:
    channels, last = shape.channels, 3 * scale**2
    work = KERNEL * channels * (3 + shape.convolutions * channels + last)
    # A convolution's input and output, or the picture, its detail and their sum.
    return Cost(2 * work, max(2 * channels, 3 * last))
