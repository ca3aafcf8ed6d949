"""The tables [losses.NAME], [discriminator] and [balance] of a training file.

Free of torch. `srcli.losses.tables` reads them, `srcli.losses.build` makes the objects.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from srcli.losses.choices import (
    Channels,
    Criterion,
    Formula,
    Likelihood,
    PerceptualPreset,
    Reduction,
    SpectrumScale,
)
from srcli.losses.schedule import Weight

LAYER = re.compile(r"(conv|relu)([12]_[12]|[345]_[1-4])")
TERM_NAME = r"^[a-z][a-z0-9_-]*$"


def _known_layers(layers: dict[str, float]) -> dict[str, float]:
    for name in layers:
        if not LAYER.fullmatch(name):
            raise ValueError(f"VGG19 has no layer {name}, only conv1_1 ... relu5_4")
    return layers


Positive = Annotated[float, Field(gt=0)]
Layers = Annotated[dict[str, Positive], Field(min_length=1), AfterValidator(_known_layers)]


class Table(BaseModel):
    """A table of a training file: unknown keys and wrong types are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class PixelSpec(Table):
    """Distance of pixels: L1, MSE or Charbonnier, of RGB or of luma only."""

    kind: Literal["pixel"] = "pixel"
    weight: Weight = 1.0
    criterion: Criterion = "l1"
    channels: Channels = "rgb"
    eps: Positive = Field(default=1e-3, description="Charbonnier's, in units of a pixel's value")


class FrequencySpec(Table):
    """L1 of the spectra."""

    kind: Literal["frequency"] = "frequency"
    weight: Weight = 0.1
    scale: SpectrumScale = "ortho"


class PerceptualSpec(Table):
    """Distance of VGG19 features: a published preset (ESRGAN's if nothing is said), or layers."""

    kind: Literal["perceptual"] = "perceptual"
    weight: Weight = 1.0
    preset: PerceptualPreset | None = Field(default=None, description="esrgan if left away")
    layers: Layers | None = Field(default=None, description="layer = weight, { conv5_4 = 1.0 }")
    criterion: Criterion = "l1"
    rescale: Positive = Field(default=1.0, description="multiplies features; SRGAN's is 1/12.75")

    @model_validator(mode="after")
    def _is_preset_or_layers(self) -> Self:
        own = self.model_fields_set & {"layers", "criterion", "rescale"}
        if own and (self.preset is not None or self.layers is None):
            raise ValueError("a preset fixes layers, criterion and rescale: give it, or layers")
        return self


class StyleSpec(Table):
    """Distance of Gram matrices of VGG19 features."""

    kind: Literal["style"] = "style"
    # 120, L1 and these depths (the last layer before each pooling) are those of arXiv:1804.07723.
    weight: Weight = 120.0
    layers: Layers = {"relu1_2": 1.0, "relu2_2": 1.0, "relu3_4": 1.0}
    criterion: Criterion = "l1"


class VariationSpec(Table):
    """Total variation, the mean of |dx| plus that of |dy|."""

    kind: Literal["variation"] = "variation"
    # 0.05 on photographs, so 5e-4: a fortieth of a pixel loss of 0.02.
    weight: Weight = 1e-2


class PowerVariationSpec(Table):
    """Total variation, the sum of (dx² + dy²)^1.25 over the picture."""

    kind: Literal["power-variation"] = "power-variation"
    # Measured in 128 x 128 px: photographs 50 to 200, uniform noise 13,600. So photographs pay
    # 1e-4, nothing beside a pixel loss of 0.02, and noise pays as much as that whole loss. It is
    # a sum: the weight belongs to the patch, for twice the side divide it by four.
    weight: Weight = 1e-6


class AdversarialSpec(Table):
    """The discriminator's opinion."""

    kind: Literal["adversarial"] = "adversarial"
    weight: Weight = 0.1
    formula: Formula = "bce"
    reduction: Reduction | None = Field(default=None, description="of srgan; sum if left away")
    halved: bool | None = Field(default=None, description="of relativistic, which must say it")

    @model_validator(mode="after")
    def _says_what_is_hidden(self) -> Self:
        if (self.formula == "relativistic") != (self.halved is not None):
            raise ValueError(
                'formula = "relativistic" needs halved = true (as BasicSR computes it) or false '
                "(as the paper prints it); no other formula has it"
            )
        if self.reduction is not None and self.formula != "srgan":
            raise ValueError('only formula = "srgan" has a choice of reduction')
        return self


LossSpec = Annotated[
    PixelSpec
    | FrequencySpec
    | PerceptualSpec
    | StyleSpec
    | VariationSpec
    | PowerVariationSpec
    | AdversarialSpec,
    Field(discriminator="kind"),
]


KINDS = (
    "pixel",
    "frequency",
    "perceptual",
    "style",
    "variation",
    "power-variation",
    "adversarial",
)


class VggDiscriminatorSpec(Table):
    """One logit per picture."""

    kind: Literal["vgg"] = "vgg"
    channels: int = Field(default=64, ge=1)
    input_px: Literal[128] | None = Field(default=None, description="128, or any size from 32 on")


class UNetDiscriminatorSpec(Table):
    """One logit per pixel, spectral norm."""

    kind: Literal["unet"] = "unet"
    channels: int = Field(default=64, ge=1)


class PatchDiscriminatorSpec(Table):
    """One logit per 70 x 70 patch."""

    kind: Literal["patch"] = "patch"
    channels: int = Field(default=64, ge=1)
    norm: Literal["batch", "instance", "spectral"] = "batch"


DiscriminatorSpec = Annotated[
    VggDiscriminatorSpec | UNetDiscriminatorSpec | PatchDiscriminatorSpec,
    Field(discriminator="kind"),
]


class StaticSpec(Table):
    """Weights as they are written."""

    kind: Literal["static"] = "static"


class AdaptiveGanSpec(Table):
    """Adversarial weight times a ratio of gradient norms at the last layer."""

    kind: Literal["adaptive-gan"] = "adaptive-gan"
    maximum: Positive = 1.0
    smoothing: float = Field(default=0.9, ge=0, lt=1)
    refresh_steps: int = Field(default=10, ge=1)


class DwaSpec(Table):
    """Content terms that fall slowly count more."""

    kind: Literal["dwa"] = "dwa"
    window_steps: int = Field(default=100, ge=1)
    temperature: Positive = 2.0


class UncertaintySpec(Table):
    """Content terms count by a learned variance."""

    kind: Literal["uncertainty"] = "uncertainty"
    likelihood: Likelihood = "laplace"
    learning_rate: Positive = 1e-3


BalanceSpec = Annotated[
    StaticSpec | AdaptiveGanSpec | DwaSpec | UncertaintySpec, Field(discriminator="kind")
]


class LossConfig(Table):
    """What a network is trained for; the training file's own class can extend it."""

    losses: dict[Annotated[str, Field(pattern=TERM_NAME)], LossSpec] = Field(min_length=1)
    discriminator: DiscriminatorSpec | None = None
    balance: BalanceSpec = StaticSpec()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        adversarial = [n for n, spec in self.losses.items() if isinstance(spec, AdversarialSpec)]
        if len(adversarial) > 1:
            raise ValueError(f"one adversarial term, not {', '.join(adversarial)}")
        if adversarial and self.discriminator is None:
            raise ValueError(f"losses.{adversarial[0]} needs a table [discriminator]")
        if not adversarial and self.discriminator is not None:
            raise ValueError("[discriminator] needs an adversarial term among [losses]")
        content = len(self.losses) - len(adversarial)
        self._check_balance(content, is_gan=bool(adversarial))
        return self

    def _check_balance(self, content: int, *, is_gan: bool) -> None:
        match self.balance:
            case AdaptiveGanSpec() if not (is_gan and content):
                raise ValueError("adaptive-gan balances an adversarial term against others")
            case DwaSpec() | UncertaintySpec() if content < 2:
                raise ValueError(f"{self.balance.kind} needs two terms that are not adversarial")
            case _:
                pass

    @property
    def needs_vgg(self) -> bool:
        """Whether a term looks at features, so that the weights of VGG19 must be there."""
        return any(isinstance(spec, PerceptualSpec | StyleSpec) for spec in self.losses.values())
