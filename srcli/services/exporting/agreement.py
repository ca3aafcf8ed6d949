"""How far an exported network is from the original: on a photograph, on noise of three sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from srcli.errors import ExportError
from srcli.services.exporting.formats import Exportable, Run

LEVELS = 255.0
HINT = "this network cannot be exported to this format; try another"
SIDES = ((0, 5), (3, 1), (7, 2))  # of noise: over the smallest, in multiples, height and width
# In levels of 255. Sums in another order cost some 1e-3 of a level in fp32; what is larger is a
# wrong graph. Half precision is off by a level here and there, on average by a fraction of one.
LARGEST, LARGEST_HALF = 0.1, 4.0
MEAN, MEAN_HALF = 0.01, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Exported against original, in levels of 255."""

    what: str  # photograph, or noise
    size: tuple[int, int]  # height and width of the input
    largest: float
    mean: float


def compare(network: Exportable, original: nn.Module, run: Run) -> tuple[Difference, ...]:
    """Run both on each picture. Raises ExportError where they differ, or cannot be compared."""
    found = []
    for what, image in _images(network):
        with torch.inference_mode():
            expected = original(image)
            restored = run(image)
        if restored.shape != expected.shape:
            raise ExportError(
                f"the export gives {tuple(restored.shape)} where {tuple(expected.shape)} is right",
                hint=HINT,
            )
        apart = (restored - expected).abs() * LEVELS
        found.append(
            Difference(
                what=what,
                size=(image.shape[-2], image.shape[-1]),
                largest=float(apart.max()),
                mean=float(apart.mean()),
            )
        )
        _require_near(found[-1], is_half=network.half)
    return tuple(found)


def _require_near(found: Difference, *, is_half: bool) -> None:
    largest, mean = (LARGEST_HALF, MEAN_HALF) if is_half else (LARGEST, MEAN)
    if not (found.largest <= largest and found.mean <= mean):  # what is no number is not near
        height, width = found.size
        raise ExportError(
            f"the export is off by {found.largest:.3g} levels of 255 at most and {found.mean:.3g} "
            f"on average ({found.what}, {width} x {height}); {largest:g} and {mean:g} are allowed",
            hint="export without --half" if is_half else HINT,
        )


def _images(network: Exportable) -> Iterator[tuple[str, Tensor]]:
    """(1, C, H, W) in [0, 1], of sides that the network takes."""
    photograph = _photograph(network.channels)
    height, width = (side // network.multiple * network.multiple for side in photograph.shape[-2:])
    if min(height, width) >= network.minimum:
        yield "photograph", photograph[..., :height, :width].contiguous()
    generator = torch.Generator().manual_seed(1)
    least = max(-(-max(network.minimum, 17) // network.multiple), 2)
    for extra in SIDES:
        sides = [(least + each) * network.multiple for each in extra]
        yield "noise", torch.rand(1, network.channels, *sides, generator=generator)


def _photograph(channels: int) -> Tensor:
    """A part of a photograph that srcli ships, as the network takes it."""
    with as_file(files("srcli") / "samples" / "cat.webp") as path, Image.open(path) as picture:
        mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
        levels = np.array(picture.convert(mode), np.float32)
    image = torch.from_numpy(levels).div_(LEVELS)
    return image.view(1, *levels.shape[:2], channels).permute(0, 3, 1, 2).contiguous()
