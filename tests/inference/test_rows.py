import pytest
import torch
from small_networks import ends, picture, runner, seeing
from torch import Tensor

from srcli.inference.geometry import TilePlan
from srcli.inference.rows import CroppedSink, TensorSink, TensorSource, WrappedSource
from srcli.inference.run import enlarge
from srcli.models.network import Network


def seamless(network: Network, image: Tensor, tile: int) -> Tensor:
    """The texture enlarged as if it went on beyond its borders."""
    source, sink = ends(image, network.scale)
    margin, scale = network.traits.halo_px, network.scale
    wrapped = WrappedSource(source, margin)
    cropped = CroppedSink(sink, margin * scale, source.height * scale, source.width * scale)
    plan = TilePlan(height=wrapped.height, width=wrapped.width, tile=tile, halo=margin, feather=4)
    enlarge(runner(network), wrapped, cropped, plan)
    return sink.image


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (0, 7), (11, 13), (-5, 3)])
@pytest.mark.parametrize("tile", [9, 100])
def test_a_shifted_texture_gives_the_shifted_result(shift, tile):
    network, texture = seeing(3, scale=2), picture(18, 23)
    expected = seamless(network, texture, tile).roll([2 * step for step in shift], (1, 2))
    restored = seamless(network, texture.roll(shift, (1, 2)), tile)
    torch.testing.assert_close(restored, expected, atol=2e-6, rtol=0)


def test_without_wrapping_it_would_not():
    network, texture = seeing(3, scale=2), picture(18, 23)
    difference = network(texture.roll(5, 1)[None])[0] - network(texture[None])[0].roll(10, 1)
    assert difference.abs().max() > 0.01


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2)])
def test_textures_smaller_than_the_margin_repeat_as_often_as_it_takes(size):
    texture = picture(*size)
    wrapped = WrappedSource(TensorSource(texture), 7)
    repeated = texture.repeat(1, 20, 20)
    top, left = (10 * side - 7 for side in size)
    assert (wrapped.height, wrapped.width) == (size[0] + 14, size[1] + 14)
    expected = repeated[:, top : top + wrapped.height, left : left + wrapped.width]
    assert torch.equal(wrapped.read(0, wrapped.height), expected)


@pytest.mark.parametrize("count", [1, 3, 5, 100])
def test_a_cropped_sink_hands_on_the_inside_whatever_the_pieces(count):
    image = picture(20, 30)
    inside = TensorSink(torch.full((3, 12, 22), float("nan")))
    sink = CroppedSink(inside, 4, 12, 22)
    for start in range(0, 20, count):
        sink.write(start, image[:, start : start + count])
    assert torch.equal(inside.image, image[:, 4:16, 4:26])


def test_a_tensor_is_read_and_written_by_rows():
    image = picture(6, 4)
    source, sink = ends(image, 1)
    sink.write(2, source.read(2, 6))
    sink.write(0, source.read(0, 2))
    assert torch.equal(sink.image, image)
