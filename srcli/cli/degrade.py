"""`srcli degrade`: make low pictures to train or to test with."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from srcli.cli import options as shared
from srcli.cli.render import degrade as render
from srcli.degradations.names import Preset


def degrade(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Good pictures; folders below it count.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the low pictures.")],
    preset: Annotated[
        Preset, typer.Option(help="bicubic, area, lanczos: shrink only. Others degrade too.")
    ] = Preset.REALESRGAN,
    scale: Annotated[
        int, typer.Option("--scale", "-s", min=1, max=16, help="How many times smaller.")
    ] = 4,
    seed: Annotated[int, typer.Option(help="Another seed degrades in another way.")] = 0,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="Also write OUTPUT-sheet.png to look at.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace earlier results.")
    ] = False,
    json: shared.JsonOption = False,
) -> None:
    """Make low pictures from good ones, as training does, and record what was done to each.

    The results are PNG; recipes.jsonl beside them says what was done to each, and --seed makes the
    same again.
    """
    from srcli.services.degrade import DegradeConfig, degrade_folder  # torch: keep --help instant

    config = DegradeConfig(
        preset=preset, scale=scale, seed=seed, has_sheet=sheet, overwrite=overwrite
    )
    show = partial(render.picture, as_json=json)
    report = degrade_folder(folder, output, config, on_picture=show)
    render.summary(report, as_json=json)
    if report.failed:
        raise typer.Exit(1)
