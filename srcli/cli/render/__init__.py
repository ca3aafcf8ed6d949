"""The only module that writes to the terminal: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from srcli.errors import SrcliError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def line(text: str) -> None:
    """One plain line of result on stdout."""
    out.print(Text(text))


def note(text: str) -> None:
    """One plain line about the work on stderr."""
    err.print(Text(text))


def json_line(record: dict[str, Any]) -> None:
    """One JSON object on a line of its own on stdout, at once."""
    sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def error(failure: SrcliError) -> None:
    """What went wrong and what to do, two lines on stderr."""
    err.print(Text.assemble(("error: ", "bold red"), str(failure)))
    err.print(Text.assemble(("hint: ", "bold"), failure.hint))


def interrupted() -> None:
    """The user stopped the work."""
    err.print(Text("interrupted: nothing half done was kept", "bold"))
