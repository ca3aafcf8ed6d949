"""What is judged: pictures in a folder, a network, or a plain enlargement.

Each is called what the user called it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from srcli.degradations.resize import Filter, rescale, resize
from srcli.errors import ImageError
from srcli.inference.rows import TensorSink, TensorSource
from srcli.metrics.names import Baseline
from srcli.services.engine import Engine
from srcli.services.examples import Example
from srcli.services.levels import read_levels, to_levels
from srcli.services.sizes import passes_for


class Candidate(Protocol):
    """Gives a restored picture for each example."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    def restore(self, example: Example) -> Tensor:
        """The restored picture, uint8 (C, H, W). Raises SrcliError where it has none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderCandidate:
    """Pictures that some other program restored, or this one earlier."""

    place: Path
    files: Mapping[str, Path]  # by the name of the example

    @property
    def name(self) -> str:
        return str(self.place)

    @property
    def description(self) -> str:
        return "1 picture" if len(self.files) == 1 else f"{len(self.files)} pictures"

    def restore(self, example: Example) -> Tensor:
        path = self.files.get(example.name)
        if path is None:
            raise ImageError(
                f"{example.name} has no partner in {self.place}",
                hint="partners have the same name, or end in a scale: photo_x4.png",
            )
        return read_levels(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineCandidate:
    """A plain enlargement of the low picture."""

    baseline: Baseline
    scale: int

    @property
    def name(self) -> str:
        return str(self.baseline)

    @property
    def description(self) -> str:
        kernels = {Baseline.BICUBIC: "MATLAB's imresize, a = -0.5", Baseline.LANCZOS: "3 lobes"}
        return kernels.get(self.baseline, "each pixel repeated")

    def restore(self, example: Example) -> Tensor:
        low = _require_low(example)
        if self.baseline is Baseline.NEAREST:
            repeated = low.repeat_interleave(self.scale, -1)
            return repeated.repeat_interleave(self.scale, -2)
        filter = Filter.BICUBIC if self.baseline is Baseline.BICUBIC else Filter.LANCZOS3
        return to_levels(rescale(low.double() / 255, self.scale, filter=filter))


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCandidate:
    """A network, run by the engine of `srcli upscale`; its bare output, without colour fix."""

    name: str
    engine: Engine
    scale: int

    @property
    def description(self) -> str:
        engine = self.engine
        traits = engine.loaded.network.traits
        native = f"{engine.loaded.name}, {traits.architecture} x{engine.scale}"
        passes = passes_for(self.scale, engine.scale)
        resized = "" if engine.scale**passes == self.scale else f", by Lanczos to x{self.scale}"
        repeated = "" if passes == 1 else f", run {passes} times"
        return f"{native}{repeated}{resized}, {engine.device} {engine.precision}"

    def restore(self, example: Example) -> Tensor:
        low = _require_low(example)
        image = low.expand(3, -1, -1).float() / 255
        for _ in range(passes_for(self.scale, self.engine.scale)):
            image = self._enlarge(image)
        size = low.shape[-2] * self.scale, low.shape[-1] * self.scale
        if image.shape[-2:] != size:
            image = resize(image, size, filter=Filter.LANCZOS3)
        if low.shape[0] == 1:
            image = image.mean(0, keepdim=True)
        return to_levels(image)

    def _enlarge(self, image: Tensor) -> Tensor:
        height, width = (side * self.engine.scale for side in image.shape[-2:])
        result = torch.empty(3, height, width)
        self.engine.run(TensorSource(image), TensorSink(result))
        return result


def _require_low(example: Example) -> Tensor:
    if example.low is None:
        raise ImageError(f"{example.name} has no low picture", hint="this is a bug: report it")
    return example.low
