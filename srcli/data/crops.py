"""Which picture, which part of it and which way up: a function of a seed and a position.

Nothing here has a state. The n-th sample of a run is the same whether the run was stopped before
it or not, how many workers made the samples before it, and on which of several machines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor

from srcli.errors import ImageError, UsageError

Item = TypeVar("Item")


def mixed_seed(*parts: int | str) -> int:
    """One seed from several values, unlike that of any others: 63 bits of their digest.

    >>> mixed_seed(1, "crop", 2) == mixed_seed(1, "crop", 2) != mixed_seed(2, "crop", 1)
    True
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A rectangle in pixels and one of the eight ways to lay it; in low pixels for a pair."""

    top: int
    left: int
    height: int
    width: int
    is_mirrored: bool = False
    is_upside_down: bool = False
    is_transposed: bool = False

    def of(self, picture: Tensor, scale: int = 1) -> Tensor:
        """Cut it from (C, H, W), all lengths times `scale`; transposed, height is width."""
        top, left = self.top * scale, self.left * scale
        height, width = self.height * scale, self.width * scale
        piece = picture[:, top : top + height, left : left + width]
        axes = [
            axis
            for axis, is_flipped in ((1, self.is_upside_down), (2, self.is_mirrored))
            if is_flipped
        ]
        piece = piece.flip(axes)
        return piece.mT if self.is_transposed else piece


def draw_crop(picture: tuple[int, int], crop: tuple[int, int], generator: torch.Generator) -> Crop:
    """Place a crop (height, width) in a picture (height, width), each place and way as likely.

    Raises ImageError if it does not fit.
    """
    if crop[0] > picture[0] or crop[1] > picture[1]:
        raise ImageError(
            f"a patch of {crop[0]} x {crop[1]} px does not fit {picture[0]} x {picture[1]} px",
            hint="use a smaller patch, or remove the picture: the survey names such ones",
        )
    top, left = (
        int(torch.randint(whole - part + 1, (), generator=generator))
        for whole, part in zip(picture, crop, strict=True)
    )
    mirrored, upside_down, transposed = torch.randint(2, (3,), generator=generator).bool().tolist()
    return Crop(
        top=top,
        left=left,
        height=crop[0],
        width=crop[1],
        is_mirrored=mirrored,
        is_upside_down=upside_down,
        is_transposed=transposed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The endless order of samples: every picture once in each round, shuffled anew."""

    pictures: int
    seed: int

    def picture(self, position: int) -> int:
        """The index of the picture that sample `position` is cut from.

        >>> order = Order(pictures=5, seed=1)
        >>> sorted(order.picture(position) for position in range(10, 15))
        [0, 1, 2, 3, 4]
        """
        turn, place = divmod(position, self.pictures)
        return _shuffled(self.pictures, self.seed, turn)[place]

    def generator(self, position: int) -> torch.Generator:
        """All chance of sample `position`."""
        return torch.Generator().manual_seed(mixed_seed(self.seed, "sample", position))


@lru_cache(maxsize=4)
def _shuffled(pictures: int, seed: int, turn: int) -> list[int]:
    generator = torch.Generator().manual_seed(mixed_seed(seed, "round", turn))
    return torch.randperm(pictures, generator=generator).tolist()


def split_off(
    items: Sequence[Item],
    *,
    name: Callable[[Item], str],
    fraction: float = 0.1,
    at_most: int = 20,
    seed: int = 0,
) -> tuple[list[Item], list[Item]]:
    """Pictures to learn from and, apart from them, pictures to validate on; whole pictures.

    The choice hangs on names: a picture that is added later moves few others, and items of one name
    stay together. There is at least one name of either; raises UsageError if there are fewer than
    two.
    """
    names = sorted({name(item) for item in items}, key=lambda each: mixed_seed(seed, each))
    if len(names) < 2:
        raise UsageError(
            f"{len(names)} picture(s) cannot be split for training and validation",
            hint="give at least two, or a folder of others to validate on",
        )
    chosen = set(names[: max(1, min(round(len(names) * fraction), at_most, len(names) - 1))])
    training = [item for item in items if name(item) not in chosen]
    return training, [item for item in items if name(item) in chosen]
