"""The convolutions of VGG19, which see pictures a little as people do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Self

import torch
from torch import Tensor, nn

from srcli.errors import BadWeightsError, ConfigError, UnavailableWeightsError

# (convolutions, channels) of the five stages, each followed by a 2x2 max pooling.
STAGES = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def _layers() -> Iterator[tuple[str, int]]:
    """Name and output channels of each layer, in torchvision's order."""
    for stage, (convolutions, channels) in enumerate(STAGES, start=1):
        for position in range(1, convolutions + 1):
            yield f"conv{stage}_{position}", channels
            yield f"relu{stage}_{position}", channels
        yield f"pool{stage}", channels


# Index in torchvision's `features` by name: conv1_2 is 2, conv5_4 is 34, relu5_4 is 35.
LAYER_INDEX: Mapping[str, int] = {name: index for index, (name, _) in enumerate(_layers())}


class VGG19(nn.Module):
    """The convolutional part of VGG19 up to the deepest tap, frozen (arXiv:1409.1556).

    (N, 3, H, W) RGB in [0, 1] -> {tap: (N, C, H/2^k, W/2^k)}, k poolings before the tap. ImageNet's
    mean and deviation are applied inside. A tap is a layer by name: `conv5_4` is the value before
    its activation, `relu5_4` after. Attributes are named as in torchvision's files.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, taps: Iterable[str]) -> None:
        super().__init__()
        self.taps = tuple(dict.fromkeys(taps))
        unknown = [tap for tap in self.taps if tap not in LAYER_INDEX]
        if unknown or not self.taps:
            raise ConfigError(
                f"VGG19 has no layer {', '.join(unknown)}" if unknown else "no VGG19 layer asked",
                hint="name layers conv1_1 ... conv5_4 (before activation) or relu1_1 ... relu5_4",
            )
        self.features = nn.Sequential(*_modules(depth=1 + max(LAYER_INDEX[t] for t in self.taps)))
        self._tap_at = {LAYER_INDEX[tap]: tap for tap in self.taps}
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    @classmethod
    def from_weights(cls, state_dict: Mapping[str, Tensor] | None, taps: Iterable[str]) -> Self:
        """VGG19 with the `features.N.weight|bias` of torchvision's or timm's file; others ignored.

        Raises UnavailableWeightsError without weights (there is no random network to fall back
        on), BadWeightsError where they are not those of VGG19.
        """
        network = cls(taps)
        wanted = network.state_dict()
        found = {key: value for key, value in require_weights(state_dict).items() if key in wanted}
        wrong = [
            key
            for key, value in wanted.items()
            if key not in found or found[key].shape != value.shape
        ]
        if wrong:
            raise BadWeightsError(
                f"not the weights of VGG19: {wrong[0]} is missing or of another shape",
                hint="use torchvision's vgg19 (not vgg16, not vgg19_bn): srcli weights pull vgg19",
            )
        network.load_state_dict(found)
        return network

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        features = (image - self.mean) / self.std
        tapped: dict[str, Tensor] = {}
        for index, layer in enumerate(self.features):
            features = layer(features)
            if index in self._tap_at:
                tapped[self._tap_at[index]] = features
        return tapped


def require_weights(state_dict: Mapping[str, Tensor] | None) -> Mapping[str, Tensor]:
    """The weights, or an error that says how to get them; never a silent random network."""
    if state_dict is None:
        raise UnavailableWeightsError(
            "a perceptual or style loss needs the weights of VGG19",
            hint="fetch them with `srcli weights pull vgg19`, or name a file: --vgg-weights FILE",
        )
    return state_dict


def _modules(depth: int) -> Iterator[nn.Module]:
    previous = 3
    for name, channels in list(_layers())[:depth]:
        if name.startswith("conv"):
            yield nn.Conv2d(previous, channels, kernel_size=3, padding=1)
            previous = channels
        elif name.startswith("relu"):
            # In place, as in torchvision, it would overwrite a tapped convolution: conv5_4
            # "before activation" would silently be relu5_4.
            yield nn.ReLU(inplace=False)
        else:
            yield nn.MaxPool2d(kernel_size=2)
