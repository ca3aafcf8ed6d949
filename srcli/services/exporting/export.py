"""One network in one format: written beside, run there, compared, and only then kept."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import torch

from srcli import __version__
from srcli.errors import ExportError, OutputError, UsageError, means_no_memory, memory_errors
from srcli.io.files import replacing
from srcli.io.looks import is_there
from srcli.models.network import Network, build_network
from srcli.services.exporting.agreement import Difference, compare
from srcli.services.exporting.formats import Exportable, Format, Run, files_of, required, suffix_of
from srcli.services.exporting.graphs import run_pt2, run_torchscript, write_pt2, write_torchscript
from srcli.services.exporting.ncnn import run_ncnn, write_ncnn
from srcli.services.exporting.onnx import run_onnx, write_onnx
from srcli.services.network import licence_of, read_weights
from srcli.services.weights import OnEvent, WeightsFile, ignore, obtain

# What exporters raise where a graph has something that they do not know; each wraps its own.
REFUSALS = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError)
PACKAGES = {
    Format.ONNX: ("onnx", "onnxscript", "onnxruntime"),
    Format.NCNN: ("pnnx", "ncnn"),
    Format.PT2: (),
    Format.TORCHSCRIPT: (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was exported, and how near it is to the original."""

    name: str
    format: Format
    files: tuple[Path, ...]
    bytes: int
    half: bool
    differences: tuple[Difference, ...]
    facts: dict[str, str]  # what the file says of itself, where its format allows


def export_network(
    model: str,
    format: Format,
    output: Path | None = None,
    *,
    half: bool = False,
    overwrite: bool = False,
    offline: bool | None = None,
    trust: bool = False,
    on_event: OnEvent = ignore,
) -> ExportReport:
    """Export weights of a name or file; `output` is by default the name in the working folder.

    The file takes any height and width (in multiples that its metadata names) and gives what the
    network gives, not clamped. It is kept only if the format's own runtime agrees with the
    original. Raises ConfigError where a package is missing, WeightsError, ExportError, OutputError,
    or OutOfMemoryError.
    """
    required(*PACKAGES[format])  # before anything is fetched
    if output is not None and format is Format.NCNN and output.suffix not in ("", ".param", ".bin"):
        raise UsageError(f"{output} is no ncnn pair", hint="end it in .param, or in nothing")
    weights = obtain(model, offline=offline, trust=trust, on_event=on_event)
    files = files_of(format, output or Path(f"{weights.name}{suffix_of(format)}"))
    for file in files:
        if is_there(file) and not overwrite:
            raise OutputError(f"{file} exists already", hint="use --overwrite to replace it")
    network = build_network(read_weights(weights))
    wanted = _exportable(network, _facts(network, weights, format, half=half), half=half)
    with ExitStack() as stack:
        partials = [stack.enter_context(replacing(file)) for file in files]
        with memory_errors(weights.name), _refusals(format):
            run = _write(wanted, format, partials)
            differences = compare(wanted, network.bare, run)
        size = sum(partial.stat().st_size for partial in partials)
    return ExportReport(
        name=weights.name,
        format=format,
        files=files,
        bytes=size,
        half=half,
        differences=differences,
        facts=dict(wanted.facts),
    )


def _write(network: Exportable, format: Format, partials: list[Path]) -> Run:
    """Write the files, and open them again in the format's own runtime."""
    dtype = torch.float16 if network.half else torch.float32
    match format:
        case Format.ONNX:
            write_onnx(network, partials[0])
            return run_onnx(partials[0])
        case Format.PT2:
            write_pt2(network, partials[0])
            return run_pt2(partials[0], dtype)
        case Format.TORCHSCRIPT:
            write_torchscript(network, partials[0])
            return run_torchscript(partials[0], dtype)
        case Format.NCNN:
            write_ncnn(network, *partials)
            return run_ncnn(*partials)
        case _:
            assert_never(format)


@contextmanager
def _refusals(format: Format) -> Iterator[None]:
    try:
        yield
    except REFUSALS as error:
        if means_no_memory(error):
            raise  # told as such by who called
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise ExportError(
            f"the exporter to {format} does not take this network: {words}",
            hint="try another format: --to onnx, pt2, torchscript or ncnn",
        ) from error


def _exportable(network: Network, facts: dict[str, str], *, half: bool) -> Exportable:
    traits = network.traits
    if half and not traits.supports_half:
        raise ExportError(
            f"{traits.architecture} does not compute in half precision", hint="leave --half away"
        )
    if traits.is_square:
        raise ExportError(
            f"{traits.architecture} takes square pictures only",
            hint="such a network cannot be exported for any height and width",
        )
    body = network.bare
    # ncnn stores half precision by itself, and computes in what the user of the file says.
    is_stored = facts["format"] == Format.NCNN
    return Exportable(
        body=copy.deepcopy(body).half() if half and not is_stored else body,
        channels=traits.channels,
        multiple=traits.multiple,
        minimum=traits.minimum,
        half=half,
        facts=facts,
    )


def _facts(network: Network, weights: WeightsFile, format: Format, *, half: bool) -> dict[str, str]:
    traits = network.traits
    return {
        "software": f"srcli {__version__}",
        "format": str(format),
        "architecture": traits.architecture,
        "scale": str(traits.scale),
        "channels": str(traits.channels),
        "multiple": str(traits.multiple),
        "minimum": str(traits.minimum),
        "range": "0 to 1, not clamped",
        "precision": "fp16" if half else "fp32",
        "source": weights.name,
        "source_sha256": weights.digest,
        "licence": licence_of(weights),
    }
