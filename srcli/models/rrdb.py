"""The generator of ESRGAN and Real-ESRGAN (arXiv:1809.00219, arXiv:2107.10833), top to bottom.

Attribute names are those of the released checkpoints, so that a state dict fits as it is.

    image -> [unshuffle] -> conv_first ----------------------------+
                               |                                   |
                               +-> body (blocks) -> conv_body -> (+) -> conv_up1 .. conv_upN
                                                                         -> conv_hr -> conv_last
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
RESIDUAL_SCALE = 0.2
INITIAL_GAIN = 0.1  # the papers' "smaller initialisation", applied to the dense blocks only


@dataclass(frozen=True, slots=True, kw_only=True)
class RRDBConfig:
    """The shape of an RRDBNet; the defaults are the released 23-block x4 network."""

    in_channels: int = 3  # of the image, before pixel-unshuffle
    out_channels: int = 3
    channels: int = 64
    growth: int = 32  # channels that each dense convolution adds
    blocks: int = 23
    scale: int = 4  # output side over input side: 1, 2, 4, 8 or 16
    unshuffle: int = 1  # the input is folded by this factor first (x2plus: 2)
    upsampling: Literal["nearest", "shuffle"] = "nearest"
    slope: float = 0.2  # of every LeakyReLU below zero
    imagenet_normalised: bool = False  # input and output in ImageNet's normalised range inside

    def __post_init__(self) -> None:
        enlargement = self.scale * self.unshuffle
        if min(self.channels, self.growth, self.blocks, self.scale, self.unshuffle) < 1:
            raise ValueError(f"every size must be at least 1: {self}")
        if enlargement & (enlargement - 1):
            raise ValueError(f"scale x unshuffle must be a power of two: {self}")
        if self.imagenet_normalised and (self.in_channels, self.out_channels) != (3, 3):
            raise ValueError(f"ImageNet's normalisation must have three channels: {self}")

    @property
    def doublings(self) -> int:
        """How often the features are enlarged by two."""
        return (self.scale * self.unshuffle).bit_length() - 1


class DenseBlock(nn.Module):
    """Five densely connected convolutions with a scaled residual (arXiv:1809.00219, fig. 4).

    (N, C, H, W) -> (N, C, H, W) with C = channels.
    """

    def __init__(self, channels: int, growth: int, slope: float) -> None:
        super().__init__()
        self.conv1 = _convolution(channels, growth)
        self.conv2 = _convolution(channels + growth, growth)
        self.conv3 = _convolution(channels + 2 * growth, growth)
        self.conv4 = _convolution(channels + 3 * growth, growth)
        self.conv5 = _convolution(channels + 4 * growth, channels)
        self.slope = slope

    def forward(self, features: Tensor) -> Tensor:
        dense = features
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            grown = F.leaky_relu_(convolution(dense), self.slope)  # (N, growth, H, W)
            dense = torch.cat((dense, grown), 1)
        return torch.add(features, self.conv5(dense), alpha=RESIDUAL_SCALE)


class ResidualInResidualBlock(nn.Module):
    """Three dense blocks inside one more scaled residual; the same shape out as in."""

    def __init__(self, channels: int, growth: int, slope: float) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(channels, growth, slope)
        self.rdb2 = DenseBlock(channels, growth, slope)
        self.rdb3 = DenseBlock(channels, growth, slope)

    def forward(self, features: Tensor) -> Tensor:
        residual = self.rdb3(self.rdb2(self.rdb1(features)))
        return torch.add(features, residual, alpha=RESIDUAL_SCALE)


class RRDBNet(nn.Module):
    """Residual-in-residual dense blocks, then nearest x2 and a convolution per doubling.

    (N, in_channels, H, W) in [0, 1] -> (N, out_channels, scale·H, scale·W), not clamped.
    H and W must be multiples of `unshuffle`. With `upsampling="shuffle"`, `slope=0.01`,
    `growth=channels` and `imagenet_normalised` it is the generator of the PyTorch-GAN project,
    which many tutorials print.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: RRDBConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RRDBConfig()
        channels, widened = config.channels, config.channels
        if config.upsampling == "shuffle":
            widened = 4 * channels
        self.conv_first = _convolution(config.in_channels * config.unshuffle**2, channels)
        self.body = nn.Sequential(
            *(
                ResidualInResidualBlock(channels, config.growth, config.slope)
                for _ in range(config.blocks)
            )
        )
        self.conv_body = _convolution(channels, channels)
        for index in range(1, config.doublings + 1):
            self.add_module(f"conv_up{index}", _convolution(channels, widened))
        self.conv_hr = _convolution(channels, channels)
        self.conv_last = _convolution(channels, config.out_channels)
        self.register_buffer("mean", _per_channel(IMAGENET_MEAN), persistent=False)
        self.register_buffer("std", _per_channel(IMAGENET_STD), persistent=False)
        self._initialise()

    @property
    def upsamplers(self) -> list[nn.Conv2d]:
        """conv_up1, conv_up2, ... in the order of the forward pass."""
        named = (self.get_submodule(f"conv_up{i + 1}") for i in range(self.config.doublings))
        return [module for module in named if isinstance(module, nn.Conv2d)]

    @property
    def ends(self) -> tuple[nn.Conv2d, nn.Conv2d]:
        """The convolutions that see the image and make the picture."""
        return self.conv_first, self.conv_last

    def forward(self, image: Tensor) -> Tensor:
        config = self.config
        if config.imagenet_normalised:
            image = (image - self.mean) / self.std
        if config.unshuffle > 1:
            image = F.pixel_unshuffle(image, config.unshuffle)  # (N, C·u², H/u, W/u)
        shallow = self.conv_first(image)  # (N, C, H/u, W/u)
        features = shallow + self.conv_body(self.body(shallow))
        for convolution in self.upsamplers:
            features = self._double(features, convolution)
        features = F.leaky_relu_(self.conv_hr(features), config.slope)  # (N, C, s·H, s·W)
        restored: Tensor = self.conv_last(features)
        return restored * self.std + self.mean if config.imagenet_normalised else restored

    def _double(self, features: Tensor, convolution: nn.Conv2d) -> Tensor:
        if self.config.upsampling == "shuffle":
            return F.pixel_shuffle(F.leaky_relu_(convolution(features), self.config.slope), 2)
        # Nearest, not bilinear: the released checkpoints were trained with it.
        features = F.interpolate(features, scale_factor=2, mode="nearest")
        return F.leaky_relu_(convolution(features), self.config.slope)

    @torch.no_grad()
    def _initialise(self) -> None:
        if self.conv_first.weight.is_meta:
            return  # nothing to draw, and torch would load its compiler for it, which takes seconds
        for block in self.body.modules():
            if isinstance(block, nn.Conv2d) and block.bias is not None:
                nn.init.kaiming_normal_(block.weight)
                block.weight.mul_(INITIAL_GAIN)
                block.bias.zero_()


def _convolution(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)


def _per_channel(values: tuple[float, ...]) -> Tensor:
    # On the CPU even where a network is built without memory (`torch.device("meta")`).
    return torch.tensor(values, device="cpu").view(1, -1, 1, 1)
