"""What a network costs, counted from its shape, is what it costs when it runs."""

import pytest
import torch
from torch import nn

from srcli.inference.memory import measure_need
from srcli.io.catalogue import Compact, Entry, Rrdb, UrlSource, catalogue
from srcli.models.compact import CompactConfig, CompactNet
from srcli.models.network import wrap_compact, wrap_rrdb
from srcli.models.rrdb import RRDBConfig, RRDBNet
from srcli.services.weights_cost import cost_of

SIDE = 24


def entry_of(architecture, scale, size=None):
    source = UrlSource(url="https://example.org/a.pth", size=size)
    return Entry(
        purpose="",
        licence="MIT",
        scale=scale,
        architecture=architecture,
        homepage="",
        sources=(source,),
    )


def built(architecture, scale):
    if isinstance(architecture, Compact):
        shape = {"channels": architecture.channels, "convolutions": architecture.convolutions}
        return wrap_compact(CompactNet(CompactConfig(**shape, scale=scale)).eval())
    shape = architecture.model_dump(exclude={"kind"})
    return wrap_rrdb(RRDBNet(RRDBConfig(**shape, scale=scale)).eval())


def counted_operations(network):
    """Two for each tap of each output of each convolution that a run goes through."""
    found = []

    def count(convolution, _, output):
        found.append(2 * output.numel() * convolution.weight[0].numel())

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network(torch.zeros(1, 3, SIDE, SIDE))
    return sum(found)


@pytest.mark.parametrize(
    ("architecture", "scale"),
    [
        (Rrdb(kind="rrdb", channels=16, growth=8, blocks=2), 4),
        (Rrdb(kind="rrdb", channels=16, growth=8, blocks=2), 1),
        (Rrdb(kind="rrdb", channels=8, growth=16, blocks=3), 8),
        (Rrdb(kind="rrdb", channels=16, growth=8, blocks=2, unshuffle=2), 2),
        (Rrdb(kind="rrdb", channels=16, growth=8, blocks=2, unshuffle=4), 1),
        (Compact(kind="compact", channels=8, convolutions=3), 4),
        (Compact(kind="compact", channels=64, convolutions=2), 2),
    ],
)
def test_operations_and_memory_are_those_of_a_run(architecture, scale):
    network, cost = built(architecture, scale), cost_of(entry_of(architecture, scale))
    assert cost.values * 4 == measure_need(network).per_pixel
    assert cost.operations == counted_operations(network) / SIDE**2


def test_an_unknown_growth_is_taken_from_the_size_of_the_file_or_not_at_all():
    shape = Rrdb(kind="rrdb", channels=64, blocks=23)
    known = cost_of(entry_of(shape, 4, size=67040989))
    assert known == cost_of(entry_of(shape.model_copy(update={"growth": 32}), 4))
    assert cost_of(entry_of(shape, 4, size=33519872)) == known  # half precision
    assert cost_of(entry_of(shape, 4, size=50000000)) is cost_of(entry_of(shape, 4)) is None


def test_the_released_networks_have_the_figures_of_the_papers():
    large, small = (
        cost_of(catalogue().find(f"realesrgan-x4plus{name}")) for name in ("", "-anime")
    )
    assert (large.operations / 1e6, small.operations / 1e6) == pytest.approx((35.9, 11.4), abs=0.05)
    assert (large.speed, small.speed) == ("slow", "medium")
