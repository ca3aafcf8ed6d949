"""PyTorch's own two: torch.export's .pt2, and TorchScript, which torch has deprecated."""

from __future__ import annotations

import json
import warnings
from io import BytesIO
from pathlib import Path

import torch

from srcli.io.files import write_content
from srcli.services.exporting.formats import Exportable, Run

FACTS = "srcli.json"  # the name of the metadata inside the file


def write_pt2(network: Exportable, path: Path) -> None:
    """A graph with dynamic height and width, for torch.export.load, AOTInductor and ExecuTorch."""
    image = network.example(network.sizes[0])
    program = torch.export.export(network.body, (image,), dynamic_shapes=network.dynamic_shapes())
    facts = {FACTS: json.dumps(dict(network.facts))}
    content = BytesIO()
    torch.export.save(program, content, extra_files=facts)
    write_content(path, content)


def run_pt2(path: Path, dtype: torch.dtype) -> Run:
    """The graph, ready to be called."""
    module = torch.export.load(str(path)).module()
    return lambda image: module(image.to(dtype)).float()


def write_torchscript(network: Exportable, path: Path) -> None:
    """A trace, for programs in C++ and for vs-mlrt of old."""
    image = network.example(network.sizes[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # that it is deprecated, our page says
        traced = torch.jit.trace(network.body, image)
        content = BytesIO()
        # Not into the file: on a full disk torch ends the process there and then.
        torch.jit.save(traced, content, _extra_files={FACTS: json.dumps(dict(network.facts))})
    write_content(path, content)


def run_torchscript(path: Path, dtype: torch.dtype) -> Run:
    """The trace, ready to be called."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        module = torch.jit.load(str(path))
    return lambda image: module(image.to(dtype)).float()
