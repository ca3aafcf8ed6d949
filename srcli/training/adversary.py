"""The discriminator in training: its own loss, optimiser and clipping."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from srcli.losses.adversarial import AdversarialLoss, DiscriminatorReport


class Adversary:
    """A discriminator, its side of the game, and what moves it."""

    def __init__(self, loss: AdversarialLoss, optimizer: torch.optim.Optimizer) -> None:
        self.loss = loss
        self.optimizer = optimizer

    @property
    def discriminator(self) -> nn.Module:
        return self.loss.discriminator

    def judge(self, restored: Tensor, real: Tensor) -> DiscriminatorReport:
        """The discriminator's loss for (N, 3, H, W) twice; nothing flows to the generator."""
        return self.loss.discriminator_loss(restored, real)

    def state_dict(self) -> dict[str, Any]:
        """Weights, statistics and optimiser."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved adversary."""
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
