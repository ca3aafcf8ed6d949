"""What a format is: how it is written, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import assert_never

import torch
from torch import Tensor, nn

from srcli.errors import ConfigError

Run = Callable[[Tensor], Tensor]  # (1, C, H, W) in fp32 -> (1, C, s·H, s·W) in fp32


class Format(StrEnum):
    """What a network can be exported to."""

    ONNX = "onnx"
    PT2 = "pt2"
    TORCHSCRIPT = "torchscript"
    NCNN = "ncnn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exportable:
    """A bare network, in evaluation mode on the CPU in fp32, and what is known of it."""

    body: nn.Module
    channels: int  # of the images that it takes
    multiple: int  # of the sides that it takes
    minimum: int  # side
    half: bool  # whether the file is to hold half precision
    facts: Mapping[str, str]  # for the metadata of the file

    @property
    def sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Two sizes to trace with; no two sides are equal, so that none is taken for another."""
        base = -(-max(self.minimum, 32) // self.multiple)
        sides = [(base + extra) * self.multiple for extra in (0, 8, 5, 13)]
        return (sides[0], sides[1]), (sides[2], sides[3])

    def example(self, size: tuple[int, int]) -> Tensor:
        """An image to trace with, in the numbers of the network."""
        image = torch.rand(1, self.channels, *size, generator=torch.Generator().manual_seed(0))
        return image.to(next(self.body.parameters()).dtype)

    def dynamic_shapes(self) -> tuple[dict[int, object]]:
        """Any height and width that the network takes, as torch.export wants to be told."""
        least = max(2, -(-self.minimum // self.multiple))
        height, width = (torch.export.Dim(name, min=least) for name in ("height", "width"))
        return ({2: self.multiple * height, 3: self.multiple * width},)


def files_of(format: Format, output: Path) -> tuple[Path, ...]:
    """The files that an export to `output` makes."""
    if format is Format.NCNN:
        return output.with_suffix(".param"), output.with_suffix(".bin")
    return (output,)


def suffix_of(format: Format) -> str:
    """What the name of a file of the format ends in."""
    match format:
        case Format.ONNX:
            return ".onnx"
        case Format.PT2:
            return ".pt2"
        case Format.TORCHSCRIPT:
            return ".pt"
        case Format.NCNN:
            return ".param"
        case _:
            assert_never(format)


def required(*packages: str) -> list[ModuleType]:
    """The optional packages of a format. Raises ConfigError where one is not installed."""
    try:
        return [import_module(name) for name in packages]
    except ImportError as error:
        raise ConfigError(
            f"exporting needs another package: {error}", hint="pip install 'srcli[export]'"
        ) from None
