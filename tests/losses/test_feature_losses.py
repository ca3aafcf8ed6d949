import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from srcli.errors import UnavailableWeightsError
from srcli.losses.features import FeatureExtractor
from srcli.losses.perceptual import PERCEPTUAL_PRESETS, PerceptualLoss
from srcli.losses.style import StyleLoss, gram

FORMULAS = {
    "l1": lambda d: np.abs(d).mean(),
    "mse": lambda d: (d**2).mean(),
    "charbonnier": lambda d: np.sqrt(d**2 + 1e-6).mean(),
}


def double_features(extractor, image):
    """Features in float64, as numpy."""
    with torch.no_grad():
        return {tap: value.numpy() for tap, value in extractor.vgg.double()(image.double()).items()}


def count_passes(extractor):
    passes = []
    extractor.vgg.register_forward_hook(lambda *_: passes.append(1))
    return passes


@pytest.mark.parametrize("criterion", ["l1", "mse", "charbonnier"])
def test_the_perceptual_loss_is_the_weighted_sum_of_its_formula(vgg_weights, pictures, criterion):
    layers = {"conv1_2": 0.1, "relu2_2": 2.0, "conv3_4": 1.0}
    extractor = FeatureExtractor(vgg_weights, layers)
    value = PerceptualLoss(extractor, layers, criterion=criterion, rescale=0.5)(*pictures)
    ours, theirs = (double_features(extractor, image) for image in pictures)
    formula = FORMULAS[criterion]
    expected = sum(w * formula(0.5 * (ours[tap] - theirs[tap])) for tap, w in layers.items())
    assert value.item() == pytest.approx(expected, rel=1e-4)  # fp32 through eight convolutions


def test_the_style_loss_compares_normalised_gram_matrices(vgg_weights, pictures):
    layers = {"relu1_2": 1.0, "relu2_2": 3.0}
    extractor = FeatureExtractor(vgg_weights, layers)
    value = StyleLoss(extractor, layers, criterion="mse")(*pictures)
    ours, theirs = (double_features(extractor, image) for image in pictures)

    def matrices(features):
        return np.einsum("nchw,ndhw->ncd", features, features) / features[0].size

    expected = sum(
        w * ((matrices(ours[tap]) - matrices(theirs[tap])) ** 2).mean() for tap, w in layers.items()
    )
    assert value.item() == pytest.approx(expected, rel=1e-4)


def test_the_gram_matrix_of_large_half_precision_features_stays_finite():
    features = torch.full((1, 4, 64, 64), 100.0, dtype=torch.float16)
    raw_sum = (features.flatten(2) @ features.flatten(2).transpose(1, 2)).isinf()
    assert raw_sum.all()  # 4096 · 100² is past 65504: what the loss must avoid
    with torch.autocast("cpu", dtype=torch.bfloat16):
        matrix = gram(features)
    assert matrix.dtype == torch.float32
    torch.testing.assert_close(matrix, torch.full((1, 4, 4), 100.0**2 / 4))


def test_the_style_loss_does_not_see_where_things_are(vgg_weights):
    features = torch.rand(1, 8, 6, 6)
    torch.testing.assert_close(gram(features), gram(features.flip(-1)))


def test_feature_losses_have_the_gradient_of_finite_differences(vgg_weights):
    layers = {"conv1_1": 1.0, "relu1_2": 0.5}
    extractor = FeatureExtractor(vgg_weights, layers).double()
    target = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    restored = torch.rand(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    for loss in (PerceptualLoss(extractor, layers), StyleLoss(extractor, layers, criterion="mse")):
        assert gradcheck(lambda image, loss=loss: loss(image, target), restored)


def test_terms_of_one_batch_share_one_pass_for_each_picture(vgg_weights, pictures):
    extractor = FeatureExtractor(vgg_weights, ["relu1_2"])
    passes = count_passes(extractor)
    content, style = (
        PerceptualLoss(extractor, {"relu1_2": 1.0}),
        StyleLoss(extractor, {"relu1_2": 1.0}),
    )
    with extractor.sharing():
        together = content(*pictures), style(*pictures)
    assert len(passes) == 2
    assert together == (content(*pictures), style(*pictures))


def test_a_picture_changed_in_place_is_looked_at_again(vgg_weights, pictures):
    extractor = FeatureExtractor(vgg_weights, ["relu1_2"])
    loss = PerceptualLoss(extractor, {"relu1_2": 1.0})
    restored, target = pictures
    with extractor.sharing():
        before = loss(restored, target)
        restored.copy_(target)
        after = loss(restored, target)
    assert before > 0
    assert after == 0


def test_only_the_restored_picture_gets_a_gradient(vgg_weights, pictures):
    restored, target = (picture.requires_grad_() for picture in pictures)
    extractor = FeatureExtractor(vgg_weights, ["conv2_2"])
    PerceptualLoss(extractor, {"conv2_2": 1.0})(restored, target).backward()
    assert restored.grad.abs().sum() > 0
    assert target.grad is None
    assert all(parameter.grad is None for parameter in extractor.parameters())


def test_without_weights_a_feature_loss_says_how_to_get_them():
    with pytest.raises(UnavailableWeightsError) as caught:
        FeatureExtractor(None, ["conv5_4"])
    assert "srcli weights pull vgg19" in caught.value.hint
    assert "--vgg-weights FILE" in caught.value.hint


@pytest.mark.parametrize(
    ("preset", "layers", "criterion", "rescale"),
    [
        ("srgan-vgg22", {"relu2_2": 1.0}, "mse", 1 / 12.75),
        ("srgan-vgg54", {"relu5_4": 1.0}, "mse", 1 / 12.75),
        ("esrgan", {"conv5_4": 1.0}, "l1", 1.0),
        (
            "realesrgan",
            {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0},
            "l1",
            1.0,
        ),
        ("features16-mse", {"relu3_3": 1.0}, "mse", 1.0),
    ],
)
def test_a_preset_is_the_published_mixture(preset, layers, criterion, rescale):
    recipe = PERCEPTUAL_PRESETS[preset]
    assert recipe.layers == layers
    assert (recipe.criterion, recipe.rescale) == (criterion, rescale)


def test_the_rescale_of_srgan_is_about_six_thousandths_of_the_squared_error(vgg_weights, pictures):
    extractor = FeatureExtractor(vgg_weights, ["relu2_2"])
    plain = PerceptualLoss(extractor, {"relu2_2": 1.0}, criterion="mse")(*pictures)
    rescaled = PerceptualLoss.of_recipe(extractor, PERCEPTUAL_PRESETS["srgan-vgg22"])(*pictures)
    assert (rescaled / plain).item() == pytest.approx(1 / 12.75**2, rel=1e-5)
