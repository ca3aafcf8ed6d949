"""The pictures of a test set, and the low ones made from them by the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from srcli.data.crops import mixed_seed
from srcli.degradations.names import Preset
from srcli.degradations.presets import DEGRADATIONS
from srcli.degradations.recipe import degrade
from srcli.errors import ImageError
from srcli.services.levels import read_levels, to_levels
from srcli.services.partners import match


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A picture of the test set."""

    name: str
    target: Tensor  # uint8 (C, H, W), C is 3, or 1 for a gray picture
    low: Tensor | None  # uint8 (C, h, w)


@dataclass(frozen=True, slots=True, kw_only=True)
class LowConfig:
    """Where the low pictures come from: a folder, or the degradation of the targets."""

    folder: Path | None = None
    scale: int = 4
    degradation: Preset = Preset.BICUBIC
    seed: int = 0

    def __str__(self) -> str:
        if self.folder is not None:
            return f"low pictures: those of {self.folder}, scale {self.scale}"
        kernel = " (MATLAB's imresize)" if self.degradation is Preset.BICUBIC else ""
        seed = (
            ""
            if self.degradation in (Preset.BICUBIC, Preset.AREA, Preset.LANCZOS)
            else (f", seed {self.seed}")
        )
        return (
            f"low pictures: targets cropped to multiples of {self.scale}, then "
            f"{self.degradation}{kernel} x1/{self.scale}{seed}, 8 bits"
        )


class Examples:
    """Targets by name; `low` None leaves the low pictures out."""

    def __init__(self, targets: Mapping[str, Path], place: Path, low: LowConfig | None) -> None:
        self._targets = targets
        self._config = low
        self._lows: dict[str, Path] = {}
        if low is not None and low.folder is not None:
            self._lows = {name: files[1] for name, files in match(place, low.folder).rows}

    def __len__(self) -> int:
        return len(self._targets)

    def names(self) -> tuple[str, ...]:
        return tuple(self._targets)

    @property
    def paths(self) -> frozenset[Path]:
        """The files of the targets."""
        return frozenset(self._targets.values())

    def read(self, name: str) -> Example:
        """Decode one. Raises ImageError where its target or its low picture cannot be used."""
        target = read_levels(self._targets[name])
        low = None if self._config is None else self._low(name, target, self._config)
        return Example(name=name, target=target, low=low)

    def _low(self, name: str, target: Tensor, config: LowConfig) -> Tensor:
        if config.folder is None:
            return shrink(target, name, config)
        if name not in self._lows:
            message = f"{name} has no partner in {config.folder}"
            raise ImageError(message, hint="partners have the same name, or end in a scale")
        low = read_levels(self._lows[name])
        fit(target, (low.shape[-2] * config.scale, low.shape[-1] * config.scale), config.scale)
        return low


def shrink(target: Tensor, name: str, config: LowConfig) -> Tensor:
    """The low picture of a target: uint8 (C, H, W) -> (C, H // scale, W // scale)."""
    height, width = (side // config.scale * config.scale for side in target.shape[-2:])
    if not height or not width:
        message = f"{name} is smaller than the scale {config.scale}"
        raise ImageError(message, hint="remove it, or use a smaller scale")
    generator = torch.Generator().manual_seed(mixed_seed(config.seed, name))
    recipe = DEGRADATIONS[config.degradation].draw(config.scale, generator)
    high = target[:, :height, :width].expand(3, -1, -1).float() / 255
    low = degrade(high.unsqueeze(0), [recipe])[0]
    return to_levels(low if target.shape[0] == 3 else low.mean(0, keepdim=True))


def fit(target: Tensor, size: tuple[int, int], scale: int) -> Tensor:
    """The target, without the last rows and columns that are no multiple of the scale.

    Raises ImageError where `size` (height, width) is not what is left then.
    """
    height, width = target.shape[-2:]
    spare = height - size[0], width - size[1]
    if not all(0 <= pixels < scale for pixels in spare):
        raise ImageError(
            f"a restored picture of {size[1]} x {size[0]} px cannot be compared with its target "
            f"of {width} x {height}",
            hint="restore at the size of the target, and check --scale",
        )
    return target[:, : size[0], : size[1]]
