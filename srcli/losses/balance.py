"""Factors on the weights of terms, found while training: most runs need none (`StaticBalance`).

    StaticBalance           all factors are 1
    AdaptiveGanBalance      the adversarial term pulls no harder than the others together
    DynamicWeightAverage    content terms that fall slowly count more
    UncertaintyBalance      content terms count by a learned variance

The last two never see an adversarial term: it does not fall steadily, so a ratio of its values
means nothing, and a hinge loss below zero would let a learned variance run away.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from srcli.losses.choices import Likelihood

State = dict[str, Any]  # tensors, numbers and None: what torch.load(weights_only=True) accepts
Average = Callable[[Tensor], Tensor]  # the mean of a tensor over the processes of a run

LOG_VARIANCE_LIMIT = 5.0  # factors stay within exp(-5) ... exp(5)
# Gradients are taken of so many times the value, for fp16 loses those of a mean over many pixels,
# from 6e-8 on. A power of two, so that in fp32 not a bit changes.
LOUDER = 2.0**12


def alone(values: Tensor) -> Tensor:
    """The average over the processes of a run that has one process."""
    return values


@dataclass(frozen=True, slots=True)
class Factors:
    """What to multiply weighted terms by (those not named: 1), and what to add to the total."""

    of: Mapping[str, Tensor] = field(default_factory=dict)
    penalty: Tensor | None = None


class Balance(ABC):
    """Turns the raw terms of a batch into factors; its state is part of the run's."""

    kind: ClassVar[str]
    balances: ClassVar[Literal["content", "adversarial"]]
    names: tuple[str, ...]  # of the terms that get a factor
    average: Average = staticmethod(alone)  # over the processes, where the factors need it

    @abstractmethod
    def factors(
        self, raw: Mapping[str, Tensor], weights: Mapping[str, float], *, step: int
    ) -> Factors:
        """Factors for one batch, without a synchronisation of the device.

        `raw` holds the unweighted terms with their graph, `weights` the user's weights at this
        step; terms of weight zero are in neither. Several batches may have the same step.
        """

    def optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        """Optimisers of what the balance learns, to be stepped together with the generator's."""
        return ()

    def state_dict(self) -> State:
        """All that a resumed run needs to go on exactly."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Take over the state of a saved run."""
        assert not state, "this balance has no state"


class StaticBalance(Balance):
    """The weights as they are."""

    kind = "static"
    balances = "content"
    names = ()

    def factors(
        self, raw: Mapping[str, Tensor], weights: Mapping[str, float], *, step: int
    ) -> Factors:
        return Factors()


class AdaptiveGanBalance(Balance):
    """Ratio of gradient norms at the last layer, for the adversarial term (arXiv:2012.09841).

    factor = |d content / d w| / (|d adversarial / d w| + eps), w the weights of the generator's
    last layer, content the weighted sum of all other terms, adversarial unweighted. It is clamped
    to [0, maximum]: 1 as in CodeFormer (VQGAN: 1e4), smoothed by an exponential average, and
    computed anew every `refresh_steps` steps: a backward pass through the losses, not through the
    generator. A ratio that is not finite is left out.
    """

    kind = "adaptive-gan"
    balances = "adversarial"

    def __init__(
        self,
        last_layer: nn.Parameter,
        name: str,
        *,
        maximum: float = 1.0,
        smoothing: float = 0.9,
        refresh_steps: int = 10,
        eps: float = 1e-4,
        average: Average = alone,
    ) -> None:
        self.names = (name,)
        self.last_layer = last_layer
        self.maximum = maximum
        self.smoothing = smoothing
        self.refresh_steps = refresh_steps
        self.eps = eps
        self.average = average
        self._factor: Tensor | None = None
        self._refreshed_at: int | None = None

    def factors(
        self, raw: Mapping[str, Tensor], weights: Mapping[str, float], *, step: int
    ) -> Factors:
        (name,) = self.names
        content = [weights[other] * value for other, value in raw.items() if other != name]
        if name not in raw or not content:
            return Factors()
        if self._is_due(step) and torch.is_grad_enabled():
            self._refresh(torch.stack(content).sum(), raw[name])
            self._refreshed_at = step
        if self._factor is None:
            return Factors()
        return Factors({name: self._factor.nan_to_num(0.0)})  # 0 while no ratio was a number

    def _is_due(self, step: int) -> bool:
        return self._refreshed_at is None or step - self._refreshed_at >= self.refresh_steps

    def _refresh(self, content: Tensor, adversarial: Tensor) -> None:
        ratio = self._pull(content) / (self._pull(adversarial) + self.eps)
        ratio = ratio.clamp(0.0, self.maximum)
        before = ratio
        if self._factor is not None:
            before = torch.where(self._factor.isfinite(), self._factor, ratio)
        smoothed = self.smoothing * before + (1 - self.smoothing) * ratio
        self._factor = torch.where(smoothed.isfinite(), smoothed, before)

    def _pull(self, value: Tensor) -> Tensor:
        """Norm of the gradient at the last layer, (), averaged over processes before the norm.

        Not a number where it is not finite. In fp16 that may be for `LOUDER` only.
        """
        norm = self._norm(value * LOUDER) / LOUDER
        if not norm.isfinite():
            norm = self._norm(value)
        return torch.where(norm.isfinite(), norm, torch.nan)

    def _norm(self, value: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(value, self.last_layer, retain_graph=True)
        norm: Tensor = torch.linalg.vector_norm(self.average(gradient.detach().float()))
        return norm

    def state_dict(self) -> State:
        factor = None if self._factor is None else self._factor.clone()
        return {"factor": factor, "refreshed_at": self._refreshed_at}

    def load_state_dict(self, state: State) -> None:
        factor = state["factor"]
        self._factor = None if factor is None else factor.to(self.last_layer.device)
        self._refreshed_at = state["refreshed_at"]


class DynamicWeightAverage(Balance):
    """Terms that fall slowly count more, for content terms (DWA, arXiv:1803.10704).

    factor_k = K · softmax(r_k / temperature), r_k the mean of term k over the last window of steps
    by that over the window before (epochs in the paper); 1 until two windows are full. Values
    that are not finite are left out of the means.
    """

    kind = "dwa"
    balances = "content"

    def __init__(
        self,
        names: Sequence[str],
        *,
        window_steps: int = 100,
        temperature: float = 2.0,
        average: Average = alone,
    ) -> None:
        self.names = tuple(names)
        self.window_steps = window_steps
        self.temperature = temperature
        self.average = average
        self._window = 0
        self._sums: Tensor | None = None  # (2, K): sums and counts of the open window
        self._means: list[Tensor] = []  # of the last two full windows, (K,) each

    def factors(
        self, raw: Mapping[str, Tensor], weights: Mapping[str, float], *, step: int
    ) -> Factors:
        self._go_to(next(iter(raw.values())).device)
        if step // self.window_steps != self._window:
            self._close_window()
            self._window = step // self.window_steps
        if torch.is_grad_enabled():
            self._observe(raw)
        if len(self._means) < 2:
            return Factors()
        before, last = self._means
        ratios = (last / before).nan_to_num(nan=1.0, posinf=1.0)
        shares = torch.softmax(ratios / self.temperature, dim=0) * len(self.names)
        return Factors({name: shares[k] for k, name in enumerate(self.names) if name in raw})

    def _observe(self, raw: Mapping[str, Tensor]) -> None:
        absent = next(iter(raw.values())).new_tensor(torch.nan)
        values = torch.stack([raw.get(name, absent).detach().float() for name in self.names])
        finite = values.isfinite()
        counted = torch.stack([torch.where(finite, values, 0.0), finite.float()])
        self._sums = counted if self._sums is None else counted + self._sums

    def _go_to(self, device: torch.device) -> None:
        """A resumed run's sums and means come from a file; elsewhere no process would add them."""
        self._sums = None if self._sums is None else self._sums.to(device)
        self._means = [means.to(device) for means in self._means]

    def _close_window(self) -> None:
        if self._sums is not None:
            sums, counts = self.average(self._sums)
            self._means = [*self._means, sums / counts][-2:]
        self._sums = None

    def state_dict(self) -> State:
        return {"window": self._window, "sums": self._sums, "means": list(self._means)}

    def load_state_dict(self, state: State) -> None:
        self._window = state["window"]
        self._sums = state["sums"]
        self._means = list(state["means"])


class UncertaintyBalance(Balance):
    """A learned variance for each content term (Kendall et al., arXiv:1705.07115).

    "gaussian", s = log sigma²: exp(-s)/2 · L + s/2, for squared errors. "laplace", s = log b:
    exp(-s) · L + s, for absolute errors; it starts as the weights are given, s = 0. L is the
    weighted term. s is held within ±5 and learned by an Adam of its own: see `optimizers`.
    """

    kind = "uncertainty"
    balances = "content"

    def __init__(
        self,
        names: Sequence[str],
        *,
        likelihood: Likelihood = "laplace",
        learning_rate: float = 1e-3,
        device: torch.device | str = "cpu",
    ) -> None:
        self.names = tuple(names)
        self.half = 0.5 if likelihood == "gaussian" else 1.0
        self.log_variance = nn.Parameter(torch.zeros(len(self.names), device=device))
        self._optimizer = torch.optim.Adam([self.log_variance], lr=learning_rate)

    def factors(
        self, raw: Mapping[str, Tensor], weights: Mapping[str, float], *, step: int
    ) -> Factors:
        with torch.no_grad():  # here, not in the formula, where it would end the gradient for good
            self.log_variance.clamp_(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)
        of = {name: k for k, name in enumerate(self.names) if name in raw}
        precision = self.half * torch.exp(-self.log_variance)
        penalty = self.half * self.log_variance[list(of.values())].sum()
        return Factors({name: precision[k] for name, k in of.items()}, penalty)

    def optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        return (self._optimizer,)

    def state_dict(self) -> State:
        return {
            "log_variance": self.log_variance.detach().clone(),
            "optimizer": self._optimizer.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        with torch.no_grad():
            self.log_variance.copy_(state["log_variance"])
        self._optimizer.load_state_dict(state["optimizer"])
