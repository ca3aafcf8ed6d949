import pytest
import torch
from namings import checkpoint, picture
from spandrel import ModelLoader

from srcli.models.dialects import recognise_rrdb
from srcli.models.network import build_network
from srcli.models.rrdb import RRDBConfig, RRDBNet

# name: blocks, doublings, fold -> scale
SHAPES = {
    "x4": (2, 2, 1, 4),
    "x4 deep": (3, 2, 1, 4),
    "x4 shallow": (1, 2, 1, 4),
    "x1": (2, 0, 1, 1),
    "x2 plain (BSRGANx2)": (2, 1, 1, 2),
    "x2 unshuffle (x2plus)": (2, 2, 2, 2),
    "x1 unshuffle": (2, 2, 4, 1),
    "x8": (1, 3, 1, 8),
}


def spandrel_network(state: dict[str, torch.Tensor]) -> torch.nn.Module:
    """spandrel's own module: without the clamp and the padding of its descriptor."""
    return ModelLoader().load_from_state_dict(dict(state)).model.eval()


@pytest.mark.parametrize("naming", ["body", "trunk", "old"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_in_every_naming_equals_spandrels_network(naming, shape):
    blocks, doublings, fold, scale = SHAPES[shape]
    state = checkpoint(naming, blocks=blocks, doublings=doublings, fold=fold)
    image = picture(12, 20)
    network = build_network(state)
    expected = spandrel_network(state)(image)
    assert network.scale == scale and expected.std() > 0.05  # not a flat picture
    torch.testing.assert_close(network(image), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("naming", ["body", "trunk", "old"])
def test_the_shape_is_read_from_the_tensors(naming):
    weights = recognise_rrdb(
        checkpoint(naming, blocks=3, channels=12, growth=20, doublings=2, fold=2)
    )
    assert weights is not None and weights.dialect == naming
    assert weights.config == RRDBConfig(channels=12, growth=20, blocks=3, scale=2, unshuffle=2)


@pytest.mark.parametrize("channels", [1, 4])
def test_gray_and_transparent_networks_equal_spandrels(channels):
    state = checkpoint("old", image_channels=channels, blocks=1)
    image = picture(9, 11)
    theirs = spandrel_network(state)
    if channels == 1:
        expected = torch.cat([theirs(image[:, c : c + 1]) for c in range(3)], 1)
    else:
        expected = theirs(torch.cat((image, torch.ones(1, 1, 9, 11)), 1))[:, :3]
    torch.testing.assert_close(build_network(state)(image), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(9, 13), (1, 1), (1, 7), (6, 3)])
def test_a_folding_network_takes_any_size_as_if_mirrored_to_the_next_multiple(size):
    state = checkpoint("body", fold=2, blocks=1)
    image = picture(*size, count=2)
    even = [side + side % 2 for side in size]
    rows = [min(y, max(2 * size[0] - 2 - y, 0)) for y in range(even[0])]
    columns = [min(x, max(2 * size[1] - 2 - x, 0)) for x in range(even[1])]
    mirrored = image[:, :, rows][:, :, :, columns]
    expected = spandrel_network(state)(mirrored)[..., : 2 * size[0], : 2 * size[1]]
    torch.testing.assert_close(build_network(state)(image), expected, atol=1e-5, rtol=0)


def test_half_precision_files_become_fp32_networks():
    state = {name: tensor.half() for name, tensor in checkpoint("body", blocks=1).items()}
    network = build_network(state)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    exact = build_network({name: tensor.float() for name, tensor in state.items()})
    assert torch.equal(network(picture(8, 8)), exact(picture(8, 8)))


def test_a_fresh_network_starts_near_an_untrained_enlargement_and_learns():
    torch.manual_seed(0)
    network = RRDBNet(RRDBConfig(channels=8, growth=4, blocks=1, scale=2))
    image, target = picture(8, 8), picture(16, 16)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(3):
        loss = (network(image) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > losses[1] > losses[2]


def test_every_parameter_gets_a_gradient():
    network = RRDBNet(RRDBConfig(channels=8, growth=4, blocks=2, scale=4))
    network(picture(6, 6)).square().mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


@pytest.mark.parametrize(
    "impossible",
    [{"scale": 3}, {"scale": 0}, {"blocks": 0}, {"channels": 0}, {"growth": -1}, {"unshuffle": 3}],
)
def test_impossible_shapes_are_refused(impossible):
    with pytest.raises(ValueError, match="must be"):
        RRDBConfig(**impossible)
