"""Total variation: how rough the restored picture is, whatever the target."""

from __future__ import annotations

from typing import assert_never

from torch import Tensor, nn

from srcli.losses.choices import Variation
from srcli.losses.pixel import precise


def l1_variation(image: Tensor) -> Tensor:
    """Mean |dx| plus mean |dy|, the anisotropic total variation; (N, C, H, W) -> ()."""
    image = precise(image)
    return image.diff(dim=-1).abs().mean() + image.diff(dim=-2).abs().mean()


def power_sum_variation(image: Tensor) -> Tensor:
    """Sum of (dx² + dy²)^1.25 over one picture, averaged over the batch; (N, C, H, W) -> ().

    The total variation of the style-transfer tradition (Keras's example of arXiv:1508.06576, which
    optimises one picture); the last row and column have no difference and are left out. It is a
    sum, and of degree 2.5: it grows with the area, and 10^6 times from [0, 1] to [0, 255].
    """
    image = precise(image)
    horizontal = image.diff(dim=-1)[..., :-1, :]  # (N, C, H-1, W-1)
    vertical = image.diff(dim=-2)[..., :, :-1]  # (N, C, H-1, W-1)
    return (horizontal.square() + vertical.square()).pow(1.25).sum() / image.shape[0]


class VariationLoss(nn.Module):
    """Total variation of the restored picture: (N, C, H, W) twice, in [0, 1] -> ().

    The target is not looked at; the term has the signature of all others.
    """

    def __init__(self, variation: Variation = "l1") -> None:
        super().__init__()
        self.variation = variation

    def forward(self, restored: Tensor, target: Tensor) -> Tensor:
        match self.variation:
            case "l1":
                return l1_variation(restored)
            case "power-sum":
                return power_sum_variation(restored)
            case _:
                assert_never(self.variation)
