import pytest
import torch
from torch import nn

from srcli.errors import ConfigError
from srcli.losses.adversarial import AdversarialLoss
from srcli.losses.features import FeatureExtractor
from srcli.losses.perceptual import PerceptualLoss
from srcli.losses.pixel import PixelLoss
from srcli.losses.schedule import StepSchedule
from srcli.losses.stack import LossStack, Term
from srcli.losses.style import StyleLoss


def constant(value):
    return lambda restored, target: restored.sum() * 0 + value


def test_the_total_is_the_weighted_sum_and_the_terms_say_both(pictures):
    losses = LossStack(a=Term(constant(2.0), weight=3.0), b=Term(constant(5.0)))
    numbers = losses(*pictures).numbers()
    assert numbers == {"a": (2.0, 6.0), "b": (5.0, 5.0), "total": (11.0, 11.0)}


def test_terms_of_the_report_hold_no_graph(pictures):
    report = LossStack(pixel=Term(PixelLoss()))(pictures[0].requires_grad_(), pictures[1])
    assert report.total.requires_grad
    assert not report.terms["pixel"].raw.requires_grad
    assert not report.terms["pixel"].weighted.requires_grad


def test_a_term_of_weight_zero_is_not_computed(pictures):
    calls = []
    late = Term(lambda r, t: calls.append(1) or r.mean(), StepSchedule(steps=[5], weights=[0, 1.0]))
    losses = LossStack(pixel=Term(PixelLoss()), late=late)
    assert set(losses(*pictures, step=4).terms) == {"pixel"}
    assert not calls
    assert set(losses(*pictures, step=5).terms) == {"pixel", "late"}


def test_weights_that_are_all_zero_are_refused(pictures):
    with pytest.raises(ConfigError, match="weight zero at step 3"):
        LossStack(pixel=Term(PixelLoss(), weight=0.0))(*pictures, step=3)
    with pytest.raises(ConfigError, match="no loss"):
        LossStack()


def test_perceptual_and_style_share_one_pass_and_keep_nothing(vgg_weights, pictures):
    extractor = FeatureExtractor(vgg_weights, ["relu1_2"])
    passes = []
    extractor.vgg.register_forward_hook(lambda *_: passes.append(1))
    losses = LossStack(
        content=Term(PerceptualLoss(extractor, {"relu1_2": 1.0})),
        style=Term(StyleLoss(extractor, {"relu1_2": 1.0})),
    )
    losses(*pictures)
    assert len(passes) == 2  # the restored picture and the target
    losses(*pictures)
    assert len(passes) == 4


def test_the_discriminator_sees_the_real_picture_where_the_target_is_another(pictures):
    restored, target = pictures
    real = torch.rand_like(target)
    losses = LossStack(
        pixel=Term(PixelLoss()), realism=Term(AdversarialLoss(nn.Flatten(), "relativistic"))
    )
    raw = losses(restored, target, real=real).terms
    assert raw["pixel"].raw == PixelLoss()(restored, target)
    assert raw["realism"].raw == AdversarialLoss(nn.Flatten(), "relativistic")(restored, real)


@pytest.mark.parametrize("formula", ["srgan", "bce"])
def test_accumulated_gradients_are_those_of_the_large_batch(formula):
    restored, target = torch.rand(4, 3, 8, 8, requires_grad=True), torch.rand(4, 3, 8, 8)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(192, 1))
    losses = LossStack(
        pixel=Term(PixelLoss()), realism=Term(AdversarialLoss(critic, formula), weight=0.1)
    )
    losses(restored, target).total.backward()
    whole, restored.grad = restored.grad, None
    for ours, theirs in zip(restored.split(1), target.split(1), strict=True):
        (losses(ours, theirs, micro_batches=4).total / 4).backward()
    torch.testing.assert_close(restored.grad, whole)


def test_the_adversarial_term_is_found_for_the_discriminator_step():
    adversarial = AdversarialLoss(nn.Flatten())
    assert LossStack(pixel=Term(PixelLoss()), other=Term(adversarial)).adversarial is adversarial
    assert LossStack(pixel=Term(PixelLoss())).adversarial is None


def test_moving_the_stack_moves_the_networks_of_its_terms(vgg_weights):
    extractor = FeatureExtractor(vgg_weights, ["relu1_1"])
    LossStack(content=Term(PerceptualLoss(extractor, {"relu1_1": 1.0}))).to("meta")
    assert extractor.vgg.mean.device.type == "meta"
