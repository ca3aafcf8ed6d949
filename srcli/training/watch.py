"""Slow harm that no single number shows: colours that drift, a discriminator that has given up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from srcli.losses.adversarial import DiscriminatorReport

SMOOTHING = 0.98  # looks back over some fifty steps
PATIENCE = 50  # steps before a smoothed value is trusted
GAP_TOO_SMALL = 0.02  # difference of mean logits: the discriminator sees no difference
GAP_TOO_LARGE = 15.0  # it is so sure that the generator learns nothing but to fool it


class Watch:
    """Smoothed mean colours and logits, on the device; `warnings` waits for it, `observe` does not.

    A warning is given once, and again only after its cause had gone.
    """

    def __init__(self, *, drift_levels: float) -> None:
        self.drift_levels = drift_levels
        self._steps = 0
        self._drift: Tensor | None = None  # (3,), restored minus target, in [0, 1]
        self._gap: Tensor | None = None  # (), mean logit of real pictures minus of restored ones
        self._warned: set[str] = set()

    @torch.no_grad()
    def observe(self, restored: Tensor, target: Tensor, judged: DiscriminatorReport | None) -> None:
        """Take in a step: (N, 3, H, W) twice."""
        drift = (restored.detach().float() - target).mean(dim=(0, 2, 3))
        self._drift = _smoothed(self._drift, drift)
        if judged is not None:
            self._gap = _smoothed(self._gap, (judged.real_logit - judged.restored_logit).float())
        self._steps += 1

    def warnings(self) -> list[str]:
        """What has gone wrong since the last time."""
        found = dict(self._found()) if self._steps >= PATIENCE else {}
        fresh = [text for cause, text in found.items() if cause not in self._warned]
        self._warned = set(found)
        return fresh

    def _found(self) -> Iterator[tuple[str, str]]:
        if self._drift is not None:
            levels = [255 * value for value in self._drift.tolist()]
            if max(map(abs, levels)) > self.drift_levels:
                shown = ", ".join(f"{value:+.1f}" for value in levels)
                yield "drift", f"the colours drift: R, G, B are off by {shown} levels on average"
        if self._gap is not None:
            gap = abs(float(self._gap))
            if gap < GAP_TOO_SMALL:
                yield (
                    "collapse",
                    (
                        "the discriminator has collapsed: it gives real and restored pictures the "
                        "same logits; raise adversary.learning_rate, or start it from weights"
                    ),
                )
            elif gap > GAP_TOO_LARGE:
                yield (
                    "victory",
                    (
                        f"the discriminator has won: logits differ by {gap:.0f}; "
                        "lower adversary.learning_rate, or the weight of the adversarial term"
                    ),
                )

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {
            "steps": self._steps,
            "drift": self._drift,
            "gap": self._gap,
            "warned": sorted(self._warned),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved watch."""
        self._steps = state["steps"]
        self._drift, self._gap = state["drift"], state["gap"]
        self._warned = set(state["warned"])


def _smoothed(before: Tensor | None, now: Tensor) -> Tensor:
    """An exponential average; what is not finite is left out."""
    if before is None:
        return now.nan_to_num(0.0, 0.0, 0.0)
    before = before.to(now.device)  # a resumed run's may be elsewhere
    return torch.where(now.isfinite(), SMOOTHING * before + (1 - SMOOTHING) * now, before)
