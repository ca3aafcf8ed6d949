import copy

import pytest
import torch
from namings import checkpoint, picture
from spandrel import ModelLoader
from spandrel.architectures.ESRGAN import ESRGAN
from spandrel.architectures.OmniSR import OmniSR
from spandrel.architectures.PLKSR import PLKSR
from spandrel.architectures.SPAN import SPAN
from spandrel.architectures.SwinIR import SwinIR
from torch import Tensor, nn

from srcli.errors import BadWeightsError
from srcli.inference.memory import measure_need
from srcli.inference.precision import Precision, Runner
from srcli.models.network import build_network


def swinir(channels: int = 3) -> nn.Module:
    return SwinIR(
        img_size=16,
        in_chans=channels,
        embed_dim=12,
        depths=[2],
        num_heads=[2],
        window_size=8,
        mlp_ratio=2,
        upscale=2,
        upsampler="pixelshuffledirect",
    )


ARCHITECTURES = {
    "SPAN": lambda: SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2),
    "SwinIR": swinir,
    "PLKSR": lambda: PLKSR(dim=8, n_blocks=1, upscaling_factor=2),
    "ESRGAN+": lambda: ESRGAN(num_filters=8, num_blocks=2, plus=True),
    "OmniSR": lambda: OmniSR(num_feat=8),
}


def state_of(name: str, **options: int) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return ARCHITECTURES[name](**options).state_dict()


def descriptor(state: dict[str, Tensor]):
    loaded = ModelLoader().load_from_state_dict(dict(state))
    loaded.model.eval()
    return loaded


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("size", [(16, 24), (19, 21), (9, 30)])
def test_what_spandrel_knows_gives_spandrels_picture(name, size):
    state, image = state_of(name), picture(*size)
    expected = descriptor(state)(image)
    assert expected.std() > 0.005
    torch.testing.assert_close(build_network(state)(image), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("size", [(1, 1), (1, 20), (5, 2)])
def test_sizes_that_the_architecture_cannot_take_are_padded(name, size):
    network = build_network(state_of(name))
    restored = network(picture(*size, count=2))
    assert restored.shape == (2, 3, size[0] * network.scale, size[1] * network.scale)
    assert restored.isfinite().all()


def test_a_gray_architecture_takes_colours_one_by_one():
    state, image = state_of("SwinIR", channels=1), picture(17, 12, count=2)
    theirs = descriptor(state)
    expected = torch.cat(
        [torch.cat([theirs(each[None, c : c + 1]) for c in range(3)], 1) for each in image]
    )
    torch.testing.assert_close(build_network(state)(image), expected, atol=1e-6, rtol=0)


def test_a_transparent_architecture_gets_an_opaque_picture():
    state, image = state_of("SwinIR", channels=4), picture(16, 16)
    expected = descriptor(state)(torch.cat((image, torch.ones(1, 1, 16, 16)), 1))[:, :3]
    torch.testing.assert_close(build_network(state)(image), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_copy_computes_with_its_own_weights(name):
    network, image = build_network(state_of(name)), picture(16, 16)
    before = network(image)
    copied = copy.deepcopy(network)
    for parameter in copied.parameters():
        parameter.data.zero_()
    assert torch.equal(network(image), before) and not torch.equal(copied(image), before)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_bf16_runs_beside_fp32(name):
    network, image = build_network(state_of(name)), picture(19, 21)
    exact = network(image)
    half = Runner(network, torch.device("cpu"), Precision.BF16).submit(image).result()
    assert (half - exact).abs().mean() < 0.01  # eight bits, through a random network
    assert torch.equal(network(image), exact)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_its_state_dict_holds_every_tensor_once(name):
    state = state_of(name)
    ours = build_network(state).state_dict()
    assert {key.removeprefix("body.module.") for key in ours} == state.keys()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_its_need_of_memory_is_measured_and_does_it_no_harm(name):
    network, image = build_network(state_of(name)), picture(16, 16)
    before = network(image)
    assert measure_need(network).per_pixel > 3 * 4 * network.scale**2
    assert torch.equal(network(image), before)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_damaged_files_are_refused_whichever_tensor_is_damaged(name):
    state = state_of(name)
    for key in list(state)[:: max(len(state) // 8, 1)]:
        lost = {other: tensor for other, tensor in state.items() if other != key}
        bent = {**state, key: torch.zeros(1, 2, 3, 4, 5)}
        for damaged in (lost, bent):
            with pytest.raises(BadWeightsError):
                build_network(damaged)


def test_a_network_that_fills_holes_is_refused():
    from spandrel.architectures.LaMa import LaMa

    with pytest.raises(BadWeightsError, match="masked areas"):
        build_network(LaMa().state_dict())


def test_an_ordinary_rrdb_network_is_not_foreign():
    assert build_network(checkpoint("body", blocks=1)).traits.architecture == "RRDB (1 blocks)"
