"""ncnn: converted by pnnx, the project's own converter, from a trace; run by ncnn itself."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import torch

from srcli.errors import ExportError
from srcli.io.files import scratch
from srcli.services.exporting.formats import Exportable, Run, required
from srcli.services.exporting.graphs import write_torchscript

# What the programs for Real-ESRGAN on ncnn ask for, instead of pnnx's in0 and out0.
INPUT, OUTPUT = "data", "output"
PATIENCE_SECONDS = 600


def write_ncnn(network: Exportable, param: Path, binary: Path) -> None:
    """The pair for any height and width; numbers are stored in half precision if asked for."""
    (pnnx,) = required("pnnx")
    first, second = (f"[1,{network.channels},{height},{width}]" for height, width in network.sizes)
    with scratch() as folder:
        write_torchscript(network, folder / "net.pt")
        shapes = [f"inputshape={first}", f"inputshape2={second}"]
        arguments = [pnnx.EXEC_PATH, "net.pt", *shapes, f"fp16={int(network.half)}"]
        done = _run(arguments, folder)
        made = folder / "net.ncnn.param"
        if done.returncode or not made.is_file():
            words = (done.stderr or done.stdout).strip().splitlines()
            raise ExportError(
                f"pnnx failed: {words[-1] if words else done.returncode}",
                hint="export to onnx, or use a network of a plainer architecture",
            )
        param.write_text(_renamed(made.read_text("utf-8")), "utf-8")
        binary.write_bytes((folder / "net.ncnn.bin").read_bytes())


def _run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            arguments,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ExportError(
            f"pnnx was not done after {PATIENCE_SECONDS} s", hint="export to onnx instead"
        ) from None


def run_ncnn(param: Path, binary: Path) -> Run:
    """The pair in ncnn, on the CPU, computing in fp32."""
    (ncnn,) = required("ncnn")
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    for option in ("packed", "storage", "arithmetic"):
        setattr(net.opt, f"use_fp16_{option}", False)
    if net.load_param(str(param)) or net.load_model(str(binary)):
        raise ExportError("ncnn does not read what pnnx wrote", hint="export to onnx instead")

    def run(image: torch.Tensor) -> torch.Tensor:
        extractor = net.create_extractor()
        extractor.input(INPUT, ncnn.Mat(image[0].contiguous().numpy()).clone())
        failed, restored = extractor.extract(OUTPUT)
        if failed:
            raise ExportError(f"ncnn failed ({failed})", hint="export to onnx instead")
        return torch.from_numpy(restored.numpy().copy())[None]

    return run


def _renamed(param: str) -> str:
    """The description with its entrance and exit called as other programs expect."""
    return re.sub(r"\bout0\b", OUTPUT, re.sub(r"\bin0\b", INPUT, param))
