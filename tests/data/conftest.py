"""Small pictures on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a picture of smooth random colours, of its own for each name, below `tmp_path`."""

    def write(name: str, height: int = 40, width: int = 48, mode: str = "RGB") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        chance = np.random.default_rng(sum(map(ord, name)))
        coarse = chance.integers(0, 256, (max(1, height // 4), max(1, width // 4), 3), np.uint8)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        smooth.convert(mode).save(path)
        return path

    return write
