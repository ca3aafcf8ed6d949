"""`srcli upscale` called in this process, and all that is said meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file
from tally import FallenError

import srcli.services.batch  # noqa: F401  (imported once, before children are forked)
from srcli.cli import app as command_line
from srcli.models.compact import CompactConfig, CompactNet

SCALE = 2


def make_weights(path: Path) -> Path:
    """A network of two convolutions, as a file."""
    torch.manual_seed(0)
    network = CompactNet(CompactConfig(channels=4, convolutions=1, scale=SCALE))
    save_file(network.state_dict(), path)
    return path


def run(arguments: Sequence[str]) -> int:
    """The exit code of `srcli upscale` with these arguments."""
    try:
        command_line.main(["upscale", *arguments])
    except SystemExit as ended:
        return int(ended.code or 0)
    raise FallenError("the command did not end by an exit code")


@contextmanager
def heard(root: Path) -> Iterator[dict[str, str]]:
    """What the process says meanwhile, from Python and from C."""
    said: dict[str, str] = {}
    kept = {number: os.dup(number) for number in (1, 2)}
    files = {number: root / f"said-{number}" for number in kept}
    for number, file in files.items():
        descriptor = os.open(file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(descriptor, number)
        os.close(descriptor)
    streams = sys.stdout, sys.stderr  # which may not write to 1 and 2, in a test
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: PTH123, SIM115
    try:
        yield said
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = streams
        for number, descriptor in kept.items():
            os.dup2(descriptor, number)
            os.close(descriptor)
        said["out"] = files[1].read_text("utf-8", "replace")
        said["err"] = files[2].read_text("utf-8", "replace")
