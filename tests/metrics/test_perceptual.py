"""LPIPS and ST-LPIPS: equal to their packages, and to what a distance must be."""

import pytest
import torch
from torch import nn

from srcli.errors import BadWeightsError, ImageError, UnavailableWeightsError
from srcli.io.tensors import read_state_dict
from srcli.metrics.perceptual import PerceptualDistance, Trunk
from srcli.services.weights import obtain


@pytest.fixture(scope="module")
def waves():
    down, across = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    channels = (across / 3).sin(), (down / 5).sin(), ((across + down) / 7).cos()
    return torch.stack(channels).mul(0.4).add(0.5).unsqueeze(0)


@pytest.fixture(scope="module")
def shift_tolerant():
    try:
        (path,) = obtain("st-lpips-alex").files
    except UnavailableWeightsError as error:
        pytest.skip(f"the weights of ST-LPIPS cannot be had here: {error}")
    weights = read_state_dict(path)
    return PerceptualDistance.from_weights(Trunk.ALEX_SHIFT_TOLERANT, weights, weights)


@pytest.fixture(params=list(Trunk))
def untrained(request):
    torch.manual_seed(0)
    return PerceptualDistance(request.param)


def test_shift_tolerant_distances_are_those_of_its_package(shift_tolerant, waves):
    others = torch.cat((waves.flip(-1), (waves * 4).round() / 4, waves.roll(1, -1)))
    # By the package stlpips-pytorch 0.0.2, net="alex", variant="shift_tolerant", normalize=True.
    expected = torch.tensor([0.1233034804, 0.1813981832, 0.0050874115])
    torch.testing.assert_close(
        shift_tolerant(waves.expand(3, -1, -1, -1), others), expected, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("trunk", [Trunk.ALEX, Trunk.VGG])
@pytest.mark.filterwarnings("ignore::UserWarning")  # the package asks torchvision in an old way
def test_distances_are_those_of_the_package_lpips(trunk, waves):
    package = pytest.importorskip("lpips", reason="the package lpips is not installed")
    theirs = package.LPIPS(net=str(trunk), pretrained=True, pnet_rand=True, verbose=False)
    ours = PerceptualDistance.from_weights(trunk, _named(theirs.net, trunk), theirs.state_dict())
    expected = theirs(waves, waves.flip(-1), normalize=True).flatten()
    torch.testing.assert_close(ours(waves, waves.flip(-1)), expected, rtol=1e-5, atol=1e-7)


def test_equal_pictures_have_no_distance_and_others_have_the_same_both_ways(untrained, waves):
    untrained.heads.apply(_make_positive)
    assert untrained(waves, waves) == 0
    there, back = untrained(waves, waves.flip(-1)), untrained(waves.flip(-1), waves)
    assert there > 0 and there == back


def test_a_shift_by_a_pixel_is_nearer_than_a_mirrored_picture(shift_tolerant, waves):
    assert shift_tolerant(waves, waves.roll(1, -1)) < shift_tolerant(waves, waves.flip(-1)) / 3


def test_a_picture_too_small_for_the_deepest_features_is_refused(untrained):
    with pytest.raises(ImageError, match="32 x 32"):
        untrained(torch.zeros(1, 3, 31, 64), torch.zeros(1, 3, 31, 64))


def test_weights_of_another_network_are_refused_by_name():
    with pytest.raises(BadWeightsError, match=r"features\.0\.weight is missing"):
        PerceptualDistance.from_weights(Trunk.ALEX, {}, {})


def _make_positive(layer):
    if isinstance(layer, nn.Conv2d):
        layer.weight.abs_()


def _named(trunk, kind):
    """The convolutions of the package's trunk under the names of torchvision's files."""
    places = {
        Trunk.ALEX: (0, 3, 6, 8, 10),
        Trunk.VGG: (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    }[kind]
    convolutions = [layer for layer in trunk.modules() if isinstance(layer, nn.Conv2d)]
    return {
        f"features.{place}.{name}": value
        for place, layer in zip(places, convolutions, strict=True)
        for name, value in layer.named_parameters()
    }
