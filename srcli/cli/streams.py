"""`-` as input and output: a picture through a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from srcli.errors import UsageError
from srcli.io.addresses import Address
from srcli.io.looks import is_folder

STREAM = "-"


def is_piped(inputs: Sequence[Address], output: str | None) -> bool:
    """Whether the command reads standard input or writes a picture to standard output."""
    return _reads(inputs) or _writes(inputs, output)


def check(inputs: Sequence[Address], output: str | None, *, json: bool) -> None:
    """Raise UsageError for what no pipe can do.

    That is several pictures, a terminal at either end, and a picture and JSON on one stream.
    """
    reads, writes = _reads(inputs), _writes(inputs, output)
    if (reads or writes) and (len(inputs) > 1 or _is_folder(inputs[0])):
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


@contextmanager
def piped(
    inputs: Sequence[Address], output: str | None
) -> Iterator[tuple[Address | BinaryIO, str | BinaryIO | None]]:
    """The source and the target of a command that `is_piped`."""
    source = sys.stdin.buffer if _reads(inputs) else inputs[0]
    if not _writes(inputs, output):
        yield source, output
        return
    # A stream of our own: a reader that went away is then no trouble when Python ends.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0) as stream:
        yield source, stream


def _is_folder(address: Address) -> bool:
    return isinstance(address, Path) and is_folder(address)


def _reads(inputs: Sequence[Address]) -> bool:
    return STREAM in map(str, inputs)


def _writes(inputs: Sequence[Address], output: str | None) -> bool:
    """What comes from a pipe goes to one unless told otherwise."""
    return output == STREAM or (output is None and _reads(inputs))
