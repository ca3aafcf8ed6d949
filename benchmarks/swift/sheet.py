"""The picture of the model card: parts of held-out photographs, side by side.

python benchmarks/swift/sheet.py [FOLDER] [OUTPUT]      after table.py

Columns: low, bicubic, realesr-animevideov3, swift, realesrgan-x4plus, the true picture.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from srcli.data.decode import read_picture
from srcli.services.engine import Engine, EngineOptions
from srcli.services.network import load_network
from srcli.services.training.teaching import enlarged
from srcli.services.training.validation import busiest_window

ROWS = (
    ("scikit-rocket", "bicubic"),
    ("lomiri-picture_1a", "bicubic"),
    ("lomiri-friends", "light"),
    ("scikit-flower", "light"),
)
LOW_PX, GAP_PX = 48, 4


def main(folder: Path, output: Path) -> None:
    """Draw and write it."""
    engines = [
        Engine(load_network(name), EngineOptions(device="cpu"))
        for name in ("realesr-animevideov3", "swift")
    ]
    rows = [row(folder, name, preset, engines) for name, preset in ROWS]
    side = 4 * LOW_PX + GAP_PX
    sheet = Image.new("RGB", (side * len(rows[0]) - GAP_PX, side * len(rows) - GAP_PX), "white")
    for down, cells in enumerate(rows):
        for right, cell in enumerate(cells):
            sheet.paste(cell, (right * side, down * side))
    sheet.save(output, quality=90)


def row(folder: Path, name: str, preset: str, engines: list[Engine]) -> list[Image.Image]:
    low = read_picture(folder / "judged" / f"low-{preset}" / f"{name}.png")
    window = busiest_window(low, LOW_PX)
    small = image(window.of(low, 1))
    size = (4 * LOW_PX, 4 * LOW_PX)
    others = [enlarged(engine, low) for engine in engines]
    others.append(read_picture(folder / "judged" / f"teacher-{preset}" / f"{name}.png"))
    others.append(read_picture(folder / "held-out" / f"{name}.png"))
    return [
        small.resize(size, Image.Resampling.NEAREST),
        small.resize(size, Image.Resampling.BICUBIC),
        *(image(window.of(each, 4)) for each in others),
    ]


def image(picture: Tensor) -> Image.Image:
    """Of uint8 (3, H, W)."""
    assert picture.dtype == torch.uint8
    return Image.fromarray(np.ascontiguousarray(picture.permute(1, 2, 0).numpy()))


if __name__ == "__main__":
    arguments = [*sys.argv[1:], *("swift-data", "swift.webp")[len(sys.argv) - 1 :]]
    main(Path(arguments[0]), Path(arguments[1]))
