"""A recipe: every step from a high picture to a low one, as plain data that can be kept and redone.

Noise has its seed in its step, so a recipe gives the same low picture again: bit for bit on one
machine's CPU, and on a GPU with that GPU's own random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, assert_never

import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor

from srcli.degradations import kernels
from srcli.degradations.blur import blur
from srcli.degradations.jpeg import jpeg
from srcli.degradations.noise import add_gaussian, add_poisson
from srcli.degradations.resize import Filter, quantize, resize
from srcli.errors import ConfigError


class Profile(StrEnum):
    """The cross-section of a blur kernel."""

    GAUSSIAN = "gaussian"
    GENERALISED = "generalised"
    PLATEAU = "plateau"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strict:
    """Read from JSON without tolerance for unknown names."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blur(Strict):
    """A kernel of `size` pixels; sigma along and across an axis turned by `rotation` radians."""

    step: Literal["blur"] = "blur"
    profile: Profile
    size: int
    sigma: tuple[float, float]
    rotation: float = 0.0
    shape: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sinc(Strict):
    """A low-pass that rings; `cutoff` in radians per pixel."""

    step: Literal["sinc"] = "sinc"
    size: int
    cutoff: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize(Strict):
    """To `fraction` of the high picture's sides, rounded down, whatever the size is now."""

    step: Literal["resize"] = "resize"
    fraction: float
    filter: Filter
    antialias: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianNoise(Strict):
    """Standard deviation in levels of 255."""

    step: Literal["gaussian-noise"] = "gaussian-noise"
    sigma: float
    gray: bool
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoissonNoise(Strict):
    """`strength` times the noise of counting the photons."""

    step: Literal["poisson-noise"] = "poisson-noise"
    strength: float
    gray: bool
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg(Strict):
    """Quality 1 to 100 as libjpeg counts it, 4:2:0."""

    step: Literal["jpeg"] = "jpeg"
    quality: int


Step = Blur | Sinc | Resize | GaussianNoise | PoissonNoise | Jpeg


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(Strict):
    """How one picture is degraded; the last step leaves it at 1/scale of its sides.

    >>> recipe = Recipe(scale=2, steps=(Resize(fraction=0.5, filter=Filter.BICUBIC),))
    >>> recipe.to_json()
    '{"scale":2,"steps":[{"step":"resize","fraction":0.5,"filter":"bicubic","antialias":true}]}'
    >>> Recipe.from_json(recipe.to_json()) == recipe
    True
    >>> print(recipe)
    bicubic to 50%
    """

    scale: int
    steps: tuple[Annotated[Step, Field(discriminator="step")], ...]

    def __str__(self) -> str:
        return ", ".join(map(_words, self.steps))

    def to_json(self) -> str:
        """One line of JSON."""
        return _ADAPTER.dump_json(self).decode()

    @staticmethod
    def from_json(text: str | bytes) -> Recipe:
        """Read what `to_json` wrote; ConfigError names every place that is not a recipe."""
        try:
            return _ADAPTER.validate_json(text)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, problem['loc'])) or 'text'}: {problem['msg']}"
                for problem in error.errors()
            )
            hint = "a recipe is one line of the recipes.jsonl that `srcli degrade` writes"
            raise ConfigError(f"not a recipe: {problems}", hint=hint) from None


_ADAPTER = TypeAdapter(Recipe)


def degrade(images: Tensor, recipes: Sequence[Recipe]) -> Tensor:
    """(N, 3, H, W) in [0, 1] to (N, 3, H / scale, W / scale) of 8 bits, a recipe for each picture.

    H and W are multiples of the scale, which all recipes share. A picture's result does not
    depend on the others of its batch.
    """
    pairs = zip(torch.split(images, 1), recipes, strict=True)
    return torch.cat([_degraded(image, recipe) for image, recipe in pairs])


def _degraded(image: Tensor, recipe: Recipe) -> Tensor:
    height, width = image.shape[-2:]
    if height % recipe.scale or width % recipe.scale:
        raise ConfigError(
            f"a picture of {height} x {width} px cannot be shrunk {recipe.scale} times exactly",
            hint="crop it to a multiple of the scale",
        )
    for step in recipe.steps:
        image = _applied(step, image, (height, width))
    return quantize(image)


def _applied(step: Step, image: Tensor, high_size: tuple[int, int]) -> Tensor:
    match step:
        case Blur() | Sinc():
            return blur(image, kernel_of(step).unsqueeze(0))
        case Resize(fraction=fraction, filter=filter, antialias=antialias):
            # A third of 9 pixels is 3 of them, though 9 * (1 / 3) might fall short of it.
            height, width = (max(1, int(side * fraction + 1e-6)) for side in high_size)
            return resize(image, (height, width), filter=filter, antialias=antialias)
        case GaussianNoise(sigma=sigma, gray=gray, seed=seed):
            amount, is_gray = image.new_tensor([sigma]), torch.tensor([gray], device=image.device)
            return add_gaussian(image, amount, gray=is_gray, generator=_seeded(image, seed))
        case PoissonNoise(strength=strength, gray=gray, seed=seed):
            amount, is_gray = (
                image.new_tensor([strength]),
                torch.tensor([gray], device=image.device),
            )
            return add_poisson(image, amount, gray=is_gray, generator=_seeded(image, seed))
        case Jpeg(quality=quality):
            return jpeg(image, image.new_tensor([quality]))
        case _:
            assert_never(step)


def _words(step: Step) -> str:
    match step:
        case Blur(profile=profile, sigma=sigma):
            lengths = (
                f"{sigma[0]:.1f}" if sigma[0] == sigma[1] else f"{sigma[0]:.1f}/{sigma[1]:.1f}"
            )
            return f"{profile} blur {lengths} px"
        case Sinc(cutoff=cutoff):
            return f"sinc {cutoff / math.pi:.2f} pi"
        case Resize(fraction=fraction, filter=filter):
            return f"{filter} to {fraction:.0%}"
        case GaussianNoise(sigma=sigma, gray=gray):
            return f"{'gray' if gray else 'colour'} noise {sigma:.0f}"
        case PoissonNoise(strength=strength, gray=gray):
            return f"{'gray' if gray else 'colour'} photon noise x{strength:.1f}"
        case Jpeg(quality=quality):
            return f"JPEG {quality}"
        case _:
            assert_never(step)


def kernel_of(step: Blur | Sinc) -> Tensor:
    """The kernel (size, size) of a blur."""
    if isinstance(step, Sinc):
        return kernels.sinc(step.size, step.cutoff)
    match step.profile:
        case Profile.GAUSSIAN:
            return kernels.anisotropic(step.size, *step.sigma, step.rotation)
        case Profile.GENERALISED:
            return kernels.generalised(step.size, *step.sigma, step.rotation, step.shape)
        case Profile.PLATEAU:
            return kernels.plateau(step.size, *step.sigma, step.rotation, step.shape)
        case _:
            assert_never(step.profile)


def _seeded(image: Tensor, seed: int) -> torch.Generator:
    return torch.Generator(image.device).manual_seed(seed)
