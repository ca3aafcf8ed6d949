"""Fifty photographs, a piece from the middle of each: what numbers are held to.

44 are those of `benchmarks/swift/sources.py` (Debian's and scikit-image's, fetched when first
asked for), five are Set5's where `SRCLI_SHARED` or the folder beside the repository has them. What
is then missing to fifty are second pieces of the first ones.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks" / "swift")]

from prepare import fetch, opened  # noqa: E402
from sources import SOURCES  # noqa: E402

COUNT = 50
SIDE_PX = 768  # longer side before cutting: photographs of cameras are soft at 1:1


def photographs(folder: Path) -> dict[str, Path]:
    """Fifty by name, shrunk, as PNG in `folder`; fetched only if they are not there."""
    files = sorted(folder.glob("*.png"))
    if len(files) < COUNT:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in _found(folder.with_name(f"{folder.name}-packages")):
            shrunk = picture.copy()
            shrunk.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
            shrunk.save(folder / f"{name}.png")
        files = sorted(folder.glob("*.png"))
    return {path.stem: path for path in files[:COUNT]}


def piece(path: Path, height: int, width: int) -> Tensor:
    """The middle of a photograph, (3, height, width) in [0, 1]."""
    picture = Image.open(path).convert("RGB")
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    cut = picture.crop((left, top, left + width, top + height))
    return torch.from_numpy(np.asarray(cut).copy()).permute(2, 0, 1) / 255


def _found(packages: Path) -> Iterator[tuple[str, Image.Image]]:
    if not packages.is_dir():
        fetch(packages)
    wanted = [source for source in SOURCES if source.is_photograph]
    found = [(source.name, opened(packages, source)) for source in wanted]
    shared = Path(os.environ.get("SRCLI_SHARED", ROOT.parent / "shared"))
    for path in sorted((shared / "testsets" / "Set5").rglob("*.png"))[:5]:
        found.append((f"set5-{path.stem}", Image.open(path).convert("RGB")))
    for name, picture in found[: COUNT - len(found)]:
        width, height = picture.size
        found.append((f"{name}-corner", picture.crop((0, 0, width // 2, height // 2))))
    yield from found
