import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from srcli.losses.frequency import FrequencyLoss, spectrum_l1
from srcli.losses.pixel import PixelLoss, charbonnier, l1, luma, mse
from srcli.losses.variation import VariationLoss, l1_variation, power_sum_variation

ROUNDING = 1e-6  # fp32 against float64 on values of order one


def doubles(*shape):
    return torch.rand(*shape, dtype=torch.float64)


@pytest.fixture
def pair():
    return doubles(2, 3, 6, 5), doubles(2, 3, 6, 5)


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        (l1, lambda d: np.abs(d)),
        (mse, lambda d: d**2),
        (charbonnier, lambda d: np.sqrt(d**2 + 1e-6)),
    ],
)
def test_a_pixel_loss_is_the_mean_of_its_formula(pair, loss, formula):
    expected = formula(pair[0].numpy() - pair[1].numpy()).mean()
    assert loss(*pair).item() == pytest.approx(expected, rel=1e-12)


def test_charbonnier_is_eps_for_equal_pictures_and_has_no_kink_there():
    picture = doubles(1, 3, 4, 4).requires_grad_()
    loss = charbonnier(picture, picture.detach(), eps=1e-3)
    loss.backward()
    assert loss.item() == pytest.approx(1e-3)
    assert picture.grad.abs().max() == 0


def test_luma_is_one_for_white_and_weighs_as_bt601():
    assert luma(torch.ones(1, 3, 1, 1)).item() == pytest.approx(1.0)
    primaries = torch.eye(3).view(3, 3, 1, 1)
    np.testing.assert_allclose(luma(primaries).flatten(), [0.299, 0.587, 0.114], rtol=1e-6)


def test_a_loss_on_luma_sees_no_change_of_colour_at_equal_luma():
    gray = torch.full((1, 3, 4, 4), 0.5, dtype=torch.float64)
    shift = torch.tensor([0.587, -0.299, 0.0], dtype=torch.float64).view(1, 3, 1, 1) / 2
    assert PixelLoss("l1", channels="luma")(gray + shift, gray).item() == pytest.approx(0, abs=1e-9)
    assert PixelLoss("l1")(gray + shift, gray).item() > 0.1


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match="is not shaped as target"):
        l1(torch.zeros(2, 3, 4, 4), torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize("loss", [l1, mse, charbonnier, spectrum_l1])
def test_half_precision_gives_the_number_of_the_same_values_in_fp32(loss):
    restored, target = (torch.rand(1, 3, 4, 4) * 1e-3).half(), torch.zeros(1, 3, 4, 4).half()
    assert loss(restored, target) == loss(restored.float(), target.float())


@pytest.mark.parametrize("size", [(6, 5), (5, 6), (4, 1), (1, 8), (7, 2)])
@pytest.mark.parametrize("scale", ["ortho", "backward"])
def test_the_spectrum_loss_is_the_mean_over_the_whole_spectrum(size, scale):
    restored, target = doubles(2, 3, *size), doubles(2, 3, *size)
    spectra = [np.fft.fft2(image.numpy(), norm=scale) for image in (restored, target)]
    error = spectra[0] - spectra[1]
    expected = np.stack([np.abs(error.real), np.abs(error.imag)]).mean()
    assert spectrum_l1(restored, target, scale=scale).item() == pytest.approx(expected, rel=1e-9)


def test_l1_variation_is_the_mean_of_both_differences():
    image = doubles(2, 3, 5, 7)
    values = image.numpy()
    expected = np.abs(np.diff(values, axis=3)).mean() + np.abs(np.diff(values, axis=2)).mean()
    assert l1_variation(image).item() == pytest.approx(expected, rel=1e-12)


def test_the_power_sum_variation_is_the_keras_formula_per_picture():
    image = doubles(2, 3, 5, 7)
    v = image.numpy()
    down = (v[:, :, :-1, :-1] - v[:, :, 1:, :-1]) ** 2
    right = (v[:, :, :-1, :-1] - v[:, :, :-1, 1:]) ** 2
    expected = ((down + right) ** 1.25).sum() / 2
    assert power_sum_variation(image).item() == pytest.approx(expected, rel=1e-12)


def test_the_power_sum_grows_with_the_range_to_the_power_two_and_a_half():
    image = doubles(1, 3, 8, 8)
    growth = power_sum_variation(255 * image) / power_sum_variation(image)
    assert growth.item() == pytest.approx(255**2.5)


@pytest.mark.parametrize("variation", ["l1", "power-sum"])
def test_a_flat_picture_has_no_variation_and_a_finite_gradient(variation):
    flat = torch.full((1, 3, 4, 4), 0.3, requires_grad=True)
    loss = VariationLoss(variation)(flat, torch.rand(1, 3, 4, 4))
    loss.backward()
    assert loss.item() == 0
    assert flat.grad.isfinite().all()


@pytest.mark.parametrize(
    "loss",
    [
        PixelLoss("l1"),
        PixelLoss("mse"),
        PixelLoss("charbonnier"),
        PixelLoss("mse", channels="luma"),
        FrequencyLoss(),
        VariationLoss("l1"),
        VariationLoss("power-sum"),
    ],
)
def test_the_gradient_is_that_of_finite_differences(pair, loss):
    restored, target = pair
    assert gradcheck(lambda image: loss(image, target), restored.requires_grad_())
