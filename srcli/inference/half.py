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
    network.to(dtype)
    for part in network.modules():
        if isinstance(part, RRDBNet | CompactNet):
            first, last = part.ends
            first.float().register_forward_hook(lambda module, taken, made: made.to(dtype))
            last.float().register_forward_pre_hook(_widened)
            for name, buffer in part.named_buffers(recurse=False):
                setattr(part, name, buffer.float())
    return network


def _widened(module: nn.Module, taken: tuple[Tensor]) -> tuple[Tensor]:
    return (taken[0].float(),)
