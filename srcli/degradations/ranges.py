"""What recipes are drawn from: a degradation is a sequence of ranges, each drawn into steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar, assert_never

import torch

from srcli.degradations.recipe import (
    Blur,
    GaussianNoise,
    Jpeg,
    PoissonNoise,
    Profile,
    Recipe,
    Resize,
    Sinc,
    Step,
)
from srcli.degradations.resize import Filter

Span = tuple[float, float]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlurRange:
    """A kernel of one of six kinds, or a sinc; round kinds have one sigma, others two and an angle.

    `kinds` weighs, in this order: Gaussian, generalised and plateau, each round then elliptical.
    """

    probability: float = 1.0
    sizes: tuple[int, int] = (7, 21)  # odd, in pixels
    sigma: Span = (0.2, 3.0)
    kinds: tuple[float, float, float, float, float, float] = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)
    generalised_shape: Span = (0.5, 4.0)
    plateau_shape: Span = (1.0, 2.0)
    sinc: float = 0.1  # probability of a sinc instead


@dataclass(frozen=True, slots=True, kw_only=True)
class SincRange:
    """A low-pass that rings."""

    probability: float = 0.8
    sizes: tuple[int, int] = (7, 21)
    cutoff: Span = (math.pi / 3, math.pi)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeRange:
    """Larger (a factor of 1 to the largest), smaller (the smallest to 1) or as it should be.

    The factor is relative to the high picture, or to the low one's size if `of_low`.
    """

    up_down_keep: tuple[float, float, float] = (0.2, 0.7, 0.1)
    factor: Span = (0.15, 1.5)
    of_low: bool = False
    filters: tuple[Filter, ...] = (Filter.AREA, Filter.BILINEAR, Filter.BICUBIC)
    antialias: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToLow:
    """To the low picture's exact size."""

    filters: tuple[Filter, ...] = (Filter.BICUBIC,)
    antialias: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseRange:
    """Gaussian noise (sigma in levels of 255) or Poisson noise (strength), gray or in colour."""

    probability: float = 1.0
    gaussian: float = 0.5
    sigma: Span = (1.0, 30.0)
    strength: Span = (0.05, 3.0)
    gray: float = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegRange:
    """A whole quality between two, both included."""

    probability: float = 1.0
    quality: tuple[int, int] = (30, 95)


@dataclass(frozen=True, slots=True, kw_only=True)
class EitherOrder:
    """Both groups, in one order or the other by a fair coin."""

    one: tuple[Range, ...]
    other: tuple[Range, ...]


Range = BlurRange | SincRange | ResizeRange | ToLow | NoiseRange | JpegRange | EitherOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Degradation:
    """The ranges of a recipe's steps, in their order."""

    ranges: tuple[Range, ...]

    def draw(self, scale: int, generator: torch.Generator) -> Recipe:
        """One recipe; all of its chance comes from `generator` (on the CPU)."""
        draws = _Draws(generator, scale)
        return Recipe(scale=scale, steps=tuple(_steps(self.ranges, draws)))


class _Draws:
    """Chance from one generator."""

    def __init__(self, generator: torch.Generator, scale: int) -> None:
        self.generator = generator
        self.scale = scale

    def uniform(self, span: Span) -> float:
        part = torch.rand((), generator=self.generator, dtype=torch.float64).item()
        return span[0] + (span[1] - span[0]) * part

    def whole(self, first: int, last: int) -> int:
        return int(torch.randint(first, last + 1, (), generator=self.generator))

    def odd(self, span: tuple[int, int]) -> int:
        return span[0] + 2 * self.whole(0, (span[1] - span[0]) // 2)

    def happens(self, probability: float) -> bool:
        return self.uniform((0.0, 1.0)) < probability

    def one_of(self, items: Sequence[Item]) -> Item:
        return items[self.whole(0, len(items) - 1)]

    def weighted(self, weights: Sequence[float]) -> int:
        chosen = torch.tensor(weights, dtype=torch.float64)
        return int(torch.multinomial(chosen, 1, generator=self.generator))

    def seed(self) -> int:
        return self.whole(0, 2**53 - 1)  # what every reader of JSON keeps exactly


def _steps(ranges: Sequence[Range], draws: _Draws) -> Iterator[Step]:
    for each in ranges:
        match each:
            case EitherOrder(one=one, other=other):
                yield from _steps(one + other if draws.happens(0.5) else other + one, draws)
            case ResizeRange():
                yield _resize(each, draws)
            case ToLow(filters=filters, antialias=antialias):
                filter = draws.one_of(filters)
                yield Resize(fraction=1 / draws.scale, filter=filter, antialias=antialias)
            case _:
                if draws.happens(each.probability):
                    yield _step(each, draws)


def _step(each: BlurRange | SincRange | NoiseRange | JpegRange, draws: _Draws) -> Step:
    match each:
        case BlurRange():
            return _blur(each, draws)
        case SincRange(sizes=sizes, cutoff=cutoff):
            return Sinc(size=draws.odd(sizes), cutoff=draws.uniform(cutoff))
        case NoiseRange():
            return _noise(each, draws)
        case JpegRange(quality=quality):
            return Jpeg(quality=draws.whole(*quality))
        case _:
            assert_never(each)


def _blur(each: BlurRange, draws: _Draws) -> Blur | Sinc:
    size = draws.odd(each.sizes)
    if draws.happens(each.sinc):
        lowest = math.pi / 3 if size < 13 else math.pi / 5  # a small kernel cannot hold a long wave
        return Sinc(size=size, cutoff=draws.uniform((lowest, math.pi)))
    family, is_elliptical = divmod(draws.weighted(each.kinds), 2)
    profile = tuple(Profile)[family]
    along = draws.uniform(each.sigma)
    across = draws.uniform(each.sigma) if is_elliptical else along
    rotation = draws.uniform((-math.pi, math.pi)) if is_elliptical else 0.0
    shape = _shape(each, profile, draws)
    return Blur(profile=profile, size=size, sigma=(along, across), rotation=rotation, shape=shape)


def _shape(each: BlurRange, profile: Profile, draws: _Draws) -> float:
    """Below or above 1 with equal chance, as in BasicSR, however long the two parts are."""
    if profile is Profile.GAUSSIAN:
        return 1.0
    low, high = each.generalised_shape if profile is Profile.GENERALISED else each.plateau_shape
    return draws.uniform((low, 1.0) if draws.happens(0.5) else (1.0, high))


def _resize(each: ResizeRange, draws: _Draws) -> Resize:
    smallest, largest = each.factor
    span = ((1.0, largest), (smallest, 1.0), (1.0, 1.0))[draws.weighted(each.up_down_keep)]
    factor = draws.uniform(span) / (draws.scale if each.of_low else 1)
    return Resize(fraction=factor, filter=draws.one_of(each.filters), antialias=each.antialias)


def _noise(each: NoiseRange, draws: _Draws) -> GaussianNoise | PoissonNoise:
    is_gaussian, gray = draws.happens(each.gaussian), draws.happens(each.gray)
    if is_gaussian:
        return GaussianNoise(sigma=draws.uniform(each.sigma), gray=gray, seed=draws.seed())
    return PoissonNoise(strength=draws.uniform(each.strength), gray=gray, seed=draws.seed())
