"""What a step was like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean

import torch
from torch import Tensor

from srcli.losses.adversarial import DiscriminatorReport
from srcli.losses.stack import LossReport, TermValue
from srcli.training.guard import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """One step: what it cost and what became of it. Tensors are on the device, detached."""

    step: int  # steps done
    losses: LossReport | None  # None while only the discriminator learns
    judged: DiscriminatorReport | None
    gradient_norm: Tensor
    rate: float
    verdict: Verdict

    def numbers(self) -> dict[str, float]:
        """Everything by name; this waits for the device."""
        found = {"rate": self.rate, "gradient_norm": float(self.gradient_norm)}
        if self.losses is not None:
            raw = self.losses.numbers()
            found |= {f"loss/{name}": value for name, (value, _) in raw.items()}
            found |= {
                f"weighted/{name}": each for name, (_, each) in raw.items() if name != "total"
            }
        if self.judged is not None:
            found["discriminator/loss"] = float(self.judged.total)
            found["discriminator/real"] = float(self.judged.real_logit)
            found["discriminator/restored"] = float(self.judged.restored_logit)
        return found


def mean_losses(reports: Sequence[LossReport]) -> LossReport | None:
    """The report of a batch from those of its parts, None from none."""
    if len(reports) < 2:
        return reports[0] if reports else None
    terms: Mapping[str, TermValue] = {
        name: TermValue(
            torch.stack([report.terms[name].raw for report in reports]).mean(),
            torch.stack([report.terms[name].weighted for report in reports]).mean(),
        )
        for name in reports[0].terms
    }
    return LossReport(torch.stack([report.total for report in reports]).mean(), terms)


def mean_judgements(reports: Sequence[DiscriminatorReport]) -> DiscriminatorReport | None:
    """The judgement of a batch from those of its parts, None from none."""
    if len(reports) < 2:
        return reports[0] if reports else None
    columns = [
        torch.stack([getattr(report, name) for report in reports]).mean()
        for name in ("total", "real_logit", "restored_logit")
    ]
    return DiscriminatorReport(*columns)


def mean_numbers(reports: Sequence[StepReport]) -> dict[str, float]:
    """The means over an interval, of what is finite; this waits for the device."""
    rows = [report.numbers() for report in reports]
    means = {}
    for name in {name: None for row in rows for name in row}:  # in their order
        values = [row[name] for row in rows if name in row and isfinite(row[name])]
        means[name] = fmean(values) if values else float("nan")
    return means
