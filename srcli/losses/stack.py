"""Terms, their weights and their sum: what a training step calls.

losses = LossStack(
    pixel=Term(PixelLoss("charbonnier"), weight=1e-2),
    realism=Term(AdversarialLoss(discriminator), weight=5e-3),
)
report = losses(restored, target, step=step)
report.total.backward()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srcli.errors import ConfigError
from srcli.losses.adversarial import AdversarialLoss
from srcli.losses.balance import Balance, State, StaticBalance
from srcli.losses.features import FeatureExtractor
from srcli.losses.pixel import precise
from srcli.losses.schedule import Weight, weight_at

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Term:
    """A loss, (restored, target) -> (), and its weight: a number or a schedule of the step."""

    loss: Loss
    weight: Weight = 1.0

    @property
    def is_adversarial(self) -> bool:
        return isinstance(self.loss, AdversarialLoss)


@dataclass(frozen=True, slots=True)
class TermValue:
    """One term of one batch, before and after its weight (and its balance): detached, ()."""

    raw: Tensor
    weighted: Tensor


@dataclass(frozen=True, slots=True)
class LossReport:
    """The sum to go backward from, and its terms as they are, still on the device."""

    total: Tensor
    terms: Mapping[str, TermValue]

    def numbers(self) -> dict[str, tuple[float, float]]:
        """(raw, weighted) of each term, and of the "total": this waits for the device, once."""
        pairs = [
            torch.stack([value.raw.float(), value.weighted.float()])
            for value in self.terms.values()
        ]
        total = self.total.detach().float()
        rows = torch.stack([*pairs, total.expand(2)]).tolist()
        return {
            name: (row[0], row[1]) for name, row in zip([*self.terms, "total"], rows, strict=True)
        }


class LossStack:
    """Sum of weighted terms: (N, 3, H, W) restored and target, RGB in [0, 1] -> LossReport.

    A term whose weight is zero at a step is not computed and not reported. Terms that look at
    features share one pass of VGG19 (see `FeatureExtractor`).
    """

    def __init__(self, balance: Balance | None = None, /, **terms: Term) -> None:
        self.terms = dict(terms)
        self.balance: Balance = balance or StaticBalance()
        _check(self.terms, self.balance)
        self._extractors = _extractors(self.terms)

    def __call__(
        self,
        restored: Tensor,
        target: Tensor,
        *,
        real: Tensor | None = None,
        step: int = 0,
        micro_batches: int = 1,
    ) -> LossReport:
        """Evaluate all terms.

        `real`, where it differs from `target`, is what the discriminator holds for real
        (Real-ESRGAN sharpens the target of the other terms). `step` drives schedules and balances.
        `micro_batches`: so many parts of one large batch have their gradients averaged, one after
        another or in several processes; terms that sum over the batch are multiplied, so that the
        result is that of the large batch.
        """
        weights = {name: weight_at(term.weight, step) for name, term in self.terms.items()}
        weights = {name: weight for name, weight in weights.items() if weight}
        if not weights:
            raise ConfigError(
                f"all losses have weight zero at step {step}", hint="let one term always count"
            )
        raw = self._evaluate(list(weights), restored, target, target if real is None else real)
        for name in raw:
            loss = self.terms[name].loss
            if micro_batches > 1 and isinstance(loss, AdversarialLoss) and loss.sums_over_batch:
                raw[name] = raw[name] * micro_batches
        return self._sum(raw, weights, step=step)

    @property
    def adversarial(self) -> AdversarialLoss | None:
        """The adversarial term, whose `discriminator_loss` trains the discriminator."""
        losses = [term.loss for term in self.terms.values()]
        return next((loss for loss in losses if isinstance(loss, AdversarialLoss)), None)

    def optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        """Optimisers of a balance that learns: zero and step them with the generator's."""
        return self.balance.optimizers()

    def to(self, device: torch.device | str) -> LossStack:
        """Move the networks of the terms (VGG19, discriminator) to a device."""
        for term in self.terms.values():
            if isinstance(term.loss, nn.Module):
                term.loss.to(device)
        return self

    def state_dict(self) -> State:
        """What a resumed run needs of the balance; networks are not in it."""
        return {
            "kind": self.balance.kind,
            "names": list(self.balance.names),
            "state": self.balance.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from a saved run; ConfigError if it was balanced in another way."""
        ours = (self.balance.kind, list(self.balance.names))
        if (state["kind"], state["names"]) != ours:
            raise ConfigError(
                f"the checkpoint balances {state['names']} by {state['kind']}, "
                f"the configuration {ours[1]} by {ours[0]}",
                hint="resume with the [losses] and [balance] the run was started with",
            )
        self.balance.load_state_dict(state["state"])

    def _evaluate(
        self, names: list[str], restored: Tensor, target: Tensor, real: Tensor
    ) -> dict[str, Tensor]:
        with ExitStack() as batch:
            for extractor in self._extractors:
                batch.enter_context(extractor.sharing())
            terms = [(name, self.terms[name]) for name in names]
            return {
                name: term.loss(restored, real if term.is_adversarial else target)
                for name, term in terms
            }

    def _sum(self, raw: dict[str, Tensor], weights: dict[str, float], *, step: int) -> LossReport:
        factors = self.balance.factors(raw, weights, step=step)
        weighted = {
            name: weights[name] * factors.of.get(name, 1.0) * value for name, value in raw.items()
        }
        total = torch.stack([precise(value) for value in weighted.values()]).sum()
        if factors.penalty is not None:
            total = total + factors.penalty
        values = {name: TermValue(raw[name].detach(), weighted[name].detach()) for name in raw}
        return LossReport(total, values)


def _extractors(terms: Mapping[str, Term]) -> list[FeatureExtractor]:
    found = {
        id(module): module
        for term in terms.values()
        if isinstance(term.loss, nn.Module)
        for module in term.loss.modules()
        if isinstance(module, FeatureExtractor)
    }
    return list(found.values())


def _check(terms: Mapping[str, Term], balance: Balance) -> None:
    if not terms:
        raise ConfigError("there is no loss to train for", hint="name at least one term")
    is_gan = balance.balances == "adversarial"
    allowed = [name for name, term in terms.items() if term.is_adversarial == is_gan]
    refused = [name for name in balance.names if name not in allowed]
    if refused:
        raise ConfigError(
            f"{balance.kind} cannot balance {', '.join(refused)}, only {balance.balances} terms",
            hint=f"let it balance some of: {', '.join(allowed) or 'none there is'}",
        )
