"""The commands, and the one place where a failure becomes a message and an exit code."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from inspect import getdoc
from pathlib import Path
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
from srcli.errors import DiskFullError, SrcliError, UsageError, memory_errors
from srcli.io.files import full, is_full

LEAST_COLUMNS = 72  # of help

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


def _add(name: str, command: Callable[..., None]) -> None:
    """Add a command. Typer would break its help where the lines of the docstring end."""
    paragraphs = (getdoc(command) or "").split("\n\n")
    whole = "\n\n".join(" ".join(each.split()) for each in paragraphs)
    app.command(help=whole, epilog=epilog(name))(command)


_add("upscale", upscale.upscale)
_add("finetune", finetune.finetune)
_add("train", train.train)
_add("report", report.report)
app.add_typer(weights.app, name="weights")
_add("doctor", doctor.doctor)
_add("degrade", degrade.degrade)
_add("compare", compare.compare)
_add("evaluate", evaluate.evaluate)
_add("serve", serve.serve)
_add("bench", bench.bench)
_add("export", export.export)


def _check_place() -> None:
    """Raise UsageError in a folder that was deleted: torch's libraries would end the program."""
    try:
        Path.cwd()
    except FileNotFoundError:
        message = "the folder that this was started in is no longer there"
        raise UsageError(message, hint="cd to another one") from None


def _open_streams() -> None:
    """Where a stream was closed before the start, let what is written to it vanish."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115


def _widen() -> None:
    """Let help be this wide on narrower terminals, which break its lines: else it cuts options."""
    if shutil.get_terminal_size().columns < LEAST_COLUMNS:
        os.environ.setdefault("TERMINAL_WIDTH", str(LEAST_COLUMNS))


def _silence() -> None:
    """Let what is still to be written to stdout vanish, or Python fails again when it ends."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123, a device
        os.dup2(nowhere.fileno(), 1)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line. A SrcliError becomes a message and an exit code; a bug stays a bug."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        interrupts.install()
        _open_streams()
        _widen()
        # What Pillow murmurs about a damaged file is said by the error of that file, if any.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        logging.getLogger("PIL").setLevel(logging.CRITICAL)
        _check_place()
        app(args=spellings.canonical(given))
    except BaseException as end:
        if isinstance(end, Interrupted) or (interrupts.was_raised() and not _is_success(end)):
            render.interrupted()
            raise SystemExit(INTERRUPTED) from None
        failure = _failure(end)
        if failure is not None:
            render.error(failure)
        _tell_program(failure or _misuse(end), given)
        if failure is None:
            raise
        raise SystemExit(failure.exit_code) from end


def _tell_program(failure: SrcliError | None, arguments: list[str]) -> None:
    """Say what ended the command on stdout too, where --json was asked for."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if failure is not None and "--json" in options:
        render.json_error(failure)


def _misuse(end: BaseException) -> UsageError | None:
    """What Typer has said of the arguments on stderr before it ended the program, if it has."""
    said = end.__context__ if isinstance(end, SystemExit) and end.code else None
    tell = getattr(said, "format_message", None)  # its class has no public name
    return UsageError(tell(), hint="see srcli COMMAND --help") if tell else None


def _failure(end: BaseException) -> SrcliError | None:
    """What the user is to be told; None for a bug."""
    if isinstance(end, OSError) and end.filename is None and is_full(end):
        _silence()
        return DiskFullError("no space left where the output goes", hint="free some space")
    try:
        with memory_errors("what was asked for"):
            raise end
    except SrcliError as failure:
        return failure
    except OSError as failure:
        return full(Path(failure.filename)) if is_full(failure) else None
    except BaseException:
        return None


def _is_success(end: BaseException) -> bool:
    return isinstance(end, SystemExit) and not end.code
