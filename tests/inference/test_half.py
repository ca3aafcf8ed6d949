"""What half precision leaves of a picture of 16 bits."""

import copy

import pytest
import torch
from small_networks import ends, runner, tiny_rrdb
from torch import Tensor

from srcli.inference.ensemble import ensemble
from srcli.inference.half import to_half
from srcli.inference.memory import Need
from srcli.inference.plan import PlanKind, PlanOptions, Room, plan_run
from srcli.inference.precision import DTYPES, Precision, Runner, _half_is_sound
from srcli.inference.run import enlarge
from srcli.models.compact import CompactConfig, CompactNet
from srcli.models.network import Network, wrap_compact

HALVES = [Precision.FP16, Precision.BF16]


def bright(network: Network) -> Network:
    """Scaled to give the gradient back about as it is: where half precision is coarse."""
    _, last = network.body.ends
    for _ in range(2):  # a Compact network adds its input, which no scale changes
        row = inside(network(GRADIENT[None])[0])
        last.weight.data *= (0.06 / (row.max() - row.min())).clamp(max=1)
        last.bias.data += 0.65 - row.mean()
    return network


def compact() -> Network:
    torch.manual_seed(1)
    body = CompactNet(CompactConfig(channels=8, convolutions=2, scale=2))
    return wrap_compact(body.eval().requires_grad_(False))


GRADIENT = (torch.linspace(40_000, 44_000, 240) / 65_535).expand(3, 16, 240)
NETWORKS = {"rrdb": lambda: bright(tiny_rrdb(scale=2)), "compact": lambda: bright(compact())}


def inside(image: Tensor) -> Tensor:
    """A row of green that no border reaches."""
    return image[1, image.shape[1] // 2, 100:-100]


def levels(image: Tensor) -> int:
    """Different samples of 16 bits."""
    return len((inside(image) * 65_535).round().unique())


def enlarged(doing: Runner, kind: PlanKind) -> Tensor:
    source, sink = ends(GRADIENT, doing.network.scale)
    room = Room(device=torch.device("cpu"), budget=1e9)
    options = PlanOptions(kind=kind, tile=100 if kind is PlanKind.TILES else None)
    plan = plan_run(16, 240, doing.replica, Need(1000), room, options)
    enlarge(doing, source, sink, plan)
    return sink.image


@pytest.mark.parametrize("kind", [PlanKind.WHOLE, PlanKind.STREAM, PlanKind.TILES])
@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_gradient_of_16_bits_is_not_banded(name, precision, kind):
    network = NETWORKS[name]()
    exact = enlarged(runner(network), kind)
    half = enlarged(runner(network, precision), kind)
    rounded = exact.to(DTYPES[precision]).float()
    assert levels(half) > 0.7 * levels(exact) > 1.5 * levels(rounded)


@pytest.mark.parametrize("precision", HALVES)
def test_a_stream_in_half_precision_is_the_whole_image(precision):
    for network in (NETWORKS["rrdb"](), NETWORKS["compact"]()):
        whole, stream = (
            enlarged(runner(network, precision), kind) for kind in (PlanKind.WHOLE, PlanKind.STREAM)
        )
        unit = torch.finfo(DTYPES[precision]).eps  # each way rounds a sum once or twice
        torch.testing.assert_close(stream, whole, rtol=0, atol=5 * unit * float(whole.abs().max()))


def test_the_ends_of_an_ensemble_are_exact_too():
    network = ensemble(NETWORKS["rrdb"]())
    half = to_half(copy.deepcopy(network), torch.bfloat16)(GRADIENT[None])
    assert half.dtype is torch.float32
    assert levels(half[0]) > 0.7 * levels(network(GRADIENT[None])[0])


@pytest.mark.parametrize("precision", HALVES)
def test_the_ends_have_the_weights_they_were_given(precision):
    network = tiny_rrdb(scale=2, imagenet_normalised=True)
    half = to_half(copy.deepcopy(network), DTYPES[precision])
    for given, kept in zip(network.body.ends, half.body.ends, strict=True):
        assert torch.equal(kept.weight, given.weight) and torch.equal(kept.bias, given.bias)
    assert torch.equal(half.body.mean, network.body.mean)
    assert torch.equal(half.body.std, network.body.std)


@pytest.mark.parametrize(("gain", "is_sound"), [(1e4, True), (1e6, False)])
def test_fp16_is_tried_as_it_would_be_run(gain, is_sound):
    body = CompactNet(CompactConfig(channels=64, convolutions=0, scale=1)).eval()
    first, last = body.ends
    for end, value in ((first, gain / 27), (last, 2e-4 / gain)):  # the last is too small for fp16
        torch.nn.init.constant_(end.weight, value)
        torch.nn.init.zeros_(end.bias)
    assert _half_is_sound(wrap_compact(body), torch.device("cpu")) == is_sound
