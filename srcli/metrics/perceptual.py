"""How alike two pictures look to people: distances between the features of a trained network.

    restored ─┐                 ┌─ features ── unit length ─┐
              ├─ scaled ─ trunk ┤                           ├─ difference² ─ head ─ mean ─ sum
    target  ──┘                 └─ features ── unit length ─┘        (at each of five depths)

LPIPS: R. Zhang et al., arXiv:1801.03924, version 0.1 of the released heads. ST-LPIPS: A. Ghildyal
and F. Liu, arXiv:2207.13686, whose trunk blurs before each step of two, so that a shift of a pixel
or two, which nobody sees, costs next to nothing. The numbers of two trunks cannot be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srcli.errors import BadWeightsError, ImageError

SMALLEST_PX = 32  # below it the deepest features of AlexNet are empty
SHIFT, DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of pictures in [-1, 1]
EPSILON = 1e-10


class Trunk(StrEnum):
    """The network whose features are compared."""

    ALEX = "alex"  # LPIPS, the one that most tables of the field use
    VGG = "vgg"  # LPIPS on VGG16
    ALEX_SHIFT_TOLERANT = "alex-shift-tolerant"  # ST-LPIPS


class PerceptualDistance(nn.Module):
    """LPIPS or ST-LPIPS: two (N, 3, H, W) RGB in [0, 1] -> (N,), 0 for equal pictures.

    Frozen, in evaluation mode; H and W are 32 px or more, else ImageError.
    """

    shift: Tensor
    deviation: Tensor

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.stages = nn.ModuleList(_stages(trunk))
        channels = [_last_channels(stage) for stage in self.stages]
        self.heads = nn.ModuleList(nn.Conv2d(count, 1, 1, bias=False) for count in channels)
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), False)
        self.requires_grad_(False).eval()

    @classmethod
    def from_weights(
        cls, trunk: Trunk, features: Mapping[str, Tensor], heads: Mapping[str, Tensor]
    ) -> Self:
        """With the trunk of torchvision's file (or of ST-LPIPS) and the released linear heads.

        ST-LPIPS has both in one file: give it twice. Raises BadWeightsError where a tensor is
        missing or of another shape.
        """
        distance = cls(trunk)
        convolutions = [each for each in distance.stages.modules() if isinstance(each, nn.Conv2d)]
        for name, convolution in zip(_convolution_names(trunk), convolutions, strict=True):
            _fill(convolution.weight, features, f"{name}.weight", trunk)
            assert convolution.bias is not None
            _fill(convolution.bias, features, f"{name}.bias", trunk)
        for depth, head in enumerate(distance.heads):
            assert isinstance(head, nn.Conv2d)
            _fill(head.weight, heads, f"lin{depth}.model.1.weight", trunk)
        return distance

    def forward(self, restored: Tensor, target: Tensor) -> Tensor:
        if min(restored.shape[-2:]) < SMALLEST_PX:
            height, width = restored.shape[-2:]
            raise ImageError(
                f"LPIPS needs {SMALLEST_PX} x {SMALLEST_PX} px, not {width} x {height}",
                hint="compare larger pictures",
            )
        total = restored.new_zeros(restored.shape[0])
        ours, theirs = self._scaled(restored), self._scaled(target)
        for stage, head in zip(self.stages, self.heads, strict=True):
            ours, theirs = stage(ours), stage(theirs)  # (N, C, h, w)
            difference = (_unit(ours) - _unit(theirs)).square()
            total = total + head(difference).mean(dim=(1, 2, 3))
        return total

    def _scaled(self, picture: Tensor) -> Tensor:
        return (2 * picture - 1 - self.shift) / self.deviation


class Blur(nn.Module):
    """A binomial 3x3 blur that keeps every second pixel: (N, C, H, W) -> (N, C, H/2 + 1, W/2 + 1).

    Two pixels are mirrored at each border, one more than the kernel needs, as in ST-LPIPS.
    """

    def forward(self, features: Tensor) -> Tensor:
        taps = features.new_tensor([0.25, 0.5, 0.25])
        channels = features.shape[1]
        kernel = torch.outer(taps, taps).expand(channels, 1, 3, 3)
        padded = F.pad(features, (2, 2, 2, 2), mode="reflect")
        return F.conv2d(padded, kernel, stride=2, groups=channels)


def _stages(trunk: Trunk) -> Iterator[nn.Sequential]:
    """Five parts of the trunk; what each gives out is compared, and goes into the next."""
    match trunk:
        case Trunk.ALEX:
            yield nn.Sequential(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU())
            yield nn.Sequential(nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU())
            yield nn.Sequential(nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU())
        case Trunk.ALEX_SHIFT_TOLERANT:
            yield nn.Sequential(nn.Conv2d(3, 64, 11, padding=2), Blur(), nn.ReLU())
            for inputs, outputs, side in ((64, 192, 5), (192, 384, 3)):
                convolution = nn.Conv2d(inputs, outputs, side, padding=side // 2)
                yield nn.Sequential(nn.MaxPool2d(3, 1), Blur(), convolution, nn.ReLU())
        case Trunk.VGG:
            yield from _vgg16_stages()
            return
    yield nn.Sequential(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU())
    yield nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU())


def _vgg16_stages() -> Iterator[nn.Sequential]:
    inputs = 3
    for depth, (convolutions, channels) in enumerate(
        ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
    ):
        layers: list[nn.Module] = [nn.MaxPool2d(2)] if depth else []
        for _ in range(convolutions):
            layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]
            inputs = channels
        yield nn.Sequential(*layers)


def _convolution_names(trunk: Trunk) -> list[str]:
    """What the released files call the convolutions, from the first to the last."""
    match trunk:
        case Trunk.ALEX:
            return [f"features.{place}" for place in (0, 3, 6, 8, 10)]
        case Trunk.VGG:
            places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
            return [f"features.{place}" for place in places]
        case Trunk.ALEX_SHIFT_TOLERANT:
            return [f"net.slice{slice}.{place}" for slice, place in enumerate((0, 5, 9, 11, 13), 1)]


def _fill(parameter: Tensor, weights: Mapping[str, Tensor], name: str, trunk: Trunk) -> None:
    value = weights.get(name)
    if value is None or value.shape != parameter.shape:
        raise BadWeightsError(
            f"not the weights of LPIPS ({trunk}): {name} is missing or of another shape",
            hint="fetch them with `srcli weights pull`; docs/reference/evaluate.md has the names",
        )
    parameter.copy_(value)


def _last_channels(stage: nn.Module) -> int:
    return [layer.out_channels for layer in stage.modules() if isinstance(layer, nn.Conv2d)][-1]


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + EPSILON)
