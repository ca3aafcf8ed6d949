from dataclasses import dataclass, field, replace

import pytest
import torch
from namings import picture, random_tensors
from torch import Tensor

from srcli.errors import BadWeightsError
from srcli.models.ncnn import state_dict_from_ncnn
from srcli.models.network import build_network
from srcli.models.rrdb import RRDBNet


@dataclass(frozen=True)
class Layer:
    kind: str
    parameters: dict[int, float | tuple[float, ...]] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)


LEAKY = {9: 2.0, 10: (0.2,)}
SUM = Layer("Eltwise", {0: 1, 1: (0.2, 1.0)})
DOUBLE = Layer("Interp", {0: 1, 1: 2.0, 2: 2.0})


def convolution(weight: Tensor, bias: Tensor, activation=None) -> Layer:
    sizes = {0: float(len(weight)), 1: 3.0, 4: 1.0, 5: 1.0, 6: float(weight.numel())}
    return Layer("Convolution", sizes | (activation or {}), {"weight": weight, "bias": bias})


def rrdb_layers(*, blocks: int, doublings: int = 2, **sizes: int) -> list[Layer]:
    """What the converter writes, without Split and Concat, which hold nothing."""
    layers = [Layer("Input")]
    for role, weight, bias in random_tensors(blocks=blocks, doublings=doublings, **sizes):
        kind, *place = role.split(".")
        is_active = kind in ("up", "hr") or (kind == "B" and place[2] != "4")
        layers += [DOUBLE] if kind == "up" else []
        layers += [convolution(weight, bias, LEAKY if is_active else None)]
        layers += [SUM] if kind == "B" and place[2] == "4" else []
        layers += [SUM] if kind == "B" and place[1:] == ["2", "4"] else []
        layers += [Layer("BinaryOp", {0: 0.0})] if kind == "body" else []
    return layers


def compact_layers(*, convolutions: int, scale: int) -> list[Layer]:
    generator = torch.Generator().manual_seed(scale)
    layers, inputs = [Layer("Input"), Layer("Split")], 3
    for index in range(convolutions + 2):
        outputs = 3 * scale**2 if index == convolutions + 1 else 6
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator) / 6
        layers.append(convolution(weight, torch.randn(outputs, generator=generator) / 9))
        if index < convolutions + 1:
            layers.append(Layer("PReLU", {0: 6.0}, {"weight": torch.rand(6, generator=generator)}))
        inputs = 6
    interp = Layer("Interp", {0: 1, 1: float(scale), 2: float(scale)})
    return [*layers, Layer("PixelShuffle", {0: float(scale)}), interp, Layer("BinaryOp")]


@pytest.mark.parametrize(("blocks", "doublings"), [(1, 0), (1, 1), (2, 2), (3, 3)])
def test_the_order_of_the_forward_pass_gives_back_every_name(blocks, doublings):
    layers = rrdb_layers(blocks=blocks, doublings=doublings)
    if doublings == 0:
        with pytest.raises(BadWeightsError):  # nothing tells x1 from other networks
            state_dict_from_ncnn(layers)
        return
    state = state_dict_from_ncnn(layers)
    body = build_network(state).body
    assert isinstance(body, RRDBNet) and body.config.blocks == blocks
    expected = dict(body.named_parameters())
    assert [id(state[name]) for name in expected] and state.keys() == expected.keys()
    ordered = [state[f"{stem}.weight"].shape for stem in ("conv_first", "conv_body", "conv_last")]
    assert ordered == [(8, 3, 3, 3), (8, 8, 3, 3), (3, 8, 3, 3)]


@pytest.mark.parametrize("scale", [2, 4])
def test_a_compact_network_comes_back_whole(scale):
    layers = compact_layers(convolutions=3, scale=scale)
    network, image = build_network(state_dict_from_ncnn(layers)), picture(6, 8)
    features = image
    for layer in (each for each in layers if each.tensors):
        if layer.kind == "PReLU":
            features = torch.nn.functional.prelu(features, layer.tensors["weight"])
        else:
            features = torch.nn.functional.conv2d(features, **layer.tensors, padding=1)
    enlarged = image.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    expected = torch.nn.functional.pixel_shuffle(features, scale) + enlarged
    torch.testing.assert_close(network(image), expected)


def test_a_shrinking_step_at_the_end_is_left_to_the_resampler():
    layers = [*compact_layers(convolutions=2, scale=4), Layer("Interp", {0: 3, 1: 0.5, 2: 0.5})]
    assert build_network(state_dict_from_ncnn(layers)).scale == 4


def changed(layers: list[Layer], kind: str, key: int, value: object) -> list[Layer]:
    """The first layer of a kind (convolutions: the first activated one) with another parameter."""
    place = next(
        i
        for i, each in enumerate(layers)
        if each.kind == kind and (key != 10 or 9 in each.parameters)
    )
    parameters = {**layers[place].parameters, key: value}
    return [*layers[:place], replace(layers[place], parameters=parameters), *layers[place + 1 :]]


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("Convolution", 1, 5.0),
        ("Convolution", 2, 2.0),
        ("Convolution", 3, 2.0),
        ("Convolution", 4, 0.0),
        ("Convolution", 9, 1.0),
        ("Convolution", 10, (0.1,)),
        ("Convolution", 10, (0.2, 0.2)),
        ("Convolution", 10, 0.2),
        ("Eltwise", 1, (1.0, 0.2)),
        ("Eltwise", 1, (0.2,)),
        ("Eltwise", 1, (0.2, 1.0, 1.0)),
        ("Eltwise", 1, 0.2),
        ("Interp", 0, 2.0),
        ("Interp", 1, 3.0),
        ("Interp", 2, 3.0),
    ],
)
def test_another_network_of_the_same_layers_is_refused(kind, key, value):
    with pytest.raises(BadWeightsError, match="no RRDB network we know"):
        state_dict_from_ncnn(changed(rrdb_layers(blocks=1), kind, key, value))


@pytest.mark.parametrize("lost", range(24))
def test_a_lost_layer_is_noticed_whichever_it_is(lost):
    layers = rrdb_layers(blocks=1)
    bare = ("Input", "BinaryOp")
    if layers[lost].kind in bare:
        return
    with pytest.raises(BadWeightsError):
        build_network(state_dict_from_ncnn(layers[:lost] + layers[lost + 1 :]))


def test_a_compact_network_of_another_order_is_refused():
    layers = compact_layers(convolutions=2, scale=2)
    with pytest.raises(BadWeightsError, match="no Compact network we know"):
        state_dict_from_ncnn([layers[0], layers[2], layers[2], *layers[4:]])


def test_an_unknown_network_is_refused_with_its_kinds():
    with pytest.raises(BadWeightsError, match="Pooling"):
        state_dict_from_ncnn([Layer("Input"), Layer("Pooling")])


def test_no_layers_at_all_are_refused():
    with pytest.raises(BadWeightsError):
        state_dict_from_ncnn([])
