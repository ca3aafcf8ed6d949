"""Networks that tell real pictures from restored ones, named as in the released checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Literal, assert_never

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from srcli.errors import BadWeightsError, ConfigError

PatchNorm = Literal["batch", "instance", "spectral"]

LEAK = 0.2  # slope of all rectifiers here, as in the released networks


class VGGDiscriminator(nn.Module):
    """Strided VGG with batch norm and one logit per picture (arXiv:1609.04802, fig. 4).

    (N, 3, H, W) in [0, 1] -> (N, 1). With input_px=128 only pictures of 128 x 128 are taken, as by
    BasicSR's VGGStyleDiscriminator, whose attribute names these are. With input_px=None any
    size from 32 on is: the last features are averaged to 4 x 4, which changes nothing at 128, so
    the same weights serve both.
    """

    stages = 5  # each halves the picture
    smallest_px = 32

    def __init__(self, channels: int = 64, *, input_px: int | None = None) -> None:
        super().__init__()
        if input_px not in (None, 128):
            raise ConfigError(
                f"the VGG discriminator has no size {input_px}",
                hint="use input_px = 128, or leave it away for any size",
            )
        self.input_px = input_px
        self.conv0_0 = nn.Conv2d(3, channels, kernel_size=3, padding=1)
        self.conv0_1 = _halving(channels, channels)
        self.bn0_1 = nn.BatchNorm2d(channels)
        previous = channels
        for stage in range(1, self.stages):
            width = channels * min(2**stage, 8)
            convolution = nn.Conv2d(previous, width, kernel_size=3, padding=1, bias=False)
            self.add_module(f"conv{stage}_0", convolution)
            self.add_module(f"bn{stage}_0", nn.BatchNorm2d(width))
            self.add_module(f"conv{stage}_1", _halving(width, width))
            self.add_module(f"bn{stage}_1", nn.BatchNorm2d(width))
            previous = width
        self.linear1 = nn.Linear(previous * 4 * 4, 100)
        self.linear2 = nn.Linear(100, 1)

    def forward(self, image: Tensor) -> Tensor:
        self._check(image)
        features = _leaky(self.conv0_0(image))  # (N, C, H, W)
        for convolution, norm in self._pairs():
            features = _leaky(norm(convolution(features)))
        features = F.adaptive_avg_pool2d(features, 4)  # (N, 8·C, H/32, W/32) -> (N, 8·C, 4, 4)
        logits: Tensor = self.linear2(_leaky(self.linear1(features.flatten(start_dim=1))))
        return logits  # (N, 1)

    def _pairs(self) -> Iterator[tuple[nn.Module, nn.Module]]:
        for stage in range(self.stages):
            for position in (0, 1) if stage else (1,):
                place = f"{stage}_{position}"
                yield self.get_submodule(f"conv{place}"), self.get_submodule(f"bn{place}")

    def _check(self, image: Tensor) -> None:
        height, width = image.shape[-2:]
        if self.input_px is not None and (height, width) != (self.input_px, self.input_px):
            raise ConfigError(
                f"this discriminator takes {self.input_px} x {self.input_px} pictures, "
                f"not {height} x {width}",
                hint=f"use patches of {self.input_px} px, or leave `input_px` away",
            )
        deepest = image.shape[0] * (height // 32) * (width // 32)  # values per channel to normalise
        if min(height, width) < self.smallest_px or (self.training and deepest < 2):
            raise ConfigError(
                f"{len(image)} of {height} x {width} is too little for the VGG discriminator",
                hint="use patches of at least 64 px, or of 32 px in a batch of two or more",
            )


class UNetDiscriminator(nn.Module):
    """U-Net with spectral norm and one logit per pixel (arXiv:2107.10833, section 3.3).

    (N, 3, H, W) in [0, 1], H and W multiples of 8 -> (N, 1, H, W). Attribute names are those of
    BasicSR's UNetDiscriminatorSN, so `RealESRGAN_x4plus_netD.pth` loads.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        # The older spectral_norm: its weight_orig, weight_u, weight_v are what the files contain.
        wide = [channels, channels * 2, channels * 4, channels * 8]
        narrow = partial(nn.Conv2d, kernel_size=3, padding=1, bias=False)
        self.conv0 = nn.Conv2d(3, wide[0], kernel_size=3, padding=1)
        self.conv1 = spectral_norm(_halving(wide[0], wide[1]))
        self.conv2 = spectral_norm(_halving(wide[1], wide[2]))
        self.conv3 = spectral_norm(_halving(wide[2], wide[3]))
        self.conv4 = spectral_norm(narrow(wide[3], wide[2]))
        self.conv5 = spectral_norm(narrow(wide[2], wide[1]))
        self.conv6 = spectral_norm(narrow(wide[1], wide[0]))
        self.conv7 = spectral_norm(narrow(wide[0], wide[0]))
        self.conv8 = spectral_norm(narrow(wide[0], wide[0]))
        self.conv9 = nn.Conv2d(wide[0], 1, kernel_size=3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        if height % 8 or width % 8:
            raise ConfigError(
                f"the U-Net discriminator cannot halve {height} x {width} pictures three times",
                hint="use a patch (of the restored picture) that is a multiple of 8 px",
            )
        whole = _leaky(self.conv0(image))  # (N, C, H, W)
        half = _leaky(self.conv1(whole))  # (N, 2·C, H/2, W/2)
        quarter = _leaky(self.conv2(half))  # (N, 4·C, H/4, W/4)
        features = _leaky(self.conv3(quarter))  # (N, 8·C, H/8, W/8)
        features = _leaky(self.conv4(_doubled(features))) + quarter
        features = _leaky(self.conv5(_doubled(features))) + half
        features = _leaky(self.conv6(_doubled(features))) + whole
        features = _leaky(self.conv8(_leaky(self.conv7(features))))
        logits: Tensor = self.conv9(features)
        return logits  # (N, 1, H, W)


class PatchDiscriminator(nn.Module):
    """A logit for each 70 x 70 patch: the PatchGAN of pix2pix (arXiv:1611.07004, section 3.2).

    (N, 3, H, W) in [0, 1], H and W at least 32 -> (N, 1, H/8 - 2, W/8 - 2). norm="batch" is the
    paper's, "instance" does not look at the rest of the batch, "spectral" is the custom of
    networks trained on degraded pictures (arXiv:2103.14006).
    """

    smallest_px = 32

    def __init__(self, channels: int = 64, *, norm: PatchNorm = "batch") -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, channels, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(LEAK),
            *_normed(norm, channels, channels * 2, stride=2),
            *_normed(norm, channels * 2, channels * 4, stride=2),
            *_normed(norm, channels * 4, channels * 8, stride=1),
            nn.Conv2d(channels * 8, 1, kernel_size=4, padding=1),
        )

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        if min(height, width) < self.smallest_px:
            raise ConfigError(
                f"{height} x {width} pictures are too small for the patch discriminator",
                hint=f"use patches of at least {self.smallest_px} px",
            )
        logits: Tensor = self.layers(image)
        return logits


def load_discriminator(discriminator: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Give a discriminator released weights; BadWeightsError where they are not of its kind."""
    wanted = discriminator.state_dict()
    wrong = sorted(wanted.keys() ^ state_dict.keys()) or [
        key for key, value in wanted.items() if value.shape != state_dict[key].shape
    ]
    if wrong:
        raise BadWeightsError(
            f"not the weights of a {type(discriminator).__name__}: {wrong[0]} "
            f"({len(wrong)} entries missing, unknown or of another shape)",
            hint="name weights of this kind of discriminator, or another kind in [discriminator]",
        )
    discriminator.load_state_dict(state_dict)


def _leaky(features: Tensor) -> Tensor:
    return F.leaky_relu(features, LEAK)


def _doubled(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)


def _halving(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=4, stride=2, padding=1, bias=False)


def _normed(norm: PatchNorm, inputs: int, outputs: int, *, stride: int) -> Iterator[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel_size=4, stride=stride, padding=1, bias=False)
    match norm:
        case "batch":
            yield from (convolution, nn.BatchNorm2d(outputs))
        case "instance":
            yield from (convolution, nn.InstanceNorm2d(outputs))
        case "spectral":
            yield spectral_norm(convolution)
        case _:
            assert_never(norm)
    yield nn.LeakyReLU(LEAK)
