import pytest
import torch
from namings import picture
from spandrel import ModelLoader
from spandrel.architectures.Compact import Compact

from srcli.errors import BadWeightsError
from srcli.models.compact import CompactConfig, CompactNet, fresh_compact
from srcli.models.network import build_network


def random_compact(*, channels: int = 8, convolutions: int = 3, scale: int = 4, image: int = 3):
    torch.manual_seed(channels + convolutions + scale)
    network = Compact(
        num_in_ch=image,
        num_out_ch=image,
        num_feat=channels,
        num_conv=convolutions,
        upscale=scale,
        act_type="prelu",
    )
    for parameter in network.parameters():
        parameter.data.mul_(2).add_(0.02)  # the default start hides most of the network
    return network


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("convolutions", [1, 2, 5])
def test_random_compact_networks_equal_spandrels(scale, convolutions):
    state = random_compact(scale=scale, convolutions=convolutions).state_dict()
    theirs = ModelLoader().load_from_state_dict(dict(state)).model.eval()
    network, image = build_network(state), picture(9, 14)
    assert network.scale == scale and isinstance(network.body, CompactNet)
    torch.testing.assert_close(network(image), theirs(image), atol=1e-5, rtol=0)


def test_a_gray_compact_network_takes_colours_one_by_one():
    body = random_compact(image=1).eval()
    image = picture(6, 5, count=2)
    expected = torch.cat([body(image[:, c : c + 1]) for c in range(3)], 1)
    torch.testing.assert_close(build_network(body.state_dict())(image), expected, atol=1e-5, rtol=0)


def test_the_default_shape_is_the_one_of_animevideov3():
    assert sum(p.numel() for p in CompactNet(CompactConfig()).parameters()) == 621_424


def test_its_halo_is_its_receptive_field():
    network = build_network(random_compact(convolutions=3).state_dict())
    image = torch.zeros(1, 3, 31, 31, requires_grad=True)
    network(image)[0, :, 60:64, 60:64].sum().backward()
    seen = image.grad.abs().sum((0, 1)).nonzero()
    assert (seen.amin().item(), seen.amax().item()) == (15 - 5, 15 + 5)
    assert network.traits.halo_px == 5


@pytest.mark.parametrize(
    "shape", [(), (1,), (0,), (2, 3), (0, 3, 3, 3), (8, 0, 3, 3), (9, 8, 3, 3)]
)
def test_a_tensor_of_a_wrong_shape_is_an_error_whichever_it_is(shape):
    state = random_compact().state_dict()
    for name in state:
        with pytest.raises(BadWeightsError):
            build_network({**state, name: torch.zeros(shape)})


def test_a_missing_tensor_is_an_error_whichever_it_is():
    state = random_compact().state_dict()
    for missing in state:
        with pytest.raises(BadWeightsError):
            build_network({name: tensor for name, tensor in state.items() if name != missing})


def test_a_fresh_network_is_the_nearest_enlargement_and_passes_signals_on():
    torch.manual_seed(0)
    network, image = fresh_compact(CompactConfig()), picture(9, 14)
    nearest = image.repeat_interleave(4, dim=-2).repeat_interleave(4, dim=-1)
    assert torch.equal(network(image), nearest)
    signal = torch.randn(1, 64, 40, 40)
    spread = network.body[2:-1](signal).std()  # sixteen layers of it, the last one left out
    assert 0.3 < spread < 3
