"""The commands, and the one place where a failure becomes a message and an exit code."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

from srcli import __version__
from srcli.cli import (
    bench,
    compare,
    degrade,
    doctor,
    evaluate,
    export,
    finetune,
    interrupts,
    render,
    report,
    serve,
    spellings,
    train,
    upscale,
    weights,
)
from srcli.cli.examples import epilog
from srcli.cli.interrupts import INTERRUPTED, Interrupted
from srcli.cli.manual import commands
from srcli.cli.roff import roff
from srcli.errors import SrcliError, memory_errors

app = typer.Typer(
    name="srcli",
    help="Enlarge pictures with pretrained ESRGAN-family networks, and fine-tune them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        render.line(f"srcli {__version__}")
        raise typer.Exit


def _show_manual(wanted: bool) -> None:
    if wanted:
        render.text(roff(commands(app), version=__version__))
        raise typer.Exit


@app.callback()
def srcli(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version."),
    ] = False,
    man: Annotated[
        bool,
        typer.Option(
            "--man",
            is_eager=True,
            callback=_show_manual,
            help="Print the manual page: srcli --man | man -l -",
        ),
    ] = False,
) -> None:
    """Enlarge pictures with pretrained ESRGAN-family networks, and fine-tune them."""


app.command(epilog=epilog("upscale"))(upscale.upscale)
app.command(epilog=epilog("finetune"))(finetune.finetune)
app.command(epilog=epilog("train"))(train.train)
app.command(epilog=epilog("report"))(report.report)
app.add_typer(weights.app, name="weights")
app.command(epilog=epilog("doctor"))(doctor.doctor)
app.command(epilog=epilog("degrade"))(degrade.degrade)
app.command(epilog=epilog("compare"))(compare.compare)
app.command(epilog=epilog("evaluate"))(evaluate.evaluate)
app.command(epilog=epilog("serve"))(serve.serve)
app.command(epilog=epilog("bench"))(bench.bench)
app.command(epilog=epilog("export"))(export.export)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line. A SrcliError becomes a message and an exit code; a bug stays a bug."""
    interrupts.install()
    # What Pillow murmurs about a damaged file is said by the error of that file, if there is one.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    try:
        app(args=spellings.canonical(sys.argv[1:] if arguments is None else arguments))
    except BaseException as end:
        if isinstance(end, Interrupted) or (interrupts.was_raised() and not _is_success(end)):
            render.interrupted()
            raise SystemExit(INTERRUPTED) from None
        failure = _failure(end)
        if failure is None:
            raise
        render.error(failure)
        raise SystemExit(failure.exit_code) from end


def _failure(end: BaseException) -> SrcliError | None:
    """What the user is to be told; None for a bug."""
    try:
        with memory_errors("what was asked for"):
            raise end
    except SrcliError as failure:
        return failure
    except BaseException:
        return None


def _is_success(end: BaseException) -> bool:
    return isinstance(end, SystemExit) and not end.code
