"""`srcli report`: the page of a training run, made anew, or of several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srcli.cli import options as shared
from srcli.cli import render

FoldersArgument = Annotated[
    list[Path], typer.Argument(metavar="RUN", help="Folders of runs.", show_default=False)
]
PageOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="The page. Default: report.html in the folder; runs.html for several runs.",
        show_default=False,
    ),
]


def report(
    folders: FoldersArgument, output: PageOption = None, json: shared.JsonOption = False
) -> None:
    """Make the page of a training run anew, or one page of several runs.

    A run writes its page by itself: open [bold]runs/photos/report.html[/bold] while it goes.
    [bold]srcli report runs/photos runs/photos-2[/bold] lays the curves of both over each other.
    """
    from srcli.services.training.page import report_runs

    made = report_runs(folders, output)
    if json:
        render.json_line({"type": "page", "page": str(made.page), "runs": list(made.runs)})
    else:
        render.line(str(made.page))
