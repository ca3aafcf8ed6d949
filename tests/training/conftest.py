"""A folder of photographs in small, and VGG19 with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from srcli.models.vgg import VGG19


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def photos(tmp_path) -> Path:
    """Four smooth pictures of 96 x 80 px."""
    return make_photos(tmp_path / "photos")


def make_photos(folder: Path, count: int = 4, size: tuple[int, int] = (96, 80)) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 256, (12, 12, 3), np.uint8)
        picture = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
        picture.save(folder / f"photo{number}.png")
    return folder


@pytest.fixture(scope="session")
def vgg():
    """Random weights in torchvision's naming, scaled so that deep features stay of order one."""
    generator = torch.Generator().manual_seed(7)
    weights = {}
    for name, value in VGG19(["relu5_4"]).state_dict().items():
        scale = (2 / value[0].numel()) ** 0.5 if value.ndim == 4 else 0.1
        weights[name] = torch.randn(value.shape, generator=generator) * scale
    return weights


@pytest.fixture(scope="session")
def vgg_file(vgg, tmp_path_factory) -> Path:
    """Those weights in a file."""
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    save_file(vgg, path)
    return path
