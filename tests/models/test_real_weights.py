"""The released weights through our networks, against two independent implementations."""

from collections.abc import Callable
from functools import cache

import ncnn
import numpy as np
import pytest
import torch
from spandrel import ModelLoader
from torch import Tensor

from srcli.inference.memory import Need, plan_tiles
from srcli.inference.precision import Precision, Runner
from srcli.inference.rows import TensorSink, TensorSource
from srcli.inference.run import enlarge
from srcli.models.compact import CompactNet
from srcli.models.network import Network, build_network
from srcli.models.rrdb import RRDBNet
from srcli.services.network import read_weights

LEVEL = 1 / 255
NAMES = {
    "realesrgan-x4plus": (RRDBNet, 64),
    "realesrgan-x4plus-anime": (RRDBNet, 48),
    "realesr-animevideov3": (CompactNet, 18),
    "realsr-df2k": (RRDBNet, 64),
}


def photograph(top: int, left: int, height: int, width: int) -> Tensor:
    """A part of the portrait of Eileen Collins (NASA, public domain), (1, 3, H, W)."""
    data = pytest.importorskip("skimage.data")
    crop = data.astronaut()[top : top + height, left : left + width].astype(np.float32) / 255
    return torch.from_numpy(crop).permute(2, 0, 1)[None].contiguous()


CROP = photograph(90, 180, 40, 44)  # an eye, hair, and the plain wall behind


@pytest.fixture(scope="module")
def load(real_weights) -> Callable[[str], Network]:
    return cache(lambda name: build_network(read_weights(real_weights(name))))


@pytest.fixture(scope="module", params=["realesrgan-x4plus", "realesr-animevideov3"])
def result(request, load) -> tuple[str, Network, Tensor]:
    network = load(request.param)
    with torch.inference_mode():
        return request.param, network, network(CROP)


def test_the_picture_is_spandrels_to_a_hundred_thousandth(result, real_weights):
    name, network, restored = result
    state = read_weights(real_weights(name))
    theirs = ModelLoader().load_from_state_dict(state).model.eval()
    assert type(network.body) is NAMES[name][0] and restored.std() > 0.1
    with torch.inference_mode():
        torch.testing.assert_close(restored, theirs(CROP), atol=1e-5, rtol=0)


def test_the_picture_is_that_of_the_ncnn_runtime_to_a_tenth_of_a_level(result, real_weights):
    name, _, restored = result
    files = real_weights(name).files
    if len(files) != 2:
        pytest.skip(f"{name} came as {files[0].suffix}, which the ncnn runtime does not read")
    error = (torch.from_numpy(run_ncnn(*files, CROP[0].numpy())) - restored[0]).abs().max()
    assert error < 0.1 * LEVEL  # what is left is the order of summation


def run_ncnn(param, binary, image: np.ndarray) -> np.ndarray:
    network = ncnn.Net()
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(network.opt, f"use_{option}", False)
    network.load_param(str(param))
    network.load_model(str(binary))
    extractor = network.create_extractor()
    extractor.input("data", ncnn.Mat(image).clone())  # a Mat alone does not keep its numbers
    _, output = extractor.extract("output")
    return np.array(output)


@pytest.mark.parametrize("name", NAMES)
def test_released_weights_are_recognised_with_their_contract(name, load):
    (kind, halo), network = NAMES[name], load(name)
    assert type(network.body) is kind
    assert (network.scale, network.traits.channels, network.traits.halo_px) == (4, 3, halo)


def test_tiles_of_128_differ_from_the_whole_by_at_most_a_level(load):
    network = load("realesrgan-x4plus")
    image = photograph(60, 120, 24, 256)[0]  # two tiles that each see three quarters of it
    runner = Runner(network, torch.device("cpu"), Precision.FP32)
    pictures = []
    for tile in (128, 256):
        plan = plan_tiles(24, 256, network, Need(0), budget=1, tile=tile)
        sink = TensorSink(torch.full((3, 96, 1024), float("nan")))
        enlarge(runner, TensorSource(image), sink, plan)
        pictures.append(sink.image.clamp(0, 1))
    difference = (pictures[0] - pictures[1]).abs()
    assert difference.isfinite().all() and difference.max() > 0  # they were not the same run
    assert (difference <= LEVEL).float().mean() >= 0.9999
