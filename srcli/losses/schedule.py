"""Weights that change with the step: pure functions of it, free of torch."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Annotated, Literal, Self, assert_never

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Strict, Tag, model_validator

StrictInt = Annotated[int, Strict()]
NotNegative = Annotated[float, Field(ge=0), Strict()]
# Lists of a file become tuples; what is in them is not converted.
Steps = Annotated[tuple[StrictInt, ...], Field(strict=False, min_length=1)]
Weights = Annotated[tuple[NotNegative, ...], Field(strict=False)]


class _Schedule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class _Ramp(_Schedule):
    """From weight `start` at step `from_step` to weight `stop` at step `to_step`, level outside."""

    start: NotNegative
    stop: NotNegative
    from_step: int = Field(default=0, ge=0)
    to_step: int

    @model_validator(mode="after")
    def _goes_forward(self) -> Self:
        if self.to_step <= self.from_step:
            raise ValueError("to_step must be after from_step")
        return self

    def progress(self, step: int) -> float:
        """How much of the way is done at a step, 0 to 1."""
        done = (step - self.from_step) / (self.to_step - self.from_step)
        return min(max(done, 0.0), 1.0)


class LinearSchedule(_Ramp):
    """A straight line from `start` to `stop`."""

    kind: Literal["linear"] = "linear"


class CosineSchedule(_Ramp):
    """Half a cosine from `start` to `stop`: slow, fast, slow."""

    kind: Literal["cosine"] = "cosine"


class StepSchedule(_Schedule):
    """weights[0] before steps[0], weights[1] from it on, and so forth."""

    kind: Literal["step"] = "step"
    steps: Steps
    weights: Weights

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.weights) != len(self.steps) + 1:
            raise ValueError("needs one more of weights than of steps")
        if list(self.steps) != sorted(set(self.steps)):
            raise ValueError("steps must grow")
        return self


Schedule = LinearSchedule | CosineSchedule | StepSchedule


def _kind(weight: object) -> object:
    """Which alternative a value of a file is meant for, so that errors speak of that one only."""
    if isinstance(weight, dict):
        return weight.get("kind")
    return weight.kind if isinstance(weight, Schedule) else "number"


Weight = Annotated[
    Annotated[NotNegative, Tag("number")]
    | Annotated[LinearSchedule, Tag("linear")]
    | Annotated[CosineSchedule, Tag("cosine")]
    | Annotated[StepSchedule, Tag("step")],
    Discriminator(_kind),
]


def weight_at(weight: Weight, step: int) -> float:
    """The weight at a step of the generator, counted from 0.

    >>> ramp = LinearSchedule(start=0.0, stop=0.1, from_step=100, to_step=200)
    >>> [weight_at(ramp, step) for step in (0, 100, 150, 200, 999)]
    [0.0, 0.0, 0.05, 0.1, 0.1]
    """
    match weight:
        case int() | float():
            return weight
        case LinearSchedule(start=start, stop=stop):
            return start + (stop - start) * weight.progress(step)
        case CosineSchedule(start=start, stop=stop):
            return stop + (start - stop) * (1 + math.cos(math.pi * weight.progress(step))) / 2
        case StepSchedule(steps=steps, weights=weights):
            return weights[bisect_right(steps, step)]
        case _:
            assert_never(weight)
