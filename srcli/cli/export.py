"""`srcli export`: a network for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from srcli.cli import options as shared
from srcli.cli.render import export as render
from srcli.cli.render import weights


class FormatChoice(StrEnum):
    """Formats; the same words as `services.exporting.formats.Format`."""

    ONNX = "onnx"
    PT2 = "pt2"
    TORCHSCRIPT = "torchscript"
    NCNN = "ncnn"


ModelArgument = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="Weights: a name, a file, hf://… or openmodeldb:NAME."),
]
ToOption = Annotated[FormatChoice, typer.Option("--to", help="Format of the file.")]
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="File to write. Default: the name of the weights, in this folder.",
        show_default=False,
    ),
]
HalfOption = Annotated[
    bool, typer.Option("--half", help="Half precision: half the size; ncnn only stores so.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]


def export(
    model: ModelArgument,
    to: ToOption = FormatChoice.ONNX,
    output: FileOption = None,
    half: HalfOption = False,
    overwrite: OverwriteOption = False,
    offline: shared.OfflineOption = False,
    trust: shared.TrustOption = False,
    json: shared.JsonOption = False,
    quiet: shared.QuietOption = False,
) -> None:
    """Export a network for other programs, for pictures of any size.

    [bold]srcli export realesrgan-x4plus --to onnx[/bold] writes realesrgan-x4plus.onnx, runs it in
    ONNX Runtime, compares it with the original, and keeps it only if they agree.
    """
    from srcli.services.exporting.export import export_network
    from srcli.services.exporting.formats import Format

    with weights.events() as on_event:
        report = export_network(
            model,
            Format(to),
            output,
            half=half,
            overwrite=overwrite,
            offline=offline or None,
            trust=trust,
            on_event=on_event,
        )
    render.exported(report, is_json=json, is_quiet=quiet)
