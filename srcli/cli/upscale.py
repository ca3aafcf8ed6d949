"""`srcli upscale`: pictures in, larger pictures out."""

from __future__ import annotations

from typing import Annotated

import typer

from srcli.cli import folder_options as folders
from srcli.cli import options as shared
from srcli.cli import picture_options as pictures
from srcli.cli import runs, streams
from srcli.cli.render.upscale import UpscaleView
from srcli.errors import UsageError
from srcli.io.addresses import address_of

RUN = shared.RUN

InputArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
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


def upscale(
    inputs: InputArgument,
    output: shared.OutputOption = None,
    model: ModelOption = None,
    scale: pictures.ScaleOption = None,
    width: pictures.WidthOption = None,
    height: pictures.HeightOption = None,
    long_side: pictures.LongSideOption = None,
    short_side: pictures.ShortSideOption = None,
    megapixels: pictures.MegapixelsOption = None,
    tta: pictures.TtaOption = False,
    blend: pictures.BlendOption = None,
    strength: pictures.StrengthOption = 1.0,
    seamless: pictures.SeamlessOption = False,
    color_fix: pictures.ColorFixOption = shared.ColorFixChoice.AUTO,
    alpha: pictures.AlphaOption = shared.AlphaChoice.NETWORK,
    device: folders.DevicesOption = "auto",
    precision: shared.PrecisionOption = shared.PrecisionChoice.AUTO,
    plan: PlanOption = shared.PlanChoice.AUTO,
    tile: TileOption = "auto",
    halo: HaloOption = "auto",
    format: pictures.FormatOption = None,
    quality: pictures.QualityOption = None,
    icc: pictures.IccOption = shared.IccChoice.KEEP,
    metadata: pictures.MetadataOption = True,
    suffix: pictures.SuffixOption = None,
    max_pixels: pictures.MaxPixelsOption = 2_000_000_000,
    overwrite: pictures.OverwriteOption = False,
    compare: pictures.CompareOption = False,
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

    The network runs at its own scale; the result is resized once to the size you ask for, such as
    that of --scale 3 or --long-side 4000. Nothing that exists is replaced without --overwrite.
    """
    if "" in inputs:  # would be this folder
        raise UsageError("an input has no name", hint="is a variable empty? . is this folder")
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
