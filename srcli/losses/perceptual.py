"""Distance of VGG19 features, and the mixtures of layers that the field has published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from srcli.losses.choices import Criterion, PerceptualPreset
from srcli.losses.features import FeatureExtractor
from srcli.losses.pixel import CHARBONNIER_EPS, distance

SRGAN_RESCALE = 1 / 12.75  # section 3.2 of arXiv:1609.04802: features of the size of pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class PerceptualRecipe:
    """Which layers, with what weights, compared how."""

    layers: Mapping[str, float]
    criterion: Criterion = "l1"
    rescale: float = 1.0  # multiplies the features, so an MSE by its square


PERCEPTUAL_PRESETS: Mapping[PerceptualPreset, PerceptualRecipe] = {
    # Two losses of SRGAN (arXiv:1609.04802): after activation, MSE.
    "srgan-vgg22": PerceptualRecipe(
        layers={"relu2_2": 1.0}, criterion="mse", rescale=SRGAN_RESCALE
    ),
    "srgan-vgg54": PerceptualRecipe(
        layers={"relu5_4": 1.0}, criterion="mse", rescale=SRGAN_RESCALE
    ),
    # ESRGAN (arXiv:1809.00219): before activation, L1.
    "esrgan": PerceptualRecipe(layers={"conv5_4": 1.0}),
    # Real-ESRGAN (arXiv:2107.10833).
    "realesrgan": PerceptualRecipe(
        layers={"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}
    ),
    # `vgg19.features[:16]` of many tutorials: it ends at relu3_3, a layer of neither paper.
    "features16-mse": PerceptualRecipe(layers={"relu3_3": 1.0}, criterion="mse"),
}


class PerceptualLoss(nn.Module):
    """Sum over layers of weight · mean distance of features: (N, 3, H, W) twice, [0, 1] -> ().

    Sum of w_l · d(r·phi_l(restored), r·phi_l(target)), phi_l a layer of VGG19 and r the rescale
    (arXiv:1603.08155, arXiv:1609.04802). `layers` must be taps of `extractor`.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        layers: Mapping[str, float],
        *,
        criterion: Criterion = "l1",
        rescale: float = 1.0,
        eps: float = CHARBONNIER_EPS,
    ) -> None:
        super().__init__()
        self.extractor = extractor
        self.layers = dict(layers)
        self.distance = distance(criterion, eps=eps)
        self.rescale = rescale

    @classmethod
    def of_recipe(cls, extractor: FeatureExtractor, recipe: PerceptualRecipe) -> PerceptualLoss:
        """The loss of a recipe, `PERCEPTUAL_PRESETS["esrgan"]` for instance."""
        return cls(extractor, recipe.layers, criterion=recipe.criterion, rescale=recipe.rescale)

    def forward(self, restored: Tensor, target: Tensor) -> Tensor:
        features = self.extractor(restored, target)
        total = restored.new_zeros(())
        for layer, weight in self.layers.items():
            ours = features.restored[layer] * self.rescale
            theirs = features.target[layer] * self.rescale
            total = total + weight * self.distance(ours, theirs)
        return total
