"""What "auto" means: numbers from the device and the length of the run. Pure, free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from srcli.errors import ConfigError
from srcli.losses.spec import Table, UNetDiscriminatorSpec, VggDiscriminatorSpec
from srcli.training.config import (
    AdversarySpec,
    AverageSpec,
    Precision,
    TrainingConfig,
)
from srcli.training.schedule import with_warmup

Spec = TypeVar("Spec", bound=Table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the choice hangs on."""

    is_accelerated: bool  # a GPU of any kind
    precisions: tuple[str, ...]  # that it computes fast in, as `srcli doctor` names them
    cores: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Every number that a run needs, none of them "auto"."""

    steps: int
    batch: int
    accumulation: int
    patch_px: int
    precision: Precision
    warmup_steps: int  # of the discriminator
    decay: float
    validate_every: int
    largest_px: int
    save_every: int
    log_every: int
    workers: int

    def written_into(self, config: TrainingConfig) -> TrainingConfig:
        """The configuration with these numbers in place of "auto"."""
        adversary = None
        if config.is_gan:
            spec = config.adversary or AdversarySpec()
            adversary = _with(spec, warmup_steps=self.warmup_steps)
        return config.model_copy(
            update={
                "data": _with(config.data, workers=self.workers),
                "training": _with(
                    config.training,
                    steps=self.steps,
                    batch=self.batch,
                    accumulation=self.accumulation,
                    patch_px=self.patch_px,
                    precision=self.precision,
                ),
                "schedule": with_warmup(config.schedule, self.steps),
                "adversary": adversary,
                "average": _with(config.average, decay=self.decay),
                "validation": _with(
                    config.validation, every_steps=self.validate_every, largest_px=self.largest_px
                ),
                "checkpoints": _with(config.checkpoints, every_steps=self.save_every),
                "log": _with(config.log, every_steps=self.log_every),
            }
        )


def settle(config: TrainingConfig, machine: Machine, *, scale: int) -> Settled:
    """The numbers of a run; ConfigError where the patch does not suit scale or discriminator."""
    fast, training = machine.is_accelerated, config.training
    steps = _or(training.steps, 5000 if fast else 300)
    rarely = _or(config.validation.every_steps, min(max(steps // 10, 1), 1000))
    patch_px = _or(training.patch_px, max(48 * scale, 128) if fast else max(24 * scale, 96))
    _check_patch(config, patch_px, scale)
    adversary = config.adversary or AdversarySpec()
    # A discriminator that starts from nothing would at first pull anywhere.
    fresh = 0 if adversary.weights or not config.is_gan else min(500, steps // 10)
    return Settled(
        steps=steps,
        batch=_or(training.batch, 16 if fast else 4),
        accumulation=_or(training.accumulation, 1),
        patch_px=patch_px,
        precision=_precision(training.precision, machine),
        warmup_steps=_or(adversary.warmup_steps, fresh),
        # The average looks back over a tenth of the run: in a short one 0.999 would lag behind.
        decay=_decay(config.average, steps),
        validate_every=rarely,
        # On a CPU a 12-megapixel photograph takes minutes.
        largest_px=_or(config.validation.largest_px, 0 if fast else 768),
        save_every=_or(config.checkpoints.every_steps, rarely),
        log_every=_or(config.log.every_steps, min(max(steps // 100, 1), 50)),
        workers=_or(config.data.workers, min(4, machine.cores) if fast else 1),
    )


def _or(value: int | str, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _decay(average: AverageSpec, steps: int) -> float:
    if isinstance(average.decay, float):
        return average.decay
    return max(0.0, min(0.999, round(1 - 10 / steps, 4)))


def _precision(wanted: Precision, machine: Machine) -> Precision:
    if wanted == "auto":
        if not machine.is_accelerated:
            return "fp32"
        return next((each for each in ("bf16", "fp16") if each in machine.precisions), "fp32")
    if wanted not in machine.precisions:
        raise ConfigError(
            f"training.precision: this device has no {wanted} to train in",
            hint=f"use one of {', '.join(machine.precisions)}",
        )
    return wanted


def _check_patch(config: TrainingConfig, patch_px: int, scale: int) -> None:
    multiple, reason = scale, f"the scale {scale}"
    if isinstance(config.discriminator, UNetDiscriminatorSpec) and patch_px % 8:
        multiple, reason = 8, "8, which the U-Net discriminator needs"
    if patch_px % multiple:
        raise ConfigError(
            f"training.patch_px: {patch_px} is no multiple of {reason}",
            hint=f"use {max(1, round(patch_px / multiple)) * multiple} px",
        )
    wanted = 0
    if isinstance(config.discriminator, VggDiscriminatorSpec):
        wanted = config.discriminator.input_px or 0
    if wanted and patch_px != wanted:
        raise ConfigError(
            f"training.patch_px: the discriminator takes {wanted} px, not {patch_px}",
            hint=f"use a patch of {wanted} px, or leave discriminator.input_px away",
        )


def _with(table: Spec, **values: object) -> Spec:
    return table.model_copy(update=values)
