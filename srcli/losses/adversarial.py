"""The game of generator and discriminator: both sides of each formula, from one definition.

A discriminator gives a logit per picture, (N, 1), or per pixel, (N, 1, H, W). `cost` says what a
logit costs that ought to say "real" or "restored"; a formula is how the two sides add costs up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srcli.errors import ConfigError
from srcli.losses.choices import Formula, Reduction
from srcli.losses.pixel import precise


def cost(logits: Tensor, *, is_real: bool, formula: Formula) -> Tensor:
    """What each logit costs the discriminator if the picture is real or not; shape unchanged.

    With x = logit for real pictures and x = -logit for others: -log sigmoid(x) = softplus(-x) for
    "srgan", "bce" and "relativistic" (never infinite, as -log of a rounded sigmoid is), and
    max(0, 1 - x) for "hinge". "lsgan" is (logit - label)², label 1 or 0.
    """
    match formula:
        case "srgan" | "bce" | "relativistic":
            return F.softplus(-logits if is_real else logits)
        case "lsgan":
            return (logits - float(is_real)).square()
        case "hinge":
            return F.relu(1 - logits if is_real else 1 + logits)
        case _:
            assert_never(formula)


def discriminator_loss(
    real: Tensor, restored: Tensor, *, formula: Formula, halved: bool = False
) -> Tensor:
    """Mean cost of calling real pictures real, plus mean cost of calling restored ones restored.

    Relativistic average (arXiv:1807.00734, arXiv:1809.00219 eq. 1): each logit is compared with
    the mean logit of the other kind over the whole batch, and the gradient flows through the
    means too. `halved` multiplies by 1/2, as BasicSR does without saying so.
    """
    real, restored = precise(real), precise(restored)
    if formula == "relativistic":
        real, restored = real - restored.mean(), restored - real.mean()
    total = (
        cost(real, is_real=True, formula=formula).mean()
        + cost(restored, is_real=False, formula=formula).mean()
    )
    return total / 2 if halved else total


def generator_loss(
    restored: Tensor,
    real: Tensor | None = None,
    *,
    formula: Formula,
    reduction: Reduction = "mean",
    halved: bool = False,
) -> Tensor:
    """The restored pictures' cost of not passing for real ones.

    "relativistic" is the discriminator's loss with the roles exchanged (arXiv:1809.00219, eq. 2),
    so it needs `real`; "hinge" is the mean of -logit (arXiv:1705.02894); all others are the cost of
    calling a restored picture real. reduction="sum" adds up over the batch (and takes the mean
    over the pixels of a per-pixel discriminator), as in eq. 6 of SRGAN (arXiv:1609.04802).
    """
    if formula == "relativistic":
        if real is None:
            raise ValueError("the relativistic loss compares with the logits of real pictures")
        return discriminator_loss(restored, real, formula=formula, halved=halved)
    restored = precise(restored)
    costs = -restored if formula == "hinge" else cost(restored, is_real=True, formula=formula)
    per_picture = costs.flatten(start_dim=1).mean(dim=1)  # (N,)
    return per_picture.sum() if reduction == "sum" else per_picture.mean()


@dataclass(frozen=True, slots=True)
class DiscriminatorReport:
    """The discriminator's loss, and its mean logits: both equal for long means it has collapsed."""

    total: Tensor
    real_logit: Tensor  # (), detached
    restored_logit: Tensor  # (), detached


@dataclass(frozen=True, slots=True)
class _SharedLogits:
    target: Tensor
    versions: tuple[int, ...]
    logits: Tensor


class AdversarialLoss(nn.Module):
    """A discriminator's opinion as a term, (restored, target) -> (); and its own loss.

    The term is the generator's side: one pass of the discriminator, and one without gradient over
    the target where the formula is relativistic. The discriminator's weights get no gradient
    from it. `discriminator_loss` is the other side, for the discriminator's optimiser.

    Where the discriminator has not changed in between and its forward pass is repeatable, the
    logits of the target are computed once and used by both sides: exactly the same numbers.
    Spectral norm is not repeatable (each pass refines its estimate): those are computed again.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        formula: Formula = "bce",
        *,
        reduction: Reduction | None = None,
        halved: bool = False,
    ) -> None:
        super().__init__()
        check_formula(formula, reduction=reduction, halved=halved)
        self.discriminator = discriminator
        self.formula: Formula = formula
        self.reduction: Reduction = reduction or ("sum" if formula == "srgan" else "mean")
        self.halved = halved
        self._shared: _SharedLogits | None = None

    @property
    def sums_over_batch(self) -> bool:
        """Whether two pictures cost twice as much as one."""
        return self.reduction == "sum"

    def forward(self, restored: Tensor, target: Tensor) -> Tensor:
        self.forget()
        with frozen(self.discriminator):
            logits = self.discriminator(restored)
        real = self._real_logits(target) if self.formula == "relativistic" else None
        return generator_loss(
            logits, real, formula=self.formula, reduction=self.reduction, halved=self.halved
        )

    def discriminator_loss(self, restored: Tensor, target: Tensor) -> DiscriminatorReport:
        """The discriminator's side, (N, 3, H, W) twice; nothing flows back to the generator."""
        real = self._take_shared(target)
        if real is None:
            real = self.discriminator(target)
        fake = self.discriminator(restored.detach())
        total = discriminator_loss(real, fake, formula=self.formula, halved=self.halved)
        return DiscriminatorReport(total, real.detach().mean(), fake.detach().mean())

    def forget(self) -> None:
        """Let go of what the generator's side left for the other one, which may never come."""
        self._shared = None

    def _real_logits(self, target: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and is_repeatable(self.discriminator)):
            with torch.no_grad():
                logits: Tensor = self.discriminator(target)
            return logits
        logits = self.discriminator(target)
        self._shared = _SharedLogits(target, self._versions(target), logits)
        return logits.detach()

    def _take_shared(self, target: Tensor) -> Tensor | None:
        shared, self._shared = self._shared, None  # a graph can be walked back only once
        if shared is None or shared.target is not target:
            return None
        return shared.logits if shared.versions == self._versions(target) else None

    def _versions(self, target: Tensor) -> tuple[int, ...]:
        """Counters that grow with each change in place: an optimiser's step, for instance."""
        return (target._version, *(p._version for p in self.discriminator.parameters()))


def check_formula(formula: Formula, *, reduction: Reduction | None, halved: bool) -> None:
    """Refuse a choice that the formula has not, rather than ignore it."""
    if reduction is not None and formula != "srgan":
        raise ConfigError(
            f"{formula} has no choice of reduction, it is a mean",
            hint='leave `reduction` away, or use formula = "srgan"',
        )
    if halved and formula != "relativistic":
        raise ConfigError(
            f"{formula} has no hidden half", hint="halve the weight of the term instead"
        )


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Lend a network as a fixed function: inside, its parameters need no gradient."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def is_repeatable(network: nn.Module) -> bool:
    """Whether a second pass in training gives the same numbers: no spectral norm, no dropout.

    Batch normalisation is: in training it uses the batch's own statistics.
    """
    has_power_iteration = any(name.endswith("_u") for name, _ in network.named_buffers())
    return not has_power_iteration and not any(
        isinstance(module, nn.Dropout | nn.Dropout2d) for module in network.modules()
    )
