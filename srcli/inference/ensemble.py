"""The x8 self-ensemble: eight flips and turns of the input, their results turned back, averaged.

From "Seven ways to improve example-based single image super resolution" (arXiv:1511.02228).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import torch
from torch import Tensor, nn

from srcli.models.network import Network


class SelfEnsemble(nn.Module):
    """A body that averages `body` over the eight symmetries of the square; the same shapes."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, image: Tensor) -> Tensor:
        total: Tensor | None = None
        for is_turned, flips in product((False, True), ([], [-1], [-2], [-2, -1])):
            seen = image.transpose(-2, -1) if is_turned else image
            restored = self.body(torch.flip(seen, flips)).flip(flips)
            restored = restored.transpose(-2, -1) if is_turned else restored
            total = restored if total is None else total + restored
        assert total is not None
        return total / 8


def ensemble(network: Network) -> Network:
    """The same network, run eight times as slowly and a little better."""
    # The inner network takes RGB whatever its architecture takes; the outer one only pads.
    return Network(SelfEnsemble(network), replace(network.traits, channels=3, is_batchable=True))
