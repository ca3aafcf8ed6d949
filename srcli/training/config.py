"""The training file: every table, every key, every default. Free of torch.

A value "auto" is settled when the run starts, from the device and the pictures: see
`srcli.training.defaults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from srcli.errors import ConfigError
from srcli.losses.spec import AdversarialSpec, LossConfig, Positive, Table
from srcli.losses.tables import problems
from srcli.training.schedule import CosineSchedule, RateSchedule

Auto = Literal["auto"]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Betas = Annotated[tuple[Beta, Beta], Field(strict=False)]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Score = Literal["psnr", "ssim", "lpips"]

HINT = (
    "see docs/reference/training-config.md, or print a valid file: srcli train --print-config psnr"
)


class PretrainedSpec(Table):
    """Go on from weights that exist: an RRDB or a Compact network."""

    kind: Literal["pretrained"] = "pretrained"
    weights: str = Field(
        default="realesrgan-x4plus", description="name, file or hf:// address, as of --model"
    )
    scale: Count | None = Field(default=None, description="refuse weights of any other scale")


class RrdbSpec(Table):
    """Start from nothing: ESRGAN's network."""

    kind: Literal["rrdb"] = "rrdb"
    scale: Literal[1, 2, 4] = Field(default=4, description="side of the output over the input's")
    channels: Count = Field(default=64, description="features between the blocks")
    growth: Count = Field(
        default=32, description="features that a convolution adds; spandrel loads only 32"
    )
    blocks: Count = Field(default=23, description="residual-in-residual blocks")


class CompactSpec(Table):
    """Start from nothing: the small network of Real-ESRGAN's video models."""

    kind: Literal["compact"] = "compact"
    scale: Literal[1, 2, 3, 4] = Field(default=4, description="side of the output over the input's")
    channels: Count = Field(default=64, description="features")
    convolutions: Count = Field(default=16, description="between the first and the last")


NetworkSpec = Annotated[PretrainedSpec | RrdbSpec | CompactSpec, Field(discriminator="kind")]


class DataSpec(Table):
    """The pictures."""

    high: str = Field(min_length=1, description="folder of good pictures, searched to the bottom")
    low: str | None = Field(
        default=None, description="folder of their low halves; without it they are made"
    )
    degradation: Literal["bicubic", "area", "lanczos", "light", "realesrgan"] = Field(
        default="bicubic", description="how low pictures are made: see `srcli degrade --help`"
    )
    sharpened_target: bool = Field(
        default=False, description="train towards sharpened pictures, as Real-ESRGAN does"
    )
    validation_fraction: Rate = Field(
        default=0.1, description="part of the pictures that is kept to validate on"
    )
    validation_at_most: Count = Field(default=20, description="pictures to validate on")
    workers: Annotated[int, Field(ge=0)] | Auto = Field(
        default="auto", description="threads that prepare pairs"
    )
    cache_gib: Positive = Field(default=2.0, description="memory for decoded pictures")


class TrainingSpec(Table):
    """The steps."""

    steps: Count | Auto = Field(default="auto", description="of the whole run")
    batch: Count | Auto = Field(default="auto", description="pairs of a step, in each process")
    accumulation: Count | Auto = Field(
        default="auto", description="parts that a batch goes through the network in"
    )
    patch_px: Annotated[int, Field(ge=16)] | Auto = Field(
        default="auto", description="side of a high patch"
    )
    precision: Precision = Field(
        default="auto", description="auto: bf16 or fp16 on CUDA, fp32 elsewhere"
    )
    gradient_clip: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="largest norm of a gradient; 0 lets every norm pass"
    )
    compile: bool = Field(default=False, description="torch.compile: minutes first, then faster")
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="of pictures, crops, weights")


class OptimizerSpec(Table):
    """What moves the generator."""

    kind: Literal["adam", "adamw"] = Field(default="adam", description="adam or adamw")
    learning_rate: Rate = Field(
        default=1e-4, description="half of what the papers train from nothing with, or less"
    )
    betas: Betas = Field(default=(0.9, 0.99), description="of Adam's two averages")
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="pull of the weights towards 0"
    )


class AdversarySpec(Table):
    """What moves the discriminator, where there is one."""

    weights: str | None = Field(
        default=None, description="name or file to start from; none starts from nothing"
    )
    learning_rate: Rate = Field(default=1e-4, description="of the discriminator")
    betas: Betas = Field(default=(0.9, 0.99), description="of Adam's two averages")
    warmup_steps: Annotated[int, Field(ge=0)] | Auto = Field(
        default="auto", description="first steps, in which only the discriminator learns"
    )


class AverageSpec(Table):
    """The moving average of the weights, which is validated and saved."""

    decay: Beta | Auto = Field(default="auto", description="of each step; 0 averages nothing")


class ValidationSpec(Table):
    """How good the network is meanwhile."""

    every_steps: Count | Auto = Field(default="auto", description="steps between two validations")
    keep_best_by: Score = Field(default="psnr", description="psnr or ssim, on luma, or lpips")
    largest_px: Annotated[int, Field(ge=0)] | Auto = Field(
        default="auto", description="longest side of the middle part that is scored; 0: all of it"
    )
    samples: Annotated[int, Field(ge=0)] = Field(default=4, description="pictures on a sheet")


class CheckpointsSpec(Table):
    """What a stopped run goes on from."""

    every_steps: Count | Auto = Field(default="auto", description="steps between two checkpoints")
    keep: Count = Field(default=3, description="last ones that stay, beside the best")


class GuardSpec(Table):
    """What is done when numbers run away."""

    patience: Count = Field(
        default=3, description="bad steps in a row that are only left out, before each measure"
    )
    lower_by: Rate = Field(default=0.5, description="first measure: the rate is multiplied by it")
    recovery_steps: Count = Field(
        default=200, description="good steps in a row after which all is forgotten"
    )
    drift_levels: Positive = Field(
        default=4.0, description="levels of 255 by which mean colours may be off before a warning"
    )


class LogSpec(Table):
    """What is written down."""

    every_steps: Count | Auto = Field(default="auto", description="steps between two lines")
    tensorboard: bool = Field(default=True, description="write for TensorBoard if it is installed")


class TeacherSpec(Table):
    """A large network that the trained one learns to imitate."""

    weights: str = Field(description="name, file or hf:// address")
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="of the teacher's picture in the target, against the high one"
    )


class TrainingConfig(LossConfig):
    """A whole training file."""

    network: NetworkSpec = PretrainedSpec()
    data: DataSpec
    training: TrainingSpec = TrainingSpec()
    optimizer: OptimizerSpec = OptimizerSpec()
    schedule: RateSchedule = CosineSchedule()
    adversary: AdversarySpec | None = None
    average: AverageSpec = AverageSpec()
    validation: ValidationSpec = ValidationSpec()
    checkpoints: CheckpointsSpec = CheckpointsSpec()
    guard: GuardSpec = GuardSpec()
    log: LogSpec = LogSpec()
    teacher: TeacherSpec | None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.adversary is not None and not self.is_gan:
            raise ValueError("[adversary] needs an adversarial term among [losses]")
        batch, parts = self.training.batch, self.training.accumulation
        if batch != "auto" and parts != "auto" and batch % parts:
            raise ValueError(f"training.batch {batch} cannot be cut into {parts} equal parts")
        if self.data.low is not None and "degradation" in self.data.model_fields_set:
            raise ValueError("data.low has the low pictures already: leave data.degradation away")
        return self

    @property
    def is_gan(self) -> bool:
        """Whether a discriminator takes part."""
        return any(isinstance(spec, AdversarialSpec) for spec in self.losses.values())


def parse_config(tables: Mapping[str, object], *, source: str) -> TrainingConfig:
    """The configuration of parsed TOML; ConfigError names each problem's place in `source`."""
    try:
        return TrainingConfig.model_validate(dict(tables))
    except ValidationError as error:
        raise ConfigError(f"{source}: {problems(error, tables)}", hint=HINT) from None


def config_tables(config: TrainingConfig) -> dict[str, Any]:
    """The configuration as the tables of its file, without what is not there."""
    tables: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    if config.data.low is not None:
        del tables["data"]["degradation"]
    return tables


def json_schema() -> dict[str, Any]:
    """The schema that editors check a training file with."""
    schema = TrainingConfig.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
