import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import identity, picture, runner, seeing, tiny_rrdb
from torch import Tensor

from srcli.inference.geometry import TilePlan
from srcli.inference.rows import TensorSource
from srcli.inference.tiled import run_tiled
from srcli.models.network import Network


def plan_for(image: Tensor, network: Network, tile: int, *, feather: int = 8, halo=None):
    height, width = image.shape[-2:]
    traits = network.traits
    halo = traits.halo_px if halo is None else halo
    return TilePlan(
        height=height,
        width=width,
        tile=tile,
        halo=halo,
        feather=feather,
        multiple=traits.multiple,
    )


def tiled(network: Network, image: Tensor, plan: TilePlan, **options) -> Tensor:
    rows = run_tiled(runner(network), TensorSource(image), plan, **options)
    return torch.cat([each for _, each in rows], 1)


# Sums of fp32 numbers near one, in another order: a few units in the last place.
EXACT = {"atol": 2e-6, "rtol": 0}


@pytest.mark.parametrize("size", [(70, 50), (33, 64), (1, 1), (1, 40), (40, 1), (17, 3)])
@pytest.mark.parametrize("tile", [7, 16, 32])
@pytest.mark.parametrize(("scale", "fold"), [(1, 1), (2, 1), (3, 1), (2, 2), (1, 4)])
def test_tiling_is_invisible_when_the_halo_covers_the_receptive_field(size, tile, scale, fold):
    network, image = seeing(2, scale=scale, fold=fold), picture(*size)
    restored = tiled(network, image, plan_for(image, network, tile))
    torch.testing.assert_close(restored, network(image[None])[0], **EXACT)


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    tile=st.integers(1, 70),
    feather=st.integers(0, 30),
    batch=st.integers(1, 5),
    fold=st.sampled_from([1, 2, 4]),
)
def test_tiling_is_invisible_for_any_size_tile_feather_and_batch(size, tile, feather, batch, fold):
    network, image = seeing(1, scale=2, fold=fold), picture(*size)
    plan = plan_for(image, network, tile, feather=feather)
    restored = tiled(network, image, plan, batch=batch)
    torch.testing.assert_close(restored, network(image[None])[0], **EXACT)


@pytest.mark.parametrize(
    ("scale", "unshuffle"), [(4, 1), (2, 1), (1, 1), (8, 1), (2, 2), (1, 4), (1, 2)]
)
def test_an_rrdb_network_of_one_block_is_exact_with_its_own_halo(scale, unshuffle):
    network = tiny_rrdb(scale=scale, unshuffle=unshuffle)
    image = picture(100 * unshuffle, 20)  # higher than a tile and its halo
    restored = tiled(network, image, plan_for(image, network, 24))
    torch.testing.assert_close(restored, network(image[None])[0], atol=1e-5, rtol=0)


def test_a_halo_one_pixel_too_small_shows():
    network, image = seeing(3), picture(40, 40)
    restored = tiled(network, image, plan_for(image, network, 16, halo=2, feather=0))
    assert (restored - network(image[None])[0]).abs().max() > 1e-3


def test_every_row_comes_once_and_in_order():
    image, network = picture(53, 20), seeing(1, scale=2)
    rows = run_tiled(runner(network), TensorSource(image), plan_for(image, network, 8))
    expected = 0
    for start, part in rows:
        assert start == expected and part.shape[0] == 3 and part.shape[2] == 40
        expected += part.shape[1]
    assert expected == 106


def test_tiles_of_one_shape_run_together_and_no_more_than_asked():
    shapes = []

    def note(image: Tensor) -> Tensor:
        shapes.append(tuple(image.shape))
        return image

    network, image = identity(fails=note), picture(8, 55)
    plan = plan_for(image, network, 8, halo=2, feather=0)
    assert torch.equal(tiled(network, image, plan, batch=3), image)
    assert max(count for count, *_ in shapes) == 3
    assert sum(count for count, *_ in shapes) == plan.tiles == 7


def test_the_tiles_done_add_up_to_the_plan():
    image, network, counts = picture(40, 50), seeing(1), []
    plan = plan_for(image, network, 16)
    tiled(network, image, plan, batch=2, on_tile=counts.append)
    assert sum(counts) == plan.tiles == 12


def test_the_source_is_read_in_the_order_of_the_rows():
    reads = []

    class Noting(TensorSource):
        def read(self, start: int, stop: int) -> Tensor:
            reads.append((start, stop))
            return super().read(start, stop)

    image, network = picture(50, 9), seeing(1)
    list(run_tiled(runner(network), Noting(image), plan_for(image, network, 8)))
    assert reads == sorted(reads) and (reads[0][0], reads[-1][1]) == (0, 50)
