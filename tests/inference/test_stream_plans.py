"""Which plan is chosen, what it is said to need, and what is tried when it did not fit."""

from collections import deque

import pytest
import torch
from small_networks import identity, tiny_rrdb

from srcli.errors import OutOfMemoryError, UsageError
from srcli.inference.delays import Tick
from srcli.inference.ensemble import ensemble
from srcli.inference.geometry import PlanKind, StreamPlan, TilePlan
from srcli.inference.half import to_half
from srcli.inference.memory import BANDS_IN_FLIGHT, Need, _LiveBytes, stream_bytes
from srcli.inference.plan import PlanOptions, Room, plan_run, plan_stream, smaller_plan
from srcli.inference.streams import build_stream
from srcli.models.compact import CompactConfig, CompactNet
from srcli.models.network import Network, wrap_compact

RRDB = tiny_rrdb()
NEED = Need(per_pixel=1000)


def room(budget: float = 1e9) -> Room:
    return Room(device=torch.device("cpu"), budget=budget)


def chosen(height: int, width: int, network: Network = RRDB, budget: float = 1e9, **options):
    return plan_run(height, width, network, NEED, room(budget), PlanOptions(**options))


@pytest.mark.parametrize(
    ("height", "width", "options", "kind"),
    [
        (60, 80, {}, PlanKind.WHOLE),
        (600, 800, {}, PlanKind.STREAM),
        (600, 800, {"kind": PlanKind.WHOLE}, PlanKind.WHOLE),
        (60, 80, {"kind": PlanKind.STREAM}, PlanKind.STREAM),
        (600, 800, {"tile": 128}, PlanKind.TILES),
        (600, 800, {"kind": PlanKind.TILES, "tile": 128}, PlanKind.TILES),
        (600, 800, {"kind": PlanKind.STREAM, "tile": 128}, PlanKind.STREAM),
    ],
)
def test_large_images_stream_and_small_ones_go_at_once(height, width, options, kind):
    assert chosen(height, width, **options).kind is kind


@pytest.mark.parametrize(
    ("per_pixel", "kind"), [(100, PlanKind.WHOLE), (110, PlanKind.STREAM)], ids=["48", "53"]
)
def test_a_larger_image_of_which_little_is_made_goes_at_once(per_pixel, kind):
    plan = plan_run(600, 800, RRDB, Need(per_pixel), room())
    assert plan.kind is kind


def test_a_small_image_that_does_not_fit_at_once_streams():
    assert chosen(100, 100, budget=5e6).kind is PlanKind.STREAM


@pytest.mark.parametrize("network", [identity(2), ensemble(RRDB)], ids=["foreign", "ensemble"])
def test_a_network_that_has_no_stream_gets_tiles_and_says_so_when_asked_for_one(network):
    assert chosen(600, 800, network, budget=1e8).kind is PlanKind.TILES
    with pytest.raises(UsageError, match="cannot be streamed"):
        chosen(600, 800, network, kind=PlanKind.STREAM)


@pytest.mark.parametrize("unshuffle", [1, 2, 4])
def test_bands_keep_the_folds_of_the_network(unshuffle):
    network = tiny_rrdb(unshuffle=unshuffle)
    for width in (1, 500, 3000, 9000):
        assert plan_stream(700, width, network, room()).band % (8 * unshuffle) == 0


def test_a_stream_in_half_precision_needs_little_more_than_half():
    full, half = (stream_bytes(NETWORKS[name], width=200, band=16) for name in ("rrdb", "half"))
    assert 0.5 <= half / full < 0.7


def test_bands_are_the_highest_that_fit():
    bytes_of = {band: stream_bytes(RRDB, width=400, band=band) for band in (8, 16)}
    assert plan_stream(900, 400, RRDB, room(bytes_of[8])).band == 8
    assert plan_stream(900, 400, RRDB, room(bytes_of[16])).band == 16


def test_a_recording_needs_memory_beside_that_of_the_ticks_that_are_not_recorded(monkeypatch):
    width, band = 64, 16
    plain = stream_bytes(tiny_rrdb(scale=4), width=width, band=band)
    monkeypatch.setattr("srcli.inference.memory.records", lambda device: True)
    result = 3 * 16 * width * band * 4  # of a band, in fp32: it comes out, and was made in parts
    assert stream_bytes(tiny_rrdb(scale=4), width=width, band=band) >= plain + 2 * result


def test_an_image_too_wide_for_one_band_is_cut_into_strips():
    budget = stream_bytes(RRDB, width=3000, band=8)
    plan = plan_stream(900, 5000, RRDB, room(budget))
    assert plan.is_cut and plan.width <= 3000 and plan.strips.halo == RRDB.traits.halo_px
    assert stream_bytes(RRDB, width=plan.width, band=plan.band) <= budget


def strips(tile: int, width: int = 100) -> TilePlan:
    return TilePlan(height=90, width=width, tile=tile, tall=64, halo=4, feather=2)


@pytest.mark.parametrize(
    ("plan", "text", "tiles"),
    [
        (StreamPlan(band=32, strips=strips(100)), "stream, bands of 32 rows", 3),
        (
            StreamPlan(band=16, strips=strips(40)),
            "stream, bands of 16 rows in 6 strips of 40 px, halo 4",
            24,
        ),
    ],
)
def test_a_plan_says_what_it_is(plan, text, tiles):
    assert (plan.describe(), plan.tiles) == (text, tiles)


def test_what_did_not_fit_gets_lower_bands_then_strips_then_gives_up():
    plan, tried = StreamPlan(band=40, strips=strips(100)), []
    with pytest.raises(OutOfMemoryError):
        while True:
            plan = smaller_plan(plan)
            tried.append((plan.band, plan.strips.tile))
    assert tried[:4] == [(24, 100), (16, 100), (8, 100), (8, 75)]
    assert tried[-1][1] >= 16


NETWORKS = {
    "half": to_half(tiny_rrdb(channels=16, growth=8, blocks=3), torch.bfloat16),
    "rrdb": tiny_rrdb(channels=16, growth=8, blocks=3),
    "folded": tiny_rrdb(channels=16, growth=8, unshuffle=2, scale=2),
    "gray": tiny_rrdb(channels=8, in_channels=1, out_channels=1),
    "compact": wrap_compact(CompactNet(CompactConfig(channels=16)).requires_grad_(False)),
}


@pytest.mark.parametrize("band", [8, 16, 40])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_need_of_a_stream_is_what_it_takes(name, band):
    network, width = NETWORKS[name], 96
    images = 3 if network.traits.channels == 1 else 1
    colours = network.traits.channels
    stated = stream_bytes(network, width=width, band=band)
    counter, finished = _LiveBytes(), deque(maxlen=BANDS_IN_FLIGHT)
    with torch.inference_mode(), counter:
        stream = build_stream(network.body, images=images, width=width, band=band)
        for index in range(12):
            tick = Tick(index, band // stream.fold, height=10_000)
            finished.append(stream.step(tick, torch.rand(images, colours, band, width)))
    assert stated == pytest.approx(counter.peak, rel=0.15)
