import pytest
import torch

from srcli.errors import BadWeightsError, ConfigError
from srcli.models.vgg import LAYER_INDEX, VGG19

TAPS = ["conv1_2", "conv2_2", "relu2_2", "relu3_3", "conv3_4", "conv4_4", "conv5_4", "relu5_4"]


@pytest.fixture(scope="module")
def torchvision_vgg():
    models = pytest.importorskip("torchvision.models", reason="compares with torchvision's VGG19")
    torch.manual_seed(0)
    with torch.device("meta"):  # the classifier's 124 million weights are not needed
        network = models.vgg19()
    network.features.to_empty(device="cpu")
    for module in network.features.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            torch.nn.init.normal_(module.bias, std=0.1)
    return network.features.eval()


def published(features):
    return {f"features.{key}": value for key, value in features.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("conv1_2", 2),
        ("conv2_2", 7),
        ("relu2_2", 8),
        ("relu3_3", 15),
        ("conv3_4", 16),
        ("conv4_4", 25),
        ("conv5_4", 34),
        ("relu5_4", 35),
        ("pool5", 36),
    ],
)
def test_layers_are_counted_as_in_torchvision(name, index):
    assert LAYER_INDEX[name] == index


@torch.no_grad()
def test_taps_are_the_values_of_torchvision_cut_after_that_layer(torchvision_vgg):
    image = torch.rand(1, 3, 32, 32)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    normalised = (image - mean) / deviation
    tapped = VGG19.from_weights(published(torchvision_vgg), TAPS)(image)
    assert list(tapped) == TAPS
    for tap, value in tapped.items():
        cut = torchvision_vgg[: LAYER_INDEX[tap] + 1]
        torch.testing.assert_close(value, cut(normalised.clone()), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_tap_before_activation_survives_the_activation(torchvision_vgg):
    image = torch.rand(1, 3, 32, 32)
    tapped = VGG19.from_weights(published(torchvision_vgg), ["conv5_4", "relu5_4"])(image)
    assert tapped["conv5_4"].min() < 0
    torch.testing.assert_close(tapped["conv5_4"].relu(), tapped["relu5_4"])


def test_nothing_behind_the_deepest_tap_is_kept():
    assert len(VGG19(["relu2_2", "conv1_1"]).features) == 9


def test_the_network_is_frozen():
    network = VGG19(["conv1_1"])
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_classifier_in_the_file_is_ignored():
    state_dict = VGG19(["relu1_2"]).state_dict()
    extra = {"classifier.0.weight": torch.zeros(1), "pre_logits.fc1.weight": torch.zeros(1)}
    network = VGG19.from_weights({**state_dict, **extra}, ["relu1_2"])
    torch.testing.assert_close(network.state_dict(), state_dict)


def test_weights_of_vgg16_and_of_nothing_are_refused():
    state_dict = VGG19(["conv3_4"]).state_dict()
    vgg16 = {**state_dict, "features.16.weight": torch.zeros(512, 256, 3, 3)}
    for wrong in (vgg16, {}):
        with pytest.raises(BadWeightsError, match="not the weights of VGG19"):
            VGG19.from_weights(wrong, ["conv3_4"])


@pytest.mark.parametrize("taps", [["conv3_5"], []])
def test_a_layer_that_is_not_there_is_refused(taps):
    with pytest.raises(ConfigError) as caught:
        VGG19(taps)
    assert "conv5_4" in caught.value.hint
