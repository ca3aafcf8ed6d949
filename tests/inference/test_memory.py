import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import identity, tiny_rrdb
from torch import Tensor, nn

from srcli.errors import OutOfMemoryError
from srcli.inference.geometry import TilePlan
from srcli.inference.half import to_half
from srcli.inference.memory import Need, free_bytes, measure_need, plan_tiles, smaller
from srcli.models.compact import CompactConfig, CompactNet
from srcli.models.network import Network, Traits, wrap_compact


class Doubled(nn.Module):
    """(N, 3, H, W) -> the same; alive at the worst moment: two of 8 channels and one of 3."""

    def __init__(self) -> None:
        super().__init__()
        self.widen = nn.Conv2d(3, 8, 1)
        self.narrow = nn.Conv2d(8, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        wide = self.widen(image)
        return self.narrow(F.relu(wide))


def test_the_need_of_a_known_network_is_exact():
    network = Network(Doubled(), Traits(architecture="test", scale=1))
    # `wide`, its ReLU and the result are alive together: 8 + 8 + 3 numbers a pixel.
    assert measure_need(network) == Need(19 * 4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_needs_half_but_for_its_exact_ends(dtype):
    network = tiny_rrdb(scale=4, channels=16, growth=8)
    full = measure_need(network).per_pixel
    assert 0.5 <= measure_need(to_half(network, dtype)).per_pixel / full < 0.85


def traced_peak(network: Network, side: int) -> float:
    """What torch's own profiler says was allocated at most at once, a pixel."""
    image = torch.rand(1, 3, side, side)
    with (
        torch.inference_mode(),
        torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
        ) as profiler,
    ):
        network(image)
    live = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return peak / side**2


@pytest.mark.parametrize("name", ["rrdb x4", "rrdb x2 folded", "compact"])
def test_the_need_is_what_torch_really_allocates(name):
    networks = {
        "rrdb x4": lambda: tiny_rrdb(scale=4, channels=16, growth=8, blocks=2),
        "rrdb x2 folded": lambda: tiny_rrdb(scale=2, unshuffle=2, channels=16, growth=8),
        "compact": lambda: wrap_compact(CompactNet(CompactConfig(channels=16, convolutions=3))),
    }
    network = networks[name]().eval().requires_grad_(False)
    measured = measure_need(network).per_pixel
    # The convolutions' own workspace is not counted; a share of the memory is left free for it.
    assert 0.5 < traced_peak(network, 96) / measured < 1.6


def test_the_need_does_not_depend_on_the_size_it_was_measured_at(monkeypatch):
    network = tiny_rrdb(scale=2, unshuffle=2)
    first = measure_need(network)
    monkeypatch.setattr("srcli.inference.memory.PROBE_SIDE", 48)
    assert measure_need(network) == first


def test_measuring_needs_no_compiler_and_leaves_the_network_as_it_was():
    network = tiny_rrdb(scale=2)
    image = torch.rand(1, 3, 8, 8)
    before = network(image)
    measure_need(network)
    assert torch.equal(network(image), before)


NETWORK = tiny_rrdb(scale=4)
SIDES = st.integers(1, 3000)


@settings(max_examples=60)
@given(SIDES, SIDES, st.floats(5e4, 1e10))
def test_a_plan_fits_its_budget_or_there_is_none(height, width, budget):
    need = Need(100.0)
    try:
        plan = plan_tiles(height, width, NETWORK, need, budget=budget)
    except OutOfMemoryError:
        side = min(16 + 8 + 2 * NETWORK.traits.halo_px, max(height, width))
        assert need.bytes(side, side) > budget / 2
    else:
        assert need.bytes(*plan.largest) <= budget


@settings(max_examples=40)
@given(SIDES, SIDES, st.floats(1e6, 1e9), st.floats(1, 20))
def test_more_memory_never_makes_smaller_tiles(height, width, budget, more):
    need = Need(100.0)
    small = plan_tiles(height, width, NETWORK, need, budget=budget)
    large = plan_tiles(height, width, NETWORK, need, budget=budget * more)
    assert large.tile >= small.tile and large.tiles <= small.tiles


def test_what_fits_is_run_whole():
    plan = plan_tiles(30, 50, NETWORK, Need(10), budget=30 * 50 * 10)
    assert plan.tiles == 1 and plan.largest == (30, 50)


def test_what_the_user_asks_for_is_not_second_guessed():
    plan = plan_tiles(300, 500, NETWORK, Need(1e9), budget=1, tile=128, halo=7)
    assert (plan.tile, plan.halo, plan.feather) == (128, 7, 7)


def test_a_network_that_cuts_by_itself_gets_the_whole_image():
    network = Network(identity().body, Traits(architecture="test", scale=1, is_tileable=False))
    assert plan_tiles(300, 500, network, Need(1e9), budget=1).tiles == 1


@settings(max_examples=60)
@given(SIDES, SIDES, st.integers(1, 5000), st.integers(0, 80))
def test_each_smaller_plan_computes_on_less_at_once(height, width, tile, halo):
    plan = TilePlan(height=height, width=width, tile=tile, halo=halo, feather=min(8, halo))
    for _ in range(60):
        before = plan.largest[0] * plan.largest[1]
        try:
            plan = smaller(plan)
        except OutOfMemoryError:
            return
        assert plan.largest[0] * plan.largest[1] < before
    raise AssertionError("it never ends")


def test_free_memory_is_a_part_of_what_the_machine_has():
    assert 0 < free_bytes(torch.device("cpu")) <= 3 * 2**30
