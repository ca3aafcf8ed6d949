"""Network interpolation."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from srcli.errors import OutputError, UsageError
from srcli.models.rrdb import RRDBConfig, RRDBNet
from srcli.services.blending import blend_weights


@pytest.fixture
def two(tmp_path):
    """Two networks of one shape, and one of another, as files in the released naming."""
    for seed, (name, blocks) in enumerate([("a", 1), ("b", 1), ("deep", 2)]):
        torch.manual_seed(seed)
        network = RRDBNet(RRDBConfig(channels=8, growth=4, blocks=blocks))
        save_file(network.state_dict(), tmp_path / f"{name}.safetensors")
    return tmp_path


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.8, 1.0])
def test_every_parameter_is_the_weighted_mean_under_its_released_name(two, alpha):
    a, b, out = (two / f"{name}.safetensors" for name in ("a", "b", "mix"))
    blend_weights(str(a), str(b), alpha, out)
    first, second, mixed = map(load_file, (a, b, out))
    assert mixed.keys() == first.keys()
    for name, value in mixed.items():
        torch.testing.assert_close(value, (1 - alpha) * first[name] + alpha * second[name])


def test_weights_of_different_shapes_are_not_blended(two):
    with pytest.raises(UsageError, match="cannot be blended"):
        blend_weights(str(two / "a.safetensors"), str(two / "deep.safetensors"), 0.5, two / "x")
    assert not (two / "x").exists()


def test_an_existing_file_is_not_replaced_unasked(two):
    a = str(two / "a.safetensors")
    with pytest.raises(OutputError, match="exists already"):
        blend_weights(a, a, 0.5, two / "b.safetensors")
