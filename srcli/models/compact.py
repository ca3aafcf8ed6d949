"""The small generator of Real-ESRGAN (SRVGGNetCompact): a straight stack, one pixel-shuffle.

Attribute names are those of the released checkpoints (`body.N`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srcli.errors import BadWeightsError

PRELU = 0.25  # the slope that PyTorch begins with


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactConfig:
    """The shape of a CompactNet; the defaults are realesr-animevideov3."""

    image_channels: int = 3
    channels: int = 64
    convolutions: int = 16  # between the first and the last
    scale: int = 4


class CompactNet(nn.Module):
    """Convolutions with PReLU, a pixel-shuffle, and the nearest enlargement of the input added.

    (N, 3, H, W) in [0, 1] -> (N, 3, scale·H, scale·W), not clamped. Real-ESRGAN's repository
    (github.com/xinntao/Real-ESRGAN) introduced it; there is no paper.
    """

    def __init__(self, config: CompactConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or CompactConfig()
        layers: list[nn.Module] = []
        channels = config.image_channels
        for _ in range(config.convolutions + 1):
            layers += [
                nn.Conv2d(channels, config.channels, kernel_size=3, padding=1),
                nn.PReLU(config.channels),
            ]
            channels = config.channels
        enlarged = config.image_channels * config.scale**2
        self.body = nn.Sequential(*layers, nn.Conv2d(channels, enlarged, kernel_size=3, padding=1))

    @property
    def ends(self) -> tuple[nn.Conv2d, nn.Conv2d]:
        """The convolutions that see the image and make what is added to it."""
        first, last = self.body[0], self.body[-1]
        assert isinstance(first, nn.Conv2d) and isinstance(last, nn.Conv2d)
        return first, last

    def forward(self, image: Tensor) -> Tensor:
        detail = F.pixel_shuffle(self.body(image), self.config.scale)  # (N, 3, s·H, s·W)
        return detail + F.interpolate(image, scale_factor=self.config.scale, mode="nearest")


def fresh_compact(config: CompactConfig) -> CompactNet:
    """A network to be trained from nothing, with weights from torch's generator.

    He's initialisation for PReLU (arXiv:1502.01852), and a last layer of zeros: it begins as the
    nearest enlargement, which PyTorch's own initialisation takes a thousand steps to get back to.
    """
    network = CompactNet(config)
    convolutions = [layer for layer in network.body if isinstance(layer, nn.Conv2d)]
    for layer in convolutions:
        nn.init.kaiming_normal_(layer.weight, a=PRELU)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    nn.init.zeros_(convolutions[-1].weight)
    return network


def recognise_compact(state_dict: Mapping[str, Tensor]) -> CompactNet | None:
    """The network that a bare state dict describes, loaded; None when it describes another.

    Raises BadWeightsError when it is nearly one.
    """
    layers = sorted({int(m[1]) for m in map(_BODY_KEY.fullmatch, state_dict) if m})
    names = {f"body.{index}.weight" for index in layers}
    names |= {f"body.{index}.bias" for index in layers[::2]}
    if len(layers) < 5 or layers != list(range(len(layers))) or set(state_dict) != names:
        return None
    first, last = state_dict["body.0.weight"], state_dict[f"body.{layers[-1]}.weight"]
    if first.ndim != 4 or last.ndim != 4 or not first.numel():
        raise _misfit(f"shapes {tuple(first.shape)} and {tuple(last.shape)} at its ends")
    config = CompactConfig(
        image_channels=first.shape[1],
        channels=first.shape[0],
        convolutions=len(layers) // 2 - 1,
        scale=max(isqrt(last.shape[0] // first.shape[1]), 1),
    )
    with torch.device("meta"):
        network = CompactNet(config)
    tensors = {name: tensor.detach().float() for name, tensor in state_dict.items()}
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise _misfit(" ".join(str(error).split())[:300]) from None
    return network


def _misfit(problem: str) -> BadWeightsError:
    return BadWeightsError(
        f"the checkpoint looks like a Compact network but does not fit together: {problem}",
        hint="the file may be damaged; try another copy of it",
    )


_BODY_KEY = re.compile(r"body\.(\d+)\.(?:weight|bias)")
