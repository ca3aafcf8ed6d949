"""What several areas of tests need."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from srcli.models.rrdb import RRDBConfig, RRDBNet


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory) -> Path:
    """A x4 RRDB network of one block and eight channels, in a safetensors file."""
    torch.manual_seed(0)
    network = RRDBNet(RRDBConfig(channels=8, growth=4, blocks=1))
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(network.state_dict(), path)
    return path
