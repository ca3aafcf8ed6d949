"""Options that commands share, each declared once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

DEFAULT_MODEL = "realesrgan-x4plus"  # the same as `services.network.DEFAULT_MODEL`

# Headings of the help, in every command the same.
NETWORK, RUN, SHOWN = "Network", "How it runs", "What is shown"


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
    HEIC = "heic"
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


def known_weights(incomplete: str) -> list[str]:
    """Names of the catalogue that begin so, for the completion of a shell."""
    from srcli.io.catalogue import catalogue  # costs start-up time

    return [entry.name for entry in catalogue() if entry.name.startswith(incomplete)]


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="WEIGHTS",
        help="A name (see `srcli weights list`), a file or hf://owner/repo/file. Default: "
        f"{DEFAULT_MODEL}.",
        show_default=False,
        autocompletion=known_weights,
        rich_help_panel=NETWORK,
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        "-d",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:1 or mps.",
        rich_help_panel=RUN,
    ),
]
PrecisionOption = Annotated[
    PrecisionChoice,
    typer.Option(
        "--precision",
        help="Numbers to compute with; auto: fp16 or bf16 on a graphics card, fp32 on a CPU.",
        rich_help_panel=RUN,
    ),
]
OfflineOption = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Open no connection; use what is in the cache. SRCLI_OFFLINE=1 too.",
        rich_help_panel=NETWORK,
    ),
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Accept downloaded weights whose digest is not known.",
        rich_help_panel=NETWORK,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        help="One JSON object per line on stdout, nothing else there.",
        rich_help_panel=SHOWN,
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only errors.", rich_help_panel=SHOWN)
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say more.", rich_help_panel=SHOWN)
]
OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="File, or folder (no suffix, or a slash at its end). Default: beside the input.",
        show_default=False,
    ),
]
