"""A stream of rows gives what the network gives of the whole image."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srcli.errors import UnavailableWeightsError
from srcli.inference.delays import ticks
from srcli.inference.geometry import StreamPlan, TilePlan
from srcli.inference.precision import Precision, Runner
from srcli.inference.rows import TensorSource
from srcli.inference.streaming import PaddedRows, run_streamed
from srcli.inference.streams import INPUT, build_stream
from srcli.models.compact import CompactConfig, CompactNet
from srcli.models.network import Network, pad_to, wrap_compact, wrap_rrdb
from srcli.models.rrdb import RRDBConfig, RRDBNet


def assert_same(restored: torch.Tensor, whole: torch.Tensor) -> None:
    """Within 2e-6 of the range: torch chooses kernels by size, and they add up in other orders."""
    reach = max(1.0, whole.abs().max().item())
    torch.testing.assert_close(restored, whole, rtol=0, atol=2e-6 * reach)


def assert_as_exact(restored: torch.Tensor, network: Network, image: torch.Tensor) -> None:
    """As near to the result in float64 as the whole image at once is, whose kernels may differ.

    Random weights cancel and amplify: there fp32 itself errs by more than 2e-6 of the range.
    """
    whole = network(image[None])[0]
    exact = copy.deepcopy(network).double()(image[None].double())[0]
    own = (whole - exact).abs().max().item()
    reach = max(1.0, whole.abs().max().item())
    assert (restored - exact).abs().max().item() <= 4 * own + 2e-6 * reach


def lively(body: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Random weights with which every convolution shows in an output of about one."""
    torch.manual_seed(seed)
    for parameter in body.parameters():
        scale = 0.5 if parameter.ndim == 1 else (0.6 * parameter[0].numel()) ** -0.5
        parameter.data.copy_(torch.randn_like(parameter) * scale)
    return body.eval().requires_grad_(False)


def lively_rrdb() -> torch.nn.Module:
    return lively(RRDBNet(RRDBConfig(channels=32, growth=16, blocks=4)))


def lively_compact() -> torch.nn.Module:
    return lively(CompactNet(CompactConfig(channels=16, convolutions=5)))


@torch.inference_mode()
def ticked(body: torch.nn.Module, images: torch.Tensor, *, band: int, at_once: int = 1):
    count, _, height, width = images.shape
    stream = build_stream(body, images=count, width=width, band=band, at_once=at_once)
    bands = []
    for tick in ticks(height, band, stream.output):
        rows = tick.rows(INPUT)
        bands.append(stream.step(tick, images[:, :, rows.start : rows.stop]))
    return torch.cat(bands, 2)


rrdb_networks = st.builds(
    lambda seed, colours, **config: wrap_rrdb(
        lively(RRDBNet(RRDBConfig(in_channels=colours, out_channels=colours, **config)), seed)
    ),
    seed=st.integers(0, 2**31),
    colours=st.sampled_from([1, 3, 4]),
    channels=st.sampled_from([4, 6]),
    growth=st.sampled_from([2, 4]),
    blocks=st.integers(1, 2),
    scale=st.sampled_from([1, 2, 4]),
    unshuffle=st.sampled_from([1, 2, 4]),
    upsampling=st.sampled_from(["nearest", "shuffle"]),
    slope=st.sampled_from([0.2, 0.01]),
)
compact_networks = st.builds(
    lambda seed, **config: wrap_compact(lively(CompactNet(CompactConfig(**config)), seed)),
    seed=st.integers(0, 2**31),
    channels=st.sampled_from([4, 8]),
    convolutions=st.integers(0, 4),
    scale=st.integers(1, 4),
)
networks = rrdb_networks | compact_networks


def plan(height: int, width: int, band: int, *, tile: int | None = None, **options) -> StreamPlan:
    strips = TilePlan(
        height=height, width=width, tile=tile or width, **{"halo": 0, "feather": 0, **options}
    )
    return StreamPlan(band=band, strips=strips)


def streamed(network: Network, image: torch.Tensor, how: StreamPlan) -> torch.Tensor:
    runner = Runner(network, torch.device("cpu"), Precision.FP32)
    bands = list(run_streamed(runner, TensorSource(image), how))
    starts = [start for start, _ in bands]
    assert starts == [sum(rows.shape[1] for _, rows in bands[:i]) for i in range(len(bands))]
    return torch.cat([rows for _, rows in bands], 1)


@settings(deadline=None, max_examples=60)
@given(networks, st.integers(1, 70), st.integers(1, 20), st.integers(1, 40))
def test_a_stream_gives_the_numbers_of_the_whole_image(network, height, width, bands):
    image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(height))
    band = bands * network.traits.multiple
    restored = streamed(network, image, plan(height, width, band))
    assert_as_exact(restored, network, image)


@pytest.mark.parametrize("height", [1, 2, 33, 40])
@pytest.mark.parametrize("scale", [8, 16])
def test_large_scales_stream(scale, height):
    network = wrap_rrdb(lively(RRDBNet(RRDBConfig(channels=4, growth=2, blocks=1, scale=scale))))
    image = torch.rand(3, height, 7)
    restored = streamed(network, image, plan(height, 7, 8))
    assert_same(restored, network(image[None])[0])


def test_a_network_in_imagenets_range_streams():
    config = RRDBConfig(channels=4, growth=4, blocks=1, imagenet_normalised=True, unshuffle=2)
    network, image = wrap_rrdb(lively(RRDBNet(config))), torch.rand(3, 31, 9)
    restored = streamed(network, image, plan(31, 9, 8))
    assert_same(restored, network(image[None])[0])


@torch.inference_mode()
def test_several_images_of_one_size_stream_together():
    body = lively(RRDBNet(RRDBConfig(channels=4, growth=2, blocks=1)))
    images = torch.rand(3, 3, 30, 11)
    assert_same(ticked(body, images, band=8), body(images))


def test_the_memory_of_a_stream_does_not_grow_with_the_image(monkeypatch):
    body = lively(RRDBNet(RRDBConfig(channels=4, growth=2, blocks=1)))
    stream = build_stream(body, images=1, width=5, band=4)
    monkeypatch.setattr(torch, "zeros", None)  # what windows are made with
    for tick in ticks(400, 4, stream.output):
        assert stream.step(tick, torch.rand(1, 3, tick.rows(INPUT).length, 5)).shape[2] <= 16


@pytest.mark.parametrize("make", [lively_rrdb, lively_compact], ids=["rrdb", "compact"])
def test_the_bits_do_not_depend_on_bands_or_ticks_at_once(make):
    """Every row is made by the same operations, whatever is made beside it."""
    body, image = make(), torch.rand(1, 3, 96, 80)
    whole = ticked(body, image, band=96)
    for band, at_once in [(8, 1), (24, 1), (8, 3), (24, 2)]:
        assert torch.equal(ticked(body, image, band=band, at_once=at_once), whole)


def test_the_real_network_streams_a_photograph_exactly():
    from skimage import data

    from srcli.services.network import load_network

    try:
        network = load_network("realesrgan-x4plus").network
    except UnavailableWeightsError as error:
        pytest.skip(f"no source gives the weights here: {error}")
    photograph = torch.from_numpy(data.astronaut()[:96, 180:244]).permute(2, 0, 1) / 255
    restored = streamed(network, photograph, plan(96, 64, 32))
    exact = copy.deepcopy(network).double()(photograph[None].double())[0]
    torch.testing.assert_close(restored.double(), exact, rtol=0, atol=2e-6)
    runner = Runner(network, torch.device("cpu"), Precision.FP32)
    whole = runner.submit(photograph[None]).result()[0]  # its own rounding is as large
    torch.testing.assert_close(restored, whole, rtol=0, atol=4e-6)


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 2, 4, 8]), st.integers(1, 3))
def test_rows_are_padded_as_the_whole_image_is(height, width, multiple, bands):
    image = torch.rand(3, height, width)
    rows = PaddedRows(TensorSource(image), multiple)
    whole = pad_to(image[None], rows.height, rows.width)
    assert rows.height % multiple == rows.width % multiple == 0
    step = bands * multiple
    for start in range(0, rows.height, step):
        stop = min(start + step, rows.height)
        assert torch.equal(rows.read(start, stop), whole[:, :, start:stop])


def test_strips_with_enough_context_are_invisible():
    network = wrap_compact(lively(CompactNet(CompactConfig(channels=8, convolutions=2, scale=2))))
    image = torch.rand(3, 90, 60)
    how = plan(90, 60, 8, tile=20, tall=32, halo=4, feather=4)
    assert how.is_cut and how.strips.tiles == 9
    restored = streamed(network, image, how)
    assert_same(restored, network(image[None])[0])
