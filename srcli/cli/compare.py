"""`srcli compare`: pictures against each other, for the eyes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srcli.cli import options as shared
from srcli.cli.render import compare as render
from srcli.errors import UsageError

if TYPE_CHECKING:  # reports cost start-up time
    from srcli.reports.sheet import Box

PlacesArgument = Annotated[
    list[Path],
    typer.Argument(metavar="PICTURE", help="Two pictures or more, or folders.", show_default=False),
]
PageOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Page, or folder of pages. Default: compare.html, or compare/ for folders.",
        show_default=False,
    ),
]
SheetOption = Annotated[
    Path | None,
    typer.Option("--sheet", help="Write crops side by side into this file.", show_default=False),
]
CropsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--crop",
        metavar="X,Y,W,H",
        help="A row of the sheet, in pixels of the largest picture; say it again for more. "
        "Default: where the pictures differ most in detail.",
        show_default=False,
    ),
]
PartOption = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="X,Y,W,H",
        help="Show only this part on the page, in pixels of the largest picture.",
        show_default=False,
    ),
]
LimitOption = Annotated[
    float,
    typer.Option(
        "--limit", min=0.01, help="Megapixels of a picture on a page; larger ones are shrunk."
    ),
]
LabelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--label", help="What a picture is called; once for each, in order.", show_default=False
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]


def compare(
    places: PlacesArgument,
    output: PageOption = None,
    sheet: SheetOption = None,
    crop: CropsOption = None,
    part: PartOption = None,
    limit: LimitOption = 16.0,
    label: LabelsOption = None,
    overwrite: OverwriteOption = False,
    json: shared.JsonOption = False,
    quiet: shared.QuietOption = False,
) -> None:
    """Compare pictures on a page of their own: a border to drag, zoom, difference, loupe.

    The page is one file that needs no network. Folders give an index and a page for each set of
    partners. --sheet writes crops side by side as a picture.
    """
    if crop and sheet is None:
        raise UsageError("--crop is for a sheet", hint="add --sheet FILE, or say --part for a page")

    from srcli.services.compare import CompareOptions  # imports numpy: keep --help instant
    from srcli.services.compare import compare as compare_places

    options = CompareOptions(
        labels=tuple(label or ()),
        limit_megapixels=limit,
        part=_box(part) if part is not None else None,
        crops=tuple(map(_box, crop or ())),
        overwrite=overwrite,
    )
    view = render.CompareView(json=json, quiet=quiet)
    report = compare_places(
        places, page=output, sheet=sheet, options=options, on_compared=view.compared
    )
    view.show(report)
    raise typer.Exit(report.exit_code)


def _box(text: str) -> Box:
    from srcli.reports.sheet import Box

    numbers = text.split(",")
    if len(numbers) != 4 or not all(number.strip().isdigit() for number in numbers):
        raise typer.BadParameter(f"{text!r} is not X,Y,WIDTH,HEIGHT in pixels")
    return Box(*map(int, numbers))
