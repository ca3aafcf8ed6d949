"""Half precision without bands: only the ends of a network, where pictures are, stay in fp32.

    picture --fp32--> first convolution --half--> all between --half--> last convolution --fp32-->

Rounded to fp16, the bright half of [0, 1] has 1,024 levels, rounded to bf16 128: a gradient of 16
bits comes out in steps. Between the ends a pixel is many channels, each rounded in its own way, and
the last convolution averages that out. The ends are one or two hundredths of the work.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from srcli.models.compact import CompactNet
from srcli.models.network import Network
from srcli.models.rrdb import RRDBNet


def has_exact_ends(network: Network) -> bool:
    """Whether `to_half` leaves the ends of this network in fp32; ours only, it must know them."""
    return any(isinstance(part, RRDBNet | CompactNet) for part in network.modules())


def to_half(network: Network, dtype: torch.dtype) -> Network:
    """The same network in half precision, changed in place.

    With exact ends it takes and gives float32, whatever it computes in between.
    """
    ours = [part for part in network.modules() if isinstance(part, RRDBNet | CompactNet)]
    # Kept apart: what has once been rounded stays so when it is widened again.
    exact = [_at_the_ends(part) for part in ours]
    network.to(dtype)
    for part, (weights, buffers) in zip(ours, exact, strict=True):
        first, last = part.ends
        first.register_forward_hook(lambda module, taken, made: made.to(dtype))
        last.register_forward_pre_hook(_widened)
        for parameter, values in weights:
            parameter.data = values
        for name, buffer in buffers:
            setattr(part, name, buffer)
    return network


def _at_the_ends(
    part: RRDBNet | CompactNet,
) -> tuple[list[tuple[nn.Parameter, Tensor]], list[tuple[str, Tensor]]]:
    """The values of what meets pictures: convolutions, and the mean and deviation of ImageNet."""
    weights = [each for end in part.ends for each in end.parameters()]
    return [(each, each.data) for each in weights], list(part.named_buffers(recurse=False))


def _widened(module: nn.Module, taken: tuple[Tensor]) -> tuple[Tensor]:
    return (taken[0].float(),)
