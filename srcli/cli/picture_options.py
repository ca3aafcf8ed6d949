"""Options of `srcli upscale` that say what the result shall be: its size, its pixels, its file."""

from __future__ import annotations

from typing import Annotated

import typer

from srcli.cli import options as shared

SIZE, QUALITY, FILES = "Size", "Quality", "Files"

ScaleOption = Annotated[
    float | None,
    typer.Option(
        "--scale",
        "-s",
        metavar="FACTOR",
        help="Factor of the result, any number above 0. Default: the network's own.",
        show_default=False,
        rich_help_panel=SIZE,
    ),
]
WidthOption = Annotated[
    int | None,
    typer.Option(
        "--width",
        min=1,
        metavar="PIXELS",
        help="Width of the result in pixels; with --height, a box to fit in.",
        show_default=False,
        rich_help_panel=SIZE,
    ),
]
HeightOption = Annotated[
    int | None,
    typer.Option(
        "--height",
        min=1,
        metavar="PIXELS",
        help="Height of the result in pixels.",
        show_default=False,
        rich_help_panel=SIZE,
    ),
]
LongSideOption = Annotated[
    int | None,
    typer.Option(
        "--long-side",
        min=1,
        metavar="PIXELS",
        help="Longer side of the result in pixels.",
        show_default=False,
        rich_help_panel=SIZE,
    ),
]
ShortSideOption = Annotated[
    int | None,
    typer.Option(
        "--short-side",
        min=1,
        metavar="PIXELS",
        help="Shorter side of the result in pixels.",
        show_default=False,
        rich_help_panel=SIZE,
    ),
]
MegapixelsOption = Annotated[
    float | None,
    typer.Option(
        "--megapixels",
        min=1e-6,
        metavar="MEGAPIXELS",
        help="Area of the result in millions of pixels.",
        show_default=False,
        rich_help_panel=SIZE,
    ),
]
TtaOption = Annotated[
    bool,
    typer.Option(
        "--tta",
        help="Average over eight flips and turns: eight times as slow, a little better.",
        rich_help_panel=QUALITY,
    ),
]
BlendOption = Annotated[
    str | None,
    typer.Option(
        "--blend",
        metavar="OTHER=SHARE",
        help="Mix other weights of the same shape in, as esrgan-psnr=0.3.",
        show_default=False,
        rich_help_panel=QUALITY,
    ),
]
StrengthOption = Annotated[
    float,
    typer.Option(
        "--strength",
        min=0,
        max=1,
        help="Share of the network against a plain Lanczos enlargement.",
        rich_help_panel=QUALITY,
    ),
]
SeamlessOption = Annotated[
    bool,
    typer.Option(
        "--seamless",
        help="The picture repeats: continue it at its far borders.",
        rich_help_panel=QUALITY,
    ),
]
ColorFixOption = Annotated[
    shared.ColorFixChoice,
    typer.Option(
        "--color-fix",
        help="Hold the colours of large areas to the input's; auto: where they drift.",
        rich_help_panel=QUALITY,
    ),
]
AlphaOption = Annotated[
    shared.AlphaChoice,
    typer.Option("--alpha", help="What enlarges transparency.", rich_help_panel=QUALITY),
]
IccOption = Annotated[
    shared.IccChoice,
    typer.Option(
        "--icc", help="Colour profile: keep it, convert to sRGB, or drop it.", rich_help_panel=FILES
    ),
]
FormatOption = Annotated[
    shared.FormatChoice | None,
    typer.Option(
        "--format",
        "-f",
        help="Kind of file to write; heic needs the extra heic. Default: the input's.",
        show_default=False,
        rich_help_panel=FILES,
    ),
]
QualityOption = Annotated[
    int | None,
    typer.Option(
        "--quality",
        min=1,
        max=100,
        help="Of JPEG, WebP, AVIF and HEIC; higher is better and larger.",
        show_default=False,
        rich_help_panel=FILES,
    ),
]
MetadataOption = Annotated[
    bool,
    typer.Option("--metadata/--no-metadata", help="Copy EXIF, XMP, IPTC.", rich_help_panel=FILES),
]
SuffixOption = Annotated[
    str | None,
    typer.Option("--suffix", help="End of the output's name. Default: _x4.", rich_help_panel=FILES),
]
MaxPixelsOption = Annotated[
    int,
    typer.Option(
        "--max-pixels",
        min=1,
        metavar="PIXELS",
        help="Refuse inputs that claim more pixels, all pages together.",
        rich_help_panel=FILES,
    ),
]
CompareOption = Annotated[
    bool,
    typer.Option(
        "--compare", help="Make a page beside each result to compare it.", rich_help_panel=FILES
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace existing files.", rich_help_panel=FILES)
]
