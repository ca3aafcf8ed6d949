import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck

from srcli.errors import ConfigError
from srcli.losses.adversarial import (
    AdversarialLoss,
    cost,
    discriminator_loss,
    frozen,
    generator_loss,
)
from srcli.models.discriminators import UNetDiscriminator, VGGDiscriminator

FORMULAS = ["srgan", "bce", "lsgan", "hinge", "relativistic"]
SHAPES = [(4, 1), (4, 1, 3, 5)]  # a logit per picture, per pixel


def logits(shape):
    return 2 * torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64) + 1


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


# The published formulas, of real and restored logits as arrays.
DISCRIMINATOR = {
    "srgan": lambda r, f: -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
    "bce": lambda r, f: -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
    "lsgan": lambda r, f: ((r - 1) ** 2).mean() + (f**2).mean(),
    "hinge": lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
    "relativistic": lambda r, f: (
        -np.log(sigmoid(r - f.mean())).mean() - np.log(1 - sigmoid(f - r.mean())).mean()
    ),
}
GENERATOR = {
    "srgan": lambda r, f: -np.log(sigmoid(f)).mean(),
    "bce": lambda r, f: -np.log(sigmoid(f)).mean(),
    "lsgan": lambda r, f: ((f - 1) ** 2).mean(),
    "hinge": lambda r, f: -f.mean(),
    "relativistic": lambda r, f: (
        -np.log(1 - sigmoid(r - f.mean())).mean() - np.log(sigmoid(f - r.mean())).mean()
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("formula", FORMULAS)
def test_both_sides_are_the_published_formula(formula, shape):
    real, restored = logits(shape)
    arrays = real.numpy(), restored.numpy()
    theirs = discriminator_loss(real, restored, formula=formula).item()
    ours = generator_loss(restored, real, formula=formula).item()
    assert theirs == pytest.approx(DISCRIMINATOR[formula](*arrays), rel=1e-9)
    assert ours == pytest.approx(GENERATOR[formula](*arrays), rel=1e-9)


@pytest.mark.parametrize("formula", FORMULAS)
def test_both_sides_have_the_gradient_of_finite_differences(formula):
    real, restored = (values.requires_grad_() for values in logits((4, 1)))
    assert gradcheck(lambda r, f: discriminator_loss(r, f, formula=formula), (real, restored))
    assert gradcheck(lambda r, f: generator_loss(f, r, formula=formula), (real, restored))


def test_the_relativistic_loss_is_the_two_sided_cross_entropy():
    real, restored = logits((4, 1))
    ones, zeros = torch.ones_like(real), torch.zeros_like(real)
    bce = F.binary_cross_entropy_with_logits
    expected = bce(real - restored.mean(), zeros) + bce(restored - real.mean(), ones)
    value = generator_loss(restored, real, formula="relativistic")
    torch.testing.assert_close(value, expected)
    halved = generator_loss(restored, real, formula="relativistic", halved=True)
    torch.testing.assert_close(halved, expected / 2)


def test_the_relativistic_discriminator_learns_through_the_means_too():
    real, restored = (values.requires_grad_() for values in logits((4, 1)))
    discriminator_loss(real, restored, formula="relativistic").backward()
    alone = real.detach().requires_grad_()
    F.softplus(-(alone - restored.detach().mean())).mean().backward()
    assert not torch.allclose(real.grad, alone.grad)


def test_the_sum_of_srgan_is_the_mean_times_the_batch():
    _, restored = logits((4, 1, 3, 5))
    total = generator_loss(restored, formula="srgan", reduction="sum")
    expected = -np.log(sigmoid(restored.numpy())).mean(axis=(1, 2, 3)).sum()
    assert total.item() == pytest.approx(expected, rel=1e-9)


def test_a_certain_discriminator_costs_a_finite_number():
    certain = torch.full((2, 1), -200.0)  # its sigmoid is 0 in fp32, the logarithm infinite
    assert generator_loss(certain, formula="srgan", reduction="mean").item() == pytest.approx(200)


def test_half_precision_logits_are_judged_in_single():
    assert cost(torch.tensor([9.0]), is_real=True, formula="bce").item() < 2e-4
    value = generator_loss(torch.tensor([[9.0]], dtype=torch.bfloat16), formula="bce")
    assert value.item() == pytest.approx(math.log1p(math.exp(-9)), rel=1e-5)


class Counted(nn.Module):
    """A discriminator that counts its passes."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 3))
        self.passes = 0

    def forward(self, image):
        self.passes += 1
        return self.layer(image)


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_step_of_both_sides_takes_three_passes(formula, pictures):
    discriminator = Counted()
    loss = AdversarialLoss(discriminator, formula)
    loss(*pictures)
    assert discriminator.passes == (2 if formula == "relativistic" else 1)
    loss.discriminator_loss(*pictures)
    assert discriminator.passes == 3


def gradients(loss, pictures, *, forget):
    loss.zero_grad(set_to_none=True)
    loss(*pictures)
    if forget:
        loss._shared = None
    loss.discriminator_loss(*pictures).total.backward()
    return [parameter.grad.clone() for parameter in loss.parameters()]


def test_shared_logits_give_the_discriminator_the_same_gradient(pictures):
    loss = AdversarialLoss(Counted(), "relativistic")
    shared = gradients(loss, pictures, forget=False)
    for ours, theirs in zip(shared, gradients(loss, pictures, forget=True), strict=True):
        assert torch.equal(ours, theirs)


def test_logits_are_computed_again_for_another_target_or_a_changed_discriminator(pictures):
    discriminator = Counted()
    loss = AdversarialLoss(discriminator, "relativistic")
    loss(*pictures)
    loss.discriminator_loss(pictures[0], pictures[1].clone()).total.backward()
    assert discriminator.passes == 4
    loss(*pictures)
    torch.optim.Adam(discriminator.parameters()).step()
    loss.discriminator_loss(*pictures)
    assert discriminator.passes == 8


def test_logits_of_a_spectrally_normed_network_are_not_shared(pictures):
    loss = AdversarialLoss(UNetDiscriminator(2), "relativistic")
    passes = []
    loss.discriminator.register_forward_hook(lambda *_: passes.append(1))
    loss(*pictures)
    loss.discriminator_loss(*pictures)
    assert len(passes) == 4


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_generator_side_reaches_the_picture_but_not_the_discriminator(formula, pictures):
    restored, target = pictures[0].requires_grad_(), pictures[1]
    loss = AdversarialLoss(VGGDiscriminator(2), formula)
    loss(restored, target).backward()
    assert restored.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in loss.parameters())


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_discriminator_side_reaches_all_of_it_but_not_the_picture(formula, pictures):
    restored, target = pictures[0].requires_grad_(), pictures[1]
    loss = AdversarialLoss(UNetDiscriminator(2), formula)
    loss.discriminator_loss(restored, target).total.backward()
    assert restored.grad is None
    assert all(parameter.grad is not None for parameter in loss.parameters())


def test_a_frozen_network_learns_again_afterwards():
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    network[0].requires_grad_(False)
    with pytest.raises(KeyError), frozen(network):
        assert not any(parameter.requires_grad for parameter in network.parameters())
        raise KeyError
    assert [parameter.requires_grad for parameter in network.parameters()] == [False] * 2 + [
        True
    ] * 2


@pytest.mark.parametrize(
    "choice", [{"formula": "bce", "halved": True}, {"formula": "lsgan", "reduction": "sum"}]
)
def test_a_choice_that_a_formula_has_not_is_refused(choice):
    with pytest.raises(ConfigError):
        AdversarialLoss(nn.Identity(), **choice)


def test_the_report_tells_how_far_apart_the_discriminator_holds_them(pictures):
    report = AdversarialLoss(nn.Flatten()).discriminator_loss(*pictures)
    assert report.real_logit.item() == pytest.approx(pictures[1].mean().item())
    assert report.restored_logit.item() == pytest.approx(pictures[0].mean().item())
