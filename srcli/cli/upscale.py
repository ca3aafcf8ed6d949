"""`srcli upscale`: pictures in, larger pictures out."""

from __future__ import annotations

from typing import Annotated

import typer

from srcli.cli import folder_options as folders
from srcli.cli import options as shared
from srcli.cli import runs, streams
from srcli.cli.render.upscale import UpscaleView
from srcli.io.addresses import address_of

RUN = shared.RUN
SIZE, QUALITY, FILES = "Size", "Quality", "Files"

InputArgument = Annotated[
    list[str],
    typer.Argument(
        help="Pictures, folders of pictures, or lists of them (.txt, .parquet): paths or addresses"
        " such as s3://bucket/photos. - reads a picture from a pipe.",
        show_default=False,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="WEIGHTS",
        help="A name (see `srcli weights list`), a file or hf://owner/repo/file. Default: "
        "realesrgan-x4plus, or offline swift where that is not here.",
        show_default=False,
        autocompletion=shared.known_weights,
        rich_help_panel=shared.NETWORK,
    ),
]
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
PlanOption = Annotated[
    shared.PlanChoice,
    typer.Option(
        "--plan",
        help="The whole image at once, a stream of exact bands, or overlapping tiles.",
        rich_help_panel=RUN,
    ),
]
TileOption = Annotated[
    str,
    typer.Option(
        "--tile",
        "-t",
        metavar="PIXELS",
        help="Side of a tile in input pixels, auto, or off: the whole image at once.",
        rich_help_panel=RUN,
    ),
]
HaloOption = Annotated[
    str,
    typer.Option(
        "--halo",
        metavar="PIXELS",
        help="Context around a tile in input pixels, or auto: what the network needs.",
        rich_help_panel=RUN,
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
        help="Kind of file to write. Default: the input's.",
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
        help="Of JPEG, WebP and AVIF; higher is better and larger.",
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


def upscale(
    inputs: InputArgument,
    output: shared.OutputOption = None,
    model: ModelOption = None,
    scale: ScaleOption = None,
    width: WidthOption = None,
    height: HeightOption = None,
    long_side: LongSideOption = None,
    short_side: ShortSideOption = None,
    megapixels: MegapixelsOption = None,
    tta: TtaOption = False,
    blend: BlendOption = None,
    strength: StrengthOption = 1.0,
    seamless: SeamlessOption = False,
    color_fix: ColorFixOption = shared.ColorFixChoice.AUTO,
    alpha: AlphaOption = shared.AlphaChoice.NETWORK,
    device: folders.DevicesOption = "auto",
    precision: shared.PrecisionOption = shared.PrecisionChoice.AUTO,
    plan: PlanOption = shared.PlanChoice.AUTO,
    tile: TileOption = "auto",
    halo: HaloOption = "auto",
    format: FormatOption = None,
    quality: QualityOption = None,
    icc: IccOption = shared.IccChoice.KEEP,
    metadata: MetadataOption = True,
    suffix: SuffixOption = None,
    max_pixels: MaxPixelsOption = 2_000_000_000,
    overwrite: OverwriteOption = False,
    compare: CompareOption = False,
    recursive: folders.RecursiveOption = False,
    include: folders.IncludeOption = None,
    exclude: folders.ExcludeOption = None,
    dry_run: folders.DryRunOption = False,
    journal: folders.JournalOption = True,
    fail_fast: folders.FailFastOption = False,
    watch: folders.WatchOption = False,
    engine: folders.EngineOption = folders.EngineChoice.LOCAL,
    address: folders.AddressOption = None,
    workers: folders.WorkersOption = None,
    worker_cpus: folders.WorkerCpusOption = None,
    offline: shared.OfflineOption = False,
    trust: shared.TrustOption = False,
    json: shared.JsonOption = False,
    quiet: shared.QuietOption = False,
    verbose: shared.VerboseOption = False,
) -> None:
    """Enlarge pictures.

    The network runs at its own scale; the result is resized once to the size you ask for, as
    --scale 3 or --long-side 4000. Nothing that exists is replaced without --overwrite.
    """
    sources = [address_of(text) for text in inputs]
    streams.check(sources, output, json=json)
    folders.check_cluster(engine, address=address, workers=workers, worker_cpus=worker_cpus)
    tile_px, halo_px = shared.parse_tile(tile), shared.parse_pixels(halo)

    # These import torch: keep --help instant.
    from srcli.inference.geometry import PlanKind
    from srcli.inference.precision import Precision
    from srcli.io.alpha import AlphaMode
    from srcli.io.drift import ColorFix
    from srcli.io.formats import PictureFormat
    from srcli.io.profiles import IccMode
    from srcli.services.cluster.options import AUTO, ClusterOptions
    from srcli.services.engine import EngineOptions
    from srcli.services.job import PictureOptions
    from srcli.services.request import UpscaleRequest
    from srcli.services.sizes import TargetSize
    from srcli.services.tasks import FolderOptions, is_folder_input

    request = UpscaleRequest(
        model=model,
        blend=blend,
        offline=offline or None,
        trust=trust,
        engine=EngineOptions(
            device=device,
            precision=Precision(precision),
            plan=PlanKind(plan),
            tile=tile_px,
            halo=halo_px,
            tta=tta,
            seamless=seamless,
        ),
        picture=PictureOptions(
            size=TargetSize(
                scale=scale,
                width=width,
                height=height,
                long_side=long_side,
                short_side=short_side,
                megapixels=megapixels,
            ),
            format=PictureFormat(format) if format else None,
            quality=quality,
            alpha=AlphaMode(alpha),
            icc=IccMode(icc),
            color_fix=ColorFix(color_fix),
            metadata=metadata,
            strength=strength,
            max_pixels=max_pixels,
            suffix=suffix,
            overwrite=overwrite,
        ),
        folder=FolderOptions(
            recursive=recursive,
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            journal=journal,
            fail_fast=fail_fast,
            watch=watch,
        ),
        cluster=ClusterOptions(address=address or AUTO, workers=workers, worker_cpus=worker_cpus)
        if engine is folders.EngineChoice.RAY
        else None,
    )
    is_many = len(sources) > 1 or is_folder_input(sources[0])
    with UpscaleView(json=json, quiet=quiet, verbose=verbose, is_many=is_many) as view:
        if dry_run:
            runs.preview(request, sources, output, view)
        else:
            runs.run(request, sources, output, view, compares=compare)
    raise typer.Exit(view.exit_code)
