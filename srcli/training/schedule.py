"""Learning rates by the step: pure functions of it, free of torch."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Annotated, Literal, Self, assert_never

from pydantic import Field, Strict, model_validator

from srcli.losses.spec import Positive, Table

StrictInt = Annotated[int, Strict()]


class _Schedule(Table):
    warmup_steps: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        default="auto", description="first steps, in which the rate grows from 0 to its full value"
    )


class ConstantSchedule(_Schedule):
    """The same rate all the time."""

    kind: Literal["constant"] = "constant"


class CosineSchedule(_Schedule):
    """Half a cosine from the full rate to the final one at the last step (arXiv:1608.03983)."""

    kind: Literal["cosine"] = "cosine"
    final_rate: float = Field(default=1e-7, ge=0, description="learning rate of the last step")


class MultistepSchedule(_Schedule):
    """The rate is multiplied by `factor` at each milestone."""

    kind: Literal["multistep"] = "multistep"
    milestone_steps: Annotated[tuple[StrictInt, ...], Field(strict=False, min_length=1)] = Field(
        description="steps from which on the rate is lower"
    )
    factor: Positive = Field(default=0.5, description="what a milestone multiplies the rate by")

    @model_validator(mode="after")
    def _goes_forward(self) -> Self:
        if list(self.milestone_steps) != sorted(set(self.milestone_steps)):
            raise ValueError("milestone_steps must grow")
        return self


RateSchedule = Annotated[
    ConstantSchedule | CosineSchedule | MultistepSchedule, Field(discriminator="kind")
]


def warmup_of(schedule: RateSchedule, steps: int) -> int:
    """The steps of the warm-up; "auto" is a twentieth of the run, at most 100.

    Adam's first step moves every weight by the whole rate, whatever its gradient: that alone can
    cost a trained network a decibel or two.
    """
    warmup = schedule.warmup_steps
    return min(100, steps // 20) if warmup == "auto" else warmup


def with_warmup(schedule: RateSchedule, steps: int) -> RateSchedule:
    """The schedule of a run of `steps`, its warm-up a number that stays when the run goes on."""
    return schedule.model_copy(update={"warmup_steps": warmup_of(schedule, steps)})


def rate_at(schedule: RateSchedule, step: int, *, steps: int, rate: float, first: int = 0) -> float:
    """The learning rate of a step, counted from 0, in a run of `steps` whose full rate is `rate`.

    The schedule begins with the step `first`. Milestones are steps of the run all the same.

    >>> cosine = CosineSchedule(final_rate=0.0, warmup_steps=0)
    >>> [round(rate_at(cosine, step, steps=101, rate=1.0), 3) for step in (0, 25, 50, 100)]
    [1.0, 0.854, 0.5, 0.0]
    """
    since, length = max(step - first, 0), steps - first
    warmup = warmup_of(schedule, length)
    if since < warmup:
        return rate * (since + 1) / (warmup + 1)
    match schedule:
        case ConstantSchedule():
            return rate
        case CosineSchedule(final_rate=final):
            progress = min((since - warmup) / max(length - 1 - warmup, 1), 1.0)
            return final + (rate - final) * (1 + math.cos(math.pi * progress)) / 2
        case MultistepSchedule(milestone_steps=milestones, factor=factor):
            return rate * factor ** bisect_right(milestones, step)
        case _:
            assert_never(schedule)
