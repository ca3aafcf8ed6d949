"""What several areas of tests need."""

# ruff: noqa: E402
import os
import sys

# Before torch is imported, and for every process that a test starts: one thread. Tiny networks gain
# nothing from more, and threads that wait for each other on busy cores cost twenty times as much.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from safetensors.torch import save_file

from srcli.errors import UnavailableWeightsError
from srcli.models.rrdb import RRDBConfig, RRDBNet
from srcli.services.weights import WeightsFile, obtain

# A machine at work stalls for longer than hypothesis allows an example.
# The gate tries the same examples every time; a developer's machine keeps looking for new ones.
settings.register_profile(
    "srcli",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("srcli")


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory) -> Path:
    """A x4 RRDB network of one block and eight channels, in a safetensors file."""
    torch.manual_seed(0)
    network = RRDBNet(RRDBConfig(channels=8, growth=4, blocks=1))
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def small_ray() -> Iterator[None]:
    """Ray without the larger part of its agent, which ray[serve] brings and is slow to start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "ray.dashboard.optional_deps", None)
        yield


@pytest.fixture(scope="session")
def real_weights() -> Callable[[str], WeightsFile]:
    """Released weights by name, as users get them: fetched once into the ordinary cache."""

    @cache
    def get(name: str) -> WeightsFile:
        try:
            return obtain(name)
        except UnavailableWeightsError as error:
            pytest.skip(f"no source gives {name} here: {error}")

    return get
