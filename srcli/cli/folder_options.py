"""Options of `srcli upscale` that concern folders and runs over many pictures."""

from __future__ import annotations

from typing import Annotated

import typer

from srcli.cli.options import RUN

FOLDERS = "Folders"

DevicesOption = Annotated[
    str,
    typer.Option(
        "--device",
        "-d",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:1 or mps. For many pictures also all, or cuda:0,cuda:1.",
        rich_help_panel=RUN,
    ),
]
RecursiveOption = Annotated[
    bool,
    typer.Option(
        "--recursive",
        "-r",
        help="Folders below folders too; the tree is mirrored.",
        rich_help_panel=FOLDERS,
    ),
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        metavar="GLOB",
        help="Only these, whatever their suffix: '*.jpg', 'trip/*'. Repeatable.",
        show_default=False,
        rich_help_panel=FOLDERS,
    ),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="GLOB",
        help="Not these; a folder that matches is not entered. Repeatable.",
        show_default=False,
        rich_help_panel=FOLDERS,
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Only say what would be done, how long it takes and what it fills.",
        rich_help_panel=FOLDERS,
    ),
]
JournalOption = Annotated[
    bool,
    typer.Option(
        "--journal/--no-journal",
        help="Of a folder: go on where the last run ended, skip what is done.",
        rich_help_panel=FOLDERS,
    ),
]
FailFastOption = Annotated[
    bool,
    typer.Option(
        "--fail-fast", help="Stop at the first picture that fails.", rich_help_panel=FOLDERS
    ),
]
WatchOption = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Keep watching the folder and do new pictures, until Ctrl-C.",
        rich_help_panel=FOLDERS,
    ),
]
