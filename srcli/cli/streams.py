"""`-` as input and output: a picture through a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from srcli.errors import UsageError

STREAM = "-"


def is_piped(inputs: Sequence[Path], output: str | None) -> bool:
    """Whether the command reads standard input or writes a picture to standard output."""
    return STREAM in map(str, inputs) or output == STREAM


@contextmanager
def piped(
    inputs: Sequence[Path], output: str | None, *, json: bool
) -> Iterator[tuple[Path | BinaryIO, str | BinaryIO | None]]:
    """The source and the target of such a command. Input from `-` goes to `-` by default.

    Raises UsageError for what cannot be: several pictures, a terminal at either end, and a
    picture and JSON on the same stream.
    """
    reads = STREAM in map(str, inputs)
    writes = output in (STREAM, None) and (reads or output == STREAM)
    if len(inputs) > 1 or inputs[0].is_dir():
        raise UsageError("a pipe takes one picture", hint="name a folder with --output for several")
    if reads and sys.stdin.isatty():
        raise UsageError("nothing is piped in", hint="srcli upscale - -o out.png < in.png")
    if writes and json:
        raise UsageError(
            "a picture and JSON cannot share standard output", hint="name a file with --output"
        )
    if writes and sys.stdout.isatty():
        raise UsageError(
            "a picture is nothing for a terminal", hint="name a file with --output, or add > FILE"
        )
    source = sys.stdin.buffer if reads else inputs[0]
    if not writes:
        yield source, output
        return
    # A stream of our own: a reader that went away is then no trouble when Python ends.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0) as stream:
        yield source, stream
