"""Recipes: drawn within their ranges, kept as data, redone exactly."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srcli.degradations.names import Preset
from srcli.degradations.presets import DEGRADATIONS
from srcli.degradations.recipe import (
    Blur,
    GaussianNoise,
    Jpeg,
    PoissonNoise,
    Profile,
    Recipe,
    Resize,
    Sinc,
    degrade,
)
from srcli.degradations.resize import Filter, quantize, rescale
from srcli.errors import ConfigError

seeds = st.integers(0, 2**63 - 1)


def draw(preset: Preset, seed: int, scale: int = 4) -> Recipe:
    return DEGRADATIONS[preset].draw(scale, torch.Generator().manual_seed(seed))


@cache
def many() -> list[Recipe]:
    generator = torch.Generator().manual_seed(0)
    return [DEGRADATIONS[Preset.REALESRGAN].draw(4, generator) for _ in range(2000)]


@given(st.sampled_from(Preset), seeds, st.sampled_from([1, 2, 3, 4, 8]))
@settings(deadline=None)
def test_a_recipe_survives_json(preset, seed, scale):
    recipe = draw(preset, seed, scale)
    assert Recipe.from_json(recipe.to_json()) == recipe


@given(st.sampled_from(Preset), seeds)
@settings(deadline=None)
def test_a_seed_draws_one_recipe(preset, seed):
    assert draw(preset, seed) == draw(preset, seed)


@given(seeds)
@settings(deadline=None)
def test_real_esrgans_parameters_lie_in_its_ranges(seed):
    for step in draw(Preset.REALESRGAN, seed).steps:
        match step:
            case Blur(size=size, sigma=sigma, rotation=rotation, shape=shape, profile=profile):
                low, high = {"generalised": (0.5, 4), "plateau": (1, 2)}.get(profile, (1, 1))
                assert size in range(7, 22, 2)
                assert 0.2 <= min(sigma) <= max(sigma) <= 3
                assert abs(rotation) <= math.pi
                assert low <= shape <= high
            case Sinc(size=size, cutoff=cutoff):
                assert size in range(7, 22, 2)
                assert math.pi / 5 <= cutoff <= math.pi
            case Resize(fraction=fraction):
                assert 0.3 / 4 <= fraction <= 1.5
            case GaussianNoise(sigma=sigma):
                assert 1 <= sigma <= 30
            case PoissonNoise(strength=strength):
                assert 0.05 <= strength <= 3
            case Jpeg(quality=quality):
                assert 30 <= quality <= 95


@given(seeds)
@settings(deadline=None)
def test_real_esrgans_steps_come_in_its_order(seed):
    steps = [step.step for step in draw(Preset.REALESRGAN, seed).steps]
    shape = " ".join(name.replace("sinc", "blur").split("-")[-1] for name in steps)
    assert shape.startswith("blur resize noise jpeg ")
    rest = shape.removeprefix("blur resize noise jpeg ").removeprefix("blur ")
    ends = ("resize jpeg", "resize blur jpeg", "jpeg resize", "jpeg resize blur")
    assert rest in [f"resize noise {end}" for end in ends]


@pytest.mark.parametrize(
    ("what", "probability"),
    [
        (lambda steps: isinstance(steps[0], Sinc), 0.1),
        (lambda steps: isinstance(steps[0], Blur) and steps[0].profile is Profile.PLATEAU, 0.135),
        (lambda steps: steps[1].fraction < 1, 0.7),
        (lambda steps: isinstance(steps[2], GaussianNoise), 0.5),
        (lambda steps: steps[2].gray, 0.4),
        (lambda steps: isinstance(steps[4], Resize), 0.2),  # no second blur
        (lambda steps: isinstance(steps[-1], Jpeg), 0.5),
    ],
)
def test_real_esrgans_choices_are_as_frequent_as_published(what, probability):
    frequency = Counter(what(recipe.steps) for recipe in many())[True] / len(many())
    deviation = math.sqrt(probability * (1 - probability) / len(many()))
    assert frequency == pytest.approx(probability, abs=4.5 * deviation)


def test_all_filters_and_odd_sizes_are_drawn():
    steps = [step for recipe in many() for step in recipe.steps]
    filters = {step.filter for step in steps if isinstance(step, Resize)}
    assert filters == {Filter.AREA, Filter.BILINEAR, Filter.BICUBIC}
    assert {step.size for step in steps if isinstance(step, Blur)} == set(range(7, 22, 2))


@pytest.mark.parametrize("preset", Preset)
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_a_low_picture_has_its_size_and_eight_bits(preset, scale):
    low = degrade(torch.rand(2, 3, 24, 36), [draw(preset, seed, scale) for seed in (1, 2)])
    assert low.shape == (2, 3, 24 // scale, 36 // scale)
    assert 0 <= low.min() <= low.max() <= 1
    torch.testing.assert_close(low * 255, (low * 255).round(), atol=1e-4, rtol=0)


def test_the_same_seed_gives_the_same_bytes():
    image = torch.rand(1, 3, 32, 32)
    for seed in range(8):
        recipe = draw(Preset.REALESRGAN, seed)
        again = Recipe.from_json(recipe.to_json())
        assert torch.equal(degrade(image, [recipe]), degrade(image, [again]))


def test_another_global_seed_changes_nothing():
    image, recipe = torch.rand(1, 3, 32, 32), draw(Preset.REALESRGAN, 3)
    first = degrade(image, [recipe])
    torch.manual_seed(99)
    assert torch.equal(degrade(image, [recipe]), first)


def test_a_batch_of_four_is_four_single_pictures():
    images, recipes = torch.rand(4, 3, 32, 40), [draw(Preset.REALESRGAN, seed) for seed in range(4)]
    singles = [degrade(images[i : i + 1], recipes[i : i + 1]) for i in range(4)]
    assert torch.equal(degrade(images, recipes), torch.cat(singles))


def test_degrading_leaves_the_picture_as_it_is():
    image = torch.rand(1, 3, 32, 32)
    before = image.clone()
    degrade(image, [draw(Preset.REALESRGAN, 0)])
    assert torch.equal(image, before)


def test_the_bicubic_preset_is_the_protocol_of_the_tables():
    image = torch.rand(1, 3, 24, 36)
    low = degrade(image, [draw(Preset.BICUBIC, 0)])
    torch.testing.assert_close(low, quantize(rescale(image, 1 / 4)))


def test_a_size_that_the_scale_does_not_divide_is_refused():
    with pytest.raises(ConfigError, match="25 x 24 px cannot be shrunk 4 times"):
        degrade(torch.rand(1, 3, 25, 24), [draw(Preset.BICUBIC, 0)])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "text"),
        ('{"scale": 4, "steps": [{"step": "fog"}]}', "steps.0"),
        ('{"scale": 4, "steps": [{"step": "jpeg", "quality": 3, "qualty": 4}]}', "steps.0.jpeg"),
        ('{"scale": 4, "steps": [], "colour": 1}', "colour"),
    ],
)
def test_what_is_no_recipe_is_refused_with_its_place(text, place):
    with pytest.raises(ConfigError, match=place):
        Recipe.from_json(text)
