"""The only package that writes to the terminal: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.text import Text

from srcli.errors import SrcliError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def line(text: str) -> None:
    """One plain line of result on stdout."""
    out.print(Text(shown(text)))


def text(whole: str) -> None:
    """A whole text on stdout, unchanged."""
    sys.stdout.write(whole)


def note(text: str) -> None:
    """One plain line about the work on stderr."""
    err.print(Text(shown(text)))


class _Told:
    """What ended the command, as soon as an object on stdout has said it."""

    failure: SrcliError | None = None


def json_line(record: dict[str, Any], *, tells: SrcliError | None = None) -> None:
    """One JSON object on a line of its own on stdout, at once.

    `tells` is the failure that ends the command, where the object says so.
    """
    _Told.failure = tells
    text = json.dumps(record, ensure_ascii=False)
    # A file name may be no text, or hold what some readers take for the end of a line (U+2028).
    if not _is_encodable(text, sys.stdout.encoding) or len(text.splitlines()) > 1:
        text = json.dumps(record)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def error(failure: SrcliError) -> None:
    """What went wrong and what to do, two lines on stderr."""
    with suppress(OSError):  # a full disk or a closed pipe: the exit code still tells
        err.print(Text.assemble(("error: ", "bold red"), shown(str(failure))))
        err.print(Text.assemble(("hint: ", "bold"), shown(failure.hint)))


def json_error(failure: SrcliError) -> None:
    """The JSON object of what ended the command, unless one before has said it."""
    if failure is _Told.failure:
        return
    told = {"error": str(failure), "hint": failure.hint, "exit_code": failure.exit_code}
    with suppress(OSError):
        json_line({"type": "error", **told}, tells=failure)


def failure(failed: SrcliError) -> None:
    """The same on one line, for one picture of many."""
    told = Text.assemble(("error: ", "bold red"), shown(str(failed)))
    err.print(told.append(f" ({shown(failed.hint)})", "dim"))


def interrupted() -> None:
    """The user stopped the work."""
    err.print(Text("interrupted: nothing half done was kept", "bold"))


def stopping() -> None:
    """Said from a signal handler, so straight to the terminal: Rich may be in the middle."""
    os.write(2, b"\nstopping after what is under way; once more to stop at once\n")


def leaving() -> None:
    """The program ends at once, in the middle of a bar: show the terminal's cursor again."""
    with suppress(OSError):
        if os.isatty(2):
            os.write(2, b"\x1b[?25h\r\n")


def shown(text: str) -> str:
    """A text on one line that any terminal takes, whatever bytes a file name has.

    >>> shown("new\\nline, \\udcff, é")
    'new\\\\nline, \\\\udcff, é'
    """
    legible = "".join(
        character if character.isprintable() else _escaped(character) for character in text
    )
    return legible if _is_encodable(legible, err.encoding) else ascii(legible)[1:-1]


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _is_encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
