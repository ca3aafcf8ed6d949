"""A folder of pictures, checked, split, and turned into pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from srcli.data.crops import mixed_seed, split_off
from srcli.data.decode import read_picture
from srcli.data.pairs import GIBIBYTE, DegradedPairs, PairedPictures, PairSource, PictureCache
from srcli.data.survey import Problem, Trouble, survey_folder, survey_pairs
from srcli.degradations.names import Preset
from srcli.degradations.presets import DEGRADATIONS
from srcli.degradations.recipe import degrade
from srcli.errors import UsageError
from srcli.training.config import DataSpec

SHOWN = 5  # problems in an error's text
# What speaks of a mistake in the whole folder rather than of one bad picture.
FATAL = {Trouble.WRONG_SIZE, Trouble.NO_PARTNER, Trouble.MISALIGNED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A high picture, and its low one where that is given."""

    name: str  # path below the folder
    high: Path
    low: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What there is to learn from and to validate on, and what was left out."""

    training: tuple[Example, ...]
    validation: tuple[Example, ...]
    problems: tuple[Problem, ...]


def find_pictures(data: DataSpec, *, scale: int, patch_px: int, seed: int) -> Pictures:
    """Survey the folders and split the sound pictures.

    Raises UsageError where there is no folder, where fewer than two pictures are sound, or
    where low and high pictures are no pairs.
    """
    folder = Path(data.high)
    if data.low is None:
        survey = survey_folder(folder, patch_px=patch_px)
        problems = survey.problems
        examples = [_example(folder, header.path) for header in survey.pictures]
    else:
        pairs = survey_pairs(Path(data.low), folder, scale=scale, patch_px=patch_px)
        problems = pairs.problems
        examples = [_example(folder, pair.high.path, pair.low.path) for pair in pairs.pairs]
    _check(folder, examples, problems)
    training, validation = split_off(
        examples,
        name=lambda example: example.name,
        fraction=data.validation_fraction,
        at_most=data.validation_at_most,
        seed=seed,
    )
    return Pictures(
        training=tuple(training), validation=tuple(validation), problems=tuple(problems)
    )


def pair_source(
    pictures: Pictures, data: DataSpec, *, scale: int, patch_px: int, seed: int
) -> PairSource:
    """The pairs that the pictures of a training file give."""
    read = PictureCache(budget=int(data.cache_gib * GIBIBYTE))
    lows = [(example.low, example.high) for example in pictures.training]
    if data.low is not None:
        return PairedPictures(
            [(low, high) for low, high in lows if low is not None],
            scale=scale,
            patch_px=patch_px,
            seed=seed,
            is_sharpened=data.sharpened_target,
            read=read,
        )
    return DegradedPairs(
        [high for _, high in lows],
        DEGRADATIONS[Preset(data.degradation)],
        scale=scale,
        patch_px=patch_px,
        seed=seed,
        is_sharpened=data.sharpened_target,
        read=read,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WholePair:
    """A picture to validate on: uint8 low (3, h, w) and high (3, s·h, s·w)."""

    name: str
    low: Tensor
    high: Tensor


def whole_pair(
    example: Example, data: DataSpec, *, scale: int, largest_px: int, seed: int
) -> WholePair:
    """Read an example, or its middle of at most `largest_px` (0: all), and degrade it if need be.

    The degradation is drawn from the seed and the name, so that it is the same each time.
    """
    high = read_picture(example.high)
    high = _middle(high, scale, largest_px)
    if example.low is not None:
        low = _middle(read_picture(example.low), 1, largest_px // scale)
        return WholePair(name=example.name, low=low, high=high)
    generator = torch.Generator().manual_seed(mixed_seed(seed, "validation", example.name))
    recipe = DEGRADATIONS[Preset(data.degradation)].draw(scale, generator)
    low = degrade(high.unsqueeze(0).float() / 255, [recipe])[0]
    return WholePair(name=example.name, low=(low * 255).round().byte(), high=high)


def is_fixed(data: DataSpec) -> bool:
    """Whether a high picture always has the same low one."""
    return data.low is not None or data.degradation in ("bicubic", "area", "lanczos")


def _middle(picture: Tensor, multiple: int, largest_px: int) -> Tensor:
    """Cut the middle out of (3, H, W): at most `largest_px`, sides in multiples of `multiple`."""
    sides = [
        (min(side, largest_px) if largest_px else side) // multiple * multiple
        for side in picture.shape[-2:]
    ]
    # The corner too is on the grid of the low pixels, so that both halves of a pair stay aligned.
    top, left = (
        (whole - side) // 2 // multiple * multiple
        for whole, side in zip(picture.shape[-2:], sides, strict=True)
    )
    return picture[:, top : top + sides[0], left : left + sides[1]].contiguous()


def _example(folder: Path, high: Path, low: Path | None = None) -> Example:
    return Example(name=high.relative_to(folder).as_posix(), high=high, low=low)


def _check(folder: Path, examples: Sequence[Example], problems: Sequence[Problem]) -> None:
    fatal = [problem for problem in problems if problem.trouble in FATAL]
    if fatal:
        raise UsageError(
            f"{len(fatal)} picture(s) are no pairs: {_listed(fatal)}",
            hint="a low picture has the name of its high one and exactly its size by the scale; "
            "mend these or take them away",
        )
    if len(examples) < 2:
        found = f"{len(examples)} picture(s) to learn from in {folder}"
        reasons = f"; {_listed(problems)}" if problems else ""
        small = any(problem.trouble is Trouble.TOO_SMALL for problem in problems)
        raise UsageError(
            f"{found}{reasons}",
            hint="a smaller --patch takes smaller pictures"
            if small
            else "at least two are needed: one to learn from, one to validate on",
        )


def _listed(problems: Sequence[Problem]) -> str:
    texts = [f"{each.path.name}: {each.trouble} ({each.detail})" for each in problems[:SHOWN]]
    more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return "; ".join(texts) + more
