"""Objects from the tables of a training file: every choice there is, in three matches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from torch import Tensor, nn

from srcli.errors import ConfigError
from srcli.losses.adversarial import AdversarialLoss
from srcli.losses.balance import (
    AdaptiveGanBalance,
    Average,
    Balance,
    DynamicWeightAverage,
    StaticBalance,
    UncertaintyBalance,
    alone,
)
from srcli.losses.features import FeatureExtractor
from srcli.losses.frequency import FrequencyLoss
from srcli.losses.perceptual import PERCEPTUAL_PRESETS, PerceptualLoss, PerceptualRecipe
from srcli.losses.pixel import PixelLoss
from srcli.losses.spec import (
    AdaptiveGanSpec,
    AdversarialSpec,
    BalanceSpec,
    DiscriminatorSpec,
    DwaSpec,
    FrequencySpec,
    LossConfig,
    LossSpec,
    PatchDiscriminatorSpec,
    PerceptualSpec,
    PixelSpec,
    PowerVariationSpec,
    StaticSpec,
    StyleSpec,
    UncertaintySpec,
    UNetDiscriminatorSpec,
    VariationSpec,
    VggDiscriminatorSpec,
)
from srcli.losses.stack import LossStack, Term
from srcli.losses.style import StyleLoss
from srcli.losses.variation import VariationLoss
from srcli.models.discriminators import PatchDiscriminator, UNetDiscriminator, VGGDiscriminator


def build_losses(
    config: LossConfig,
    *,
    last_layer: nn.Parameter,
    discriminator: nn.Module | None = None,
    vgg: Mapping[str, Tensor] | None = None,
    average: Average = alone,
) -> LossStack:
    """The loss stack of a configuration, on the device of `last_layer`.

    `last_layer` is the weight of the generator's last convolution, `discriminator` the bare network
    (of `build_discriminator`), `vgg` the state dict of VGG19, `average` the mean over processes.
    UnavailableWeightsError where `vgg` is needed and not there.
    """
    taps = dict.fromkeys(tap for spec in config.losses.values() for tap in taps_of(spec))
    extractor = FeatureExtractor(vgg, taps) if taps else None
    terms = {
        name: Term(_loss(spec, discriminator, extractor), spec.weight)
        for name, spec in config.losses.items()
    }
    gan = [name for name, spec in config.losses.items() if isinstance(spec, AdversarialSpec)]
    content = [name for name in terms if name not in gan]
    balance = _balance(config.balance, content, gan, last_layer, average)
    return LossStack(balance, **terms).to(last_layer.device)


def build_discriminator(spec: DiscriminatorSpec) -> nn.Module:
    """A discriminator with fresh weights; `load_discriminator` gives it released ones."""
    match spec:
        case VggDiscriminatorSpec(channels=channels, input_px=input_px):
            return VGGDiscriminator(channels, input_px=input_px)
        case UNetDiscriminatorSpec(channels=channels):
            return UNetDiscriminator(channels)
        case PatchDiscriminatorSpec(channels=channels, norm=norm):
            return PatchDiscriminator(channels, norm=norm)
        case _:
            assert_never(spec)


def taps_of(spec: LossSpec) -> Iterator[str]:
    """The layers of VGG19 that a term looks at."""
    if isinstance(spec, PerceptualSpec):
        yield from _recipe(spec).layers
    elif isinstance(spec, StyleSpec):
        yield from spec.layers


def _recipe(spec: PerceptualSpec) -> PerceptualRecipe:
    if spec.layers is None:
        return PERCEPTUAL_PRESETS[spec.preset or "esrgan"]
    return PerceptualRecipe(layers=spec.layers, criterion=spec.criterion, rescale=spec.rescale)


def _loss(
    spec: LossSpec, discriminator: nn.Module | None, extractor: FeatureExtractor | None
) -> nn.Module:
    match spec:
        case PixelSpec(criterion=criterion, channels=channels, eps=eps):
            return PixelLoss(criterion, channels=channels, eps=eps)
        case FrequencySpec(scale=scale):
            return FrequencyLoss(scale)
        case VariationSpec():
            return VariationLoss("l1")
        case PowerVariationSpec():
            return VariationLoss("power-sum")
        case PerceptualSpec():
            assert extractor is not None, "taps_of names the layers of this term"
            return PerceptualLoss.of_recipe(extractor, _recipe(spec))
        case StyleSpec(layers=layers, criterion=criterion):
            assert extractor is not None, "taps_of names the layers of this term"
            return StyleLoss(extractor, layers, criterion=criterion)
        case AdversarialSpec():
            return _adversarial(spec, discriminator)
        case _:
            assert_never(spec)


def _adversarial(spec: AdversarialSpec, discriminator: nn.Module | None) -> AdversarialLoss:
    if discriminator is None:
        raise ConfigError(
            "the adversarial term has no discriminator", hint="build it from [discriminator]"
        )
    return AdversarialLoss(
        discriminator, spec.formula, reduction=spec.reduction, halved=spec.halved or False
    )


def _balance(
    spec: BalanceSpec,
    content: list[str],
    gan: list[str],
    last_layer: nn.Parameter,
    average: Average,
) -> Balance:
    match spec:
        case StaticSpec():
            return StaticBalance()
        case AdaptiveGanSpec(maximum=maximum, smoothing=smoothing, refresh_steps=refresh_steps):
            return AdaptiveGanBalance(
                last_layer,
                gan[0],
                maximum=maximum,
                smoothing=smoothing,
                refresh_steps=refresh_steps,
                average=average,
            )
        case DwaSpec(window_steps=window_steps, temperature=temperature):
            return DynamicWeightAverage(
                content, window_steps=window_steps, temperature=temperature, average=average
            )
        case UncertaintySpec(likelihood=likelihood, learning_rate=learning_rate):
            return UncertaintyBalance(
                content,
                likelihood=likelihood,
                learning_rate=learning_rate,
                device=last_layer.device,
            )
        case _:
            assert_never(spec)
