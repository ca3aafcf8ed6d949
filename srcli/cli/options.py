"""Options that commands share, each declared once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

DEFAULT_MODEL = "realesrgan-x4plus"


class PrecisionChoice(StrEnum):
    """Numbers a network computes with; the same words as `inference.precision.Precision`."""

    AUTO = "auto"
    FP16 = "fp16"
    BF16 = "bf16"
    FP32 = "fp32"


class PlanChoice(StrEnum):
    """Ways over a picture; the same words as `inference.geometry.PlanKind`."""

    AUTO = "auto"
    WHOLE = "whole"
    STREAM = "stream"
    TILES = "tiles"


class FormatChoice(StrEnum):
    """Kinds of picture that can be written."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    TIFF = "tiff"
    AVIF = "avif"
    GIF = "gif"
    BMP = "bmp"


class AlphaChoice(StrEnum):
    """What enlarges transparency."""

    NETWORK = "network"
    LANCZOS = "lanczos"
    DROP = "drop"


class IccChoice(StrEnum):
    """What becomes of an embedded colour profile."""

    KEEP = "keep"
    SRGB = "srgb"
    STRIP = "strip"


class ColorFixChoice(StrEnum):
    """Whether the colours of large areas are held to those of the input."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


def parse_tile(text: str) -> int | None:
    """`auto` as None, `off` as 0 (the whole image at once), else pixels."""
    return 0 if text == "off" else parse_pixels(text)


def parse_pixels(text: str) -> int | None:
    """`auto` as None, else a number of pixels."""
    if text == "auto":
        return None
    if not text.isdigit():
        raise typer.BadParameter(f"{text!r} is neither auto nor a number of pixels")
    return int(text)


ModelOption = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="Weights: a name (see `srcli weights list`), a file or hf://…"
    ),
]
DeviceOption = Annotated[
    str, typer.Option("--device", "-d", help="auto, cpu, cuda, cuda:1 or mps.", show_default=True)
]
PrecisionOption = Annotated[
    PrecisionChoice,
    typer.Option("--precision", help="Numbers to compute with; auto is fp16 on CUDA, else fp32."),
]
OfflineOption = Annotated[
    bool, typer.Option("--offline", help="Open no connection; use what is in the cache.")
]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Accept downloaded weights whose digest is not known.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON object per line on stdout, nothing else there.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Only errors.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")]
OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        help="File, or folder (no suffix, or a slash at its end). Default: beside the input.",
        show_default=False,
    ),
]
