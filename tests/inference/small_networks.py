"""Small networks whose answers can be known, for the tests of inference."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srcli.inference.precision import Precision, Runner
from srcli.inference.rows import TensorSink, TensorSource
from srcli.models.network import Network, Traits, wrap_rrdb
from srcli.models.rrdb import RRDBConfig, RRDBNet


class Sees(nn.Module):
    """A convolution that sees exactly `radius` pixels to each side, then an enlargement."""

    def __init__(self, radius: int, scale: int = 1, fold: int = 1) -> None:
        super().__init__()
        self.scale, self.fold = scale, fold
        generator = torch.Generator().manual_seed(radius)
        side = 2 * radius + 1
        kernel = torch.rand(3 * fold**2, 3 * fold**2, side, side, generator=generator)
        self.weight = nn.Parameter(kernel / kernel.sum((1, 2, 3), keepdim=True))

    def forward(self, image: Tensor) -> Tensor:
        folded = F.pixel_unshuffle(image, self.fold)
        seen = F.conv2d(folded, self.weight, padding=self.weight.shape[-1] // 2)
        return F.interpolate(F.pixel_shuffle(seen, self.fold), scale_factor=self.scale)


class Identity(nn.Module):
    """Nearest enlargement; `fails` is called with every batch and may raise or change it."""

    def __init__(self, scale: int = 1, fails: Callable[[Tensor], Tensor] = lambda image: image):
        super().__init__()
        self.scale, self.fails = scale, fails
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, image: Tensor) -> Tensor:
        return F.interpolate(self.fails(image * self.one), scale_factor=self.scale)


def seeing(radius: int, *, scale: int = 1, fold: int = 1) -> Network:
    body = Sees(radius, scale, fold).requires_grad_(False)
    traits = Traits(
        architecture="test", scale=scale, multiple=fold, halo_px=radius * fold, supports_half=True
    )
    return Network(body, traits)


def identity(scale: int = 1, fails: Callable[[Tensor], Tensor] = lambda image: image) -> Network:
    body = Identity(scale, fails).requires_grad_(False)
    return Network(body, Traits(architecture="test", scale=scale, halo_px=0))


def tiny_rrdb(**config: int) -> Network:
    """A random RRDB network whose every convolution shows in the output."""
    torch.manual_seed(sum(config.values()))
    body = RRDBNet(RRDBConfig(**{"channels": 6, "growth": 4, "blocks": 1, **config}))
    for parameter in body.parameters():
        parameter.data.copy_(torch.randn_like(parameter) * (0.6 * parameter[0].numel()) ** -0.5)
    return wrap_rrdb(body.eval().requires_grad_(False))


def runner(network: Network, precision: Precision = Precision.FP32, **notes) -> Runner:
    return Runner(network, torch.device("cpu"), precision, **notes)


def picture(height: int, width: int, *, low: float = 0.1) -> Tensor:
    """Noise in [low, 1], (3, height, width): the hardest picture for borders of tiles."""
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return low + (1 - low) * torch.rand(3, height, width, generator=generator)


def ends(image: Tensor, scale: int) -> tuple[TensorSource, TensorSink]:
    """Where a run reads `image`, and where it writes: NaN until then."""
    height, width = image.shape[-2:]
    blank = torch.full((3, height * scale, width * scale), float("nan"))
    return TensorSource(image), TensorSink(blank)
