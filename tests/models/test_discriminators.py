import pytest
import torch
from torch import nn

from srcli.errors import BadWeightsError, ConfigError
from srcli.models.discriminators import (
    PatchDiscriminator,
    UNetDiscriminator,
    VGGDiscriminator,
    load_discriminator,
)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def keys_of_released_unet():
    """The entries of RealESRGAN_x4plus_netD.pth."""
    normed = [
        f"conv{i}.{part}" for i in range(1, 9) for part in ("weight_orig", "weight_u", "weight_v")
    ]
    plain = [f"conv{i}.{part}" for i in (0, 9) for part in ("weight", "bias")]
    return {*normed, *plain}


def keys_of_released_vgg():
    """The entries of BasicSR's VGGStyleDiscriminator for 128 px."""
    places = ["0_1", *(f"{stage}_{position}" for stage in range(1, 5) for position in (0, 1))]
    statistics = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    keys = {f"bn{place}.{name}" for place in places for name in statistics}
    keys |= {f"conv{place}.weight" for place in ["0_0", *places]} | {"conv0_0.bias"}
    return keys | {f"linear{i}.{name}" for i in (1, 2) for name in ("weight", "bias")}


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (VGGDiscriminator(), 14_499_401),
        (VGGDiscriminator(input_px=128), 14_499_401),
        (UNetDiscriminator(), 4_376_897),
        (PatchDiscriminator(), 2_765_633),
    ],
)
def test_a_discriminator_has_the_published_number_of_parameters(network, parameters):
    assert count(network) == parameters


def test_entries_are_named_as_in_the_released_files():
    assert set(UNetDiscriminator(8).state_dict()) == keys_of_released_unet()
    assert set(VGGDiscriminator(8).state_dict()) == keys_of_released_vgg()


@torch.no_grad()
@pytest.mark.parametrize("kind", [UNetDiscriminator, VGGDiscriminator])
def test_weights_of_another_network_give_its_opinion(kind):
    released, network = kind(4).eval(), kind(4).eval()
    load_discriminator(
        network, {name: value.clone() for name, value in released.state_dict().items()}
    )
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(network(image), released(image))


def test_weights_of_another_kind_are_refused():
    with pytest.raises(BadWeightsError, match="not the weights of a UNetDiscriminator"):
        load_discriminator(UNetDiscriminator(4), VGGDiscriminator(4).state_dict())
    with pytest.raises(BadWeightsError, match="another shape"):
        load_discriminator(UNetDiscriminator(4), UNetDiscriminator(8).state_dict())


@torch.no_grad()
def test_any_size_gives_at_128_what_the_fixed_size_gives():
    fixed, free = VGGDiscriminator(4, input_px=128).eval(), VGGDiscriminator(4).eval()
    free.load_state_dict(fixed.state_dict())
    image = torch.rand(2, 3, 128, 128)
    assert torch.equal(free(image), fixed(image))


@torch.no_grad()
@pytest.mark.parametrize(
    ("network", "size", "shape"),
    [
        (VGGDiscriminator(4), (32, 32), (2, 1)),
        (VGGDiscriminator(4), (96, 161), (2, 1)),
        (UNetDiscriminator(4), (24, 40), (2, 1, 24, 40)),
        (PatchDiscriminator(4), (128, 64), (2, 1, 14, 6)),
        (PatchDiscriminator(4, norm="instance"), (32, 32), (2, 1, 2, 2)),
        (PatchDiscriminator(4, norm="spectral"), (32, 32), (2, 1, 2, 2)),
    ],
)
def test_logits_are_per_picture_or_per_place(network, size, shape):
    assert network(torch.rand(2, 3, *size)).shape == shape


@pytest.mark.parametrize(
    ("network", "size", "hint"),
    [
        (VGGDiscriminator(4, input_px=128), (96, 96), "patches of 128 px"),
        (VGGDiscriminator(4, input_px=128), (128, 96), "patches of 128 px"),
        (VGGDiscriminator(4), (31, 64), "at least 64"),
        (VGGDiscriminator(4), (32, 32), "batch of two"),
        (PatchDiscriminator(4), (64, 31), "at least 32"),
        (UNetDiscriminator(4), (60, 60), "multiple of 8"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused_with_what_would(network, size, hint):
    with pytest.raises(ConfigError) as caught:
        network(torch.rand(1, 3, *size))
    assert hint in caught.value.hint


def test_a_logit_of_the_patch_discriminator_sees_70_pixels():
    network = PatchDiscriminator(4, norm="instance").double()
    for module in network.modules():
        if isinstance(module, nn.InstanceNorm2d):
            module.forward = lambda features: features  # statistics would see the whole picture
    image = torch.rand(1, 3, 128, 128, dtype=torch.float64, requires_grad=True)
    network(image)[0, 0, 7, 7].backward()
    touched = image.grad.abs().sum(dim=(0, 1)).nonzero()
    assert (touched.amax(dim=0) - touched.amin(dim=0) + 1).tolist() == [70, 70]


def test_each_pass_in_training_refines_the_spectral_norm():
    network = UNetDiscriminator(4)
    before = network.conv1.weight_u.clone()
    network(torch.rand(1, 3, 8, 8))
    assert not torch.equal(network.conv1.weight_u, before)
