"""The moving average of a network's weights: what is validated and saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """average ← decay · average + (1 − decay) · weights after each step, from the start weights.

    Of parameters only; buffers are the network's own.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self._parameters = dict(network.named_parameters())
        self._average = {
            name: parameter.detach().clone() for name, parameter in self._parameters.items()
        }

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now."""
        now = [parameter.detach() for parameter in self._parameters.values()]
        torch._foreach_lerp_(list(self._average.values()), now, 1 - self.decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Lend the average to the network; the weights in training come back at the end."""
        own = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        self._fill(self._average)
        try:
            yield
        finally:
            self._fill(own)

    def state_dict(self) -> dict[str, Tensor]:
        """The average by parameter name."""
        return dict(self._average)

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a saved average."""
        for name, value in self._average.items():
            value.copy_(state[name])

    @torch.no_grad()
    def _fill(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(values[name])
