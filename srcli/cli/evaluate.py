"""`srcli evaluate`: pictures and networks in figures, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srcli.cli import options as shared
from srcli.cli.render.evaluate import EvaluateView
from srcli.degradations.names import Preset
from srcli.errors import UsageError

PROTOCOL, OUTPUT = "Protocol", shared.SHOWN

RestoredArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RESTORED",
        help="Restored pictures or folders; the last is the target without --target.",
    ),
]
TargetOption = Annotated[
    Path | None,
    typer.Option("--target", help="Picture or folder to be reached.", show_default=False),
]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="WEIGHTS",
        autocompletion=shared.known_weights,
        help="Weights to judge, or bicubic, lanczos, nearest. Say it again for each.",
        show_default=False,
        rich_help_panel=shared.NETWORK,
    ),
]
LowOption = Annotated[
    Path | None,
    typer.Option(
        "--low",
        help="Low pictures, the networks' input. Default: made from the targets.",
        show_default=False,
        rich_help_panel=PROTOCOL,
    ),
]
ScaleOption = Annotated[
    int,
    typer.Option(
        "--scale",
        "-s",
        min=1,
        max=16,
        help="How many times smaller low pictures are.",
        rich_help_panel=PROTOCOL,
    ),
]
DegradationOption = Annotated[
    Preset,
    typer.Option(
        "--degradation", help="How low pictures are made from targets.", rich_help_panel=PROTOCOL
    ),
]
SeedOption = Annotated[
    int,
    typer.Option("--seed", help="Of light and realesrgan degradations.", rich_help_panel=PROTOCOL),
]
MetricsOption = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        help="psnr, ssim, consistency, lpips, lpips-vgg, st-lpips, pyiqa:NAME; with commas. "
        "Default: the first three, where they can be.",
        show_default=False,
        rich_help_panel=PROTOCOL,
    ),
]
ChannelsOption = Annotated[
    str,
    typer.Option(
        "--channels",
        help="Of PSNR and SSIM: y (luma rounded, as the tables), y-unrounded, rgb; with commas.",
        rich_help_panel=PROTOCOL,
    ),
]
CropOption = Annotated[
    int | None,
    typer.Option(
        "--crop",
        min=0,
        help="Pixels at each side that PSNR and SSIM leave out. Default: the scale.",
        show_default=False,
        rich_help_panel=PROTOCOL,
    ),
]
CsvOption = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        help="Also write a table, a row for each picture.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]


def evaluate(
    restored: RestoredArgument = None,
    target: TargetOption = None,
    model: ModelsOption = None,
    low: LowOption = None,
    scale: ScaleOption = 4,
    degradation: DegradationOption = Preset.BICUBIC,
    seed: SeedOption = 0,
    metrics: MetricsOption = None,
    channels: ChannelsOption = "y",
    crop: CropOption = None,
    device: shared.DeviceOption = "auto",
    precision: shared.PrecisionOption = shared.PrecisionChoice.AUTO,
    offline: shared.OfflineOption = False,
    trust: shared.TrustOption = False,
    csv: CsvOption = None,
    json: shared.JsonOption = False,
    quiet: shared.QuietOption = False,
    verbose: shared.VerboseOption = False,
) -> None:
    """Score restored pictures, or networks, against target pictures.

    Pictures that are there are scored as they are. With --model, the targets are shrunk, restored
    by each model and scored; the best is marked. The protocol is stated under the table.
    """
    places, target = _target(list(restored or ()), target)

    # These import torch: keep --help instant.
    from srcli.inference.precision import Precision
    from srcli.services.engine import EngineOptions
    from srcli.services.evaluate import EvaluateRequest, write_csv
    from srcli.services.evaluate import evaluate as judge
    from srcli.services.scores import parse_channels, parse_metrics

    request = EvaluateRequest(
        target=target,
        restored=tuple(places),
        models=tuple(model or ()),
        low=low,
        scale=scale,
        degradation=degradation,
        seed=seed,
        metrics=parse_metrics(metrics) if metrics is not None else None,
        channels=parse_channels(channels),
        crop=crop,
        engine=EngineOptions(device=device, precision=Precision(precision)),
        offline=offline or None,
        trust=trust,
    )
    with EvaluateView(json=json, quiet=quiet, verbose=verbose) as view:
        report = judge(request, view)
        view.show(report)
    if csv is not None:
        write_csv(report, csv)
    raise typer.Exit(report.exit_code)


def _target(restored: list[Path], target: Path | None) -> tuple[list[Path], Path]:
    """The restored places and the target, which may stand last among them."""
    if target is None and len(restored) > 1:
        target = restored.pop()
    if target is None:
        hint = "srcli evaluate RESTORED TARGET, or -m MODEL --target TARGET"
        raise UsageError("there is no target to compare with", hint=hint)
    return restored, target
