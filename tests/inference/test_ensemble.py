import pytest
import torch
from small_networks import picture, runner, tiny_rrdb
from torch import Tensor

from srcli.inference.ensemble import ensemble
from srcli.inference.geometry import TilePlan
from srcli.inference.rows import TensorSource
from srcli.inference.tiled import run_tiled
from srcli.models.network import Network

# Each symmetry of the square as its own turn and mirror, and how to undo it.
SYMMETRIES = [(turns, is_mirrored) for turns in range(4) for is_mirrored in (False, True)]


def seen(image: Tensor, turns: int, is_mirrored: bool) -> Tensor:
    turned = torch.rot90(image, turns, (-2, -1))
    return turned.flip(-1) if is_mirrored else turned


def undone(image: Tensor, turns: int, is_mirrored: bool) -> Tensor:
    return torch.rot90(image.flip(-1) if is_mirrored else image, -turns, (-2, -1))


def average(network: Network, image: Tensor) -> Tensor:
    results = [undone(network(seen(image, *each)), *each) for each in SYMMETRIES]
    return torch.stack(results).mean(0)


NEAR = {"atol": 1e-5, "rtol": 0}  # sums of eight in another order


@pytest.mark.parametrize("size", [(12, 20), (9, 7), (1, 5), (1, 1)])
@pytest.mark.parametrize("config", [{"scale": 2}, {"scale": 4}, {"scale": 1}])
def test_it_is_the_average_over_the_eight_symmetries(size, config):
    network, image = tiny_rrdb(**config), picture(*size)[None]
    torch.testing.assert_close(ensemble(network)(image), average(network, image), **NEAR)


@pytest.mark.parametrize("symmetry", SYMMETRIES)
@pytest.mark.parametrize(("unshuffle", "size"), [(1, (9, 14)), (2, (8, 14)), (4, (8, 16))])
def test_it_commutes_with_the_eight_symmetries(symmetry, unshuffle, size):
    network = ensemble(tiny_rrdb(scale=2 if unshuffle < 4 else 1, unshuffle=unshuffle))
    image = picture(*size)[None]
    expected = seen(network(image), *symmetry)
    torch.testing.assert_close(network(seen(image, *symmetry)), expected, **NEAR)


@pytest.mark.parametrize("size", [(9, 7), (1, 5), (6, 3)])
def test_a_folding_network_pads_once_for_all_symmetries(size):
    network, image = tiny_rrdb(scale=2, unshuffle=2), picture(*size)[None]
    even = [side + side % 2 for side in size]
    rows, columns = (
        [min(place, max(2 * side - 2 - place, 0)) for place in range(target)]
        for side, target in zip(size, even, strict=True)
    )
    expected = average(network, image[:, :, rows][:, :, :, columns])
    height, width = (2 * side for side in size)
    torch.testing.assert_close(ensemble(network)(image), expected[..., :height, :width], **NEAR)


@pytest.mark.parametrize("size", [(101, 20), (20, 101)])
def test_tiles_see_what_the_whole_image_sees_at_odd_sizes_too(size):
    network, image = ensemble(tiny_rrdb(scale=2, unshuffle=2)), picture(*size)
    plan = TilePlan(height=size[0], width=size[1], tile=20, halo=40, feather=4, multiple=2)
    rows = run_tiled(runner(network), TensorSource(image), plan)
    restored = torch.cat([each for _, each in rows], 1)
    torch.testing.assert_close(restored, network(image[None])[0], **NEAR)


def test_several_images_at_once_are_each_their_own():
    network = ensemble(tiny_rrdb(scale=2))
    images = torch.stack((picture(6, 9), picture(9, 6).mT))
    both = network(images)
    assert all(torch.allclose(both[i], network(images[i : i + 1])[0], atol=1e-6) for i in (0, 1))


def test_the_contract_stays_the_networks_own():
    network = tiny_rrdb(scale=2, unshuffle=2)
    inner, outer = network.traits, ensemble(network).traits
    assert (outer.scale, outer.multiple, outer.halo_px) == (
        inner.scale,
        inner.multiple,
        inner.halo_px,
    )
