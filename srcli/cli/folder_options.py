"""Options of `srcli upscale` that concern folders and runs over many pictures."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from srcli.cli.options import RUN
from srcli.errors import UsageError

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
CLUSTER = "Cluster"


class EngineChoice(StrEnum):
    """Who does the pictures."""

    LOCAL = "local"
    RAY = "ray"


EngineOption = Annotated[
    EngineChoice,
    typer.Option(
        "--engine", help="This machine, or the workers of a Ray cluster.", rich_help_panel=CLUSTER
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="Of the cluster: ray://HOST:10001, HOST:6379, local (one for this run), or auto (one"
        " that runs here, or $RAY_ADDRESS). Default: auto.",
        show_default=False,
        rich_help_panel=CLUSTER,
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Most workers to start. Default: as many as there is room for.",
        show_default=False,
        rich_help_panel=CLUSTER,
    ),
]
WorkerCpusOption = Annotated[
    int | None,
    typer.Option(
        "--worker-cpus",
        min=1,
        help="Cores of each worker. Default: 1, or a GPU's share of the cores.",
        show_default=False,
        rich_help_panel=CLUSTER,
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


def check_cluster(engine: EngineChoice, **options: object) -> None:
    """Raise UsageError where options of a cluster are given without one."""
    given = [name for name, value in options.items() if value is not None]
    if engine is EngineChoice.LOCAL and given:
        raise UsageError(
            f"--{given[0].replace('_', '-')} is for a cluster", hint="add --engine ray"
        )
