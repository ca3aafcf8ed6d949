"""Distance of Gram matrices: which features go together, wherever they are."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from srcli.losses.choices import Criterion
from srcli.losses.features import FeatureExtractor
from srcli.losses.pixel import distance, precise


def gram(features: Tensor) -> Tensor:
    """F·Fᵀ / (C·H·W), F the (C, H·W) rows of features; (N, C, H, W) -> (N, C, C).

    In at least fp32 whatever surrounds it: sums of H·W squares are past 65504, the end of fp16.
    """
    channels, height, width = features.shape[1:]
    with torch.autocast(features.device.type, enabled=False):
        rows = precise(features).flatten(start_dim=2)  # (N, C, H·W)
        return rows @ rows.transpose(1, 2) / (channels * height * width)


class StyleLoss(nn.Module):
    """Sum over layers of weight · mean distance of Gram matrices: (N, 3, H, W) twice, [0, 1] -> ().

    The texture of arXiv:1508.06576 with the normalisation and the L1 of arXiv:1804.07723.
    `layers` must be taps of `extractor`; the one of a `PerceptualLoss` can be shared.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        layers: Mapping[str, float],
        *,
        criterion: Criterion = "l1",
    ) -> None:
        super().__init__()
        self.extractor = extractor
        self.layers = dict(layers)
        self.distance = distance(criterion)

    def forward(self, restored: Tensor, target: Tensor) -> Tensor:
        features = self.extractor(restored, target)
        total = restored.new_zeros(())
        for layer, weight in self.layers.items():
            ours, theirs = gram(features.restored[layer]), gram(features.target[layer])
            total = total + weight * self.distance(ours, theirs)
        return total
