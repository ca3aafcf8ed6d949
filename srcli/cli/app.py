"""The commands, and the one place where a failure becomes a message and an exit code."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from srcli import __version__
from srcli.cli import degrade, doctor, render, spellings, upscale, weights
from srcli.errors import SrcliError

INTERRUPTED = 130

app = typer.Typer(
    name="srcli",
    help="Enlarge pictures with pretrained ESRGAN-family networks, and fine-tune them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Interrupted(BaseException):
    """Ctrl-C or a polite kill; not a KeyboardInterrupt, which Typer would turn into exit code 1."""


def _interrupt(signal_number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted(signal_number)


def _show_version(wanted: bool) -> None:
    if wanted:
        render.line(f"srcli {__version__}")
        raise typer.Exit


@app.callback()
def srcli(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show it.")
    ] = False,
) -> None:
    """Enlarge pictures with pretrained ESRGAN-family networks, and fine-tune them."""


app.command()(upscale.upscale)
app.add_typer(weights.app, name="weights")
app.command()(doctor.doctor)
app.command()(degrade.degrade)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line. A SrcliError becomes a message and an exit code; a bug stays a bug."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        app(args=spellings.canonical(sys.argv[1:] if arguments is None else arguments))
    except SrcliError as failure:
        render.error(failure)
        raise SystemExit(failure.exit_code) from failure
    except Interrupted:
        render.interrupted()
        raise SystemExit(INTERRUPTED) from None
