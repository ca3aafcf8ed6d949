"""ONNX: written by torch's exporter, which is built on torch.export, run by ONNX Runtime."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from srcli.services.exporting.formats import Exportable, Run, required

OPSET = 18  # the oldest that the exporter writes without converting
INPUT, OUTPUT = "image", "restored"


def write_onnx(network: Exportable, path: Path) -> None:
    """One file with the weights inside, dynamic height and width, the facts as its properties."""
    (onnx, _) = required("onnx", "onnxscript")
    image = network.example(network.sizes[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own libraries; the result is run below
        program = torch.onnx.export(
            network.body,
            (image,),
            dynamo=True,
            dynamic_shapes=network.dynamic_shapes(),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, dict(network.facts))
    onnx.checker.check_model(model)
    onnx.save_model(model, str(path))


def run_onnx(path: Path) -> Run:
    """The file in ONNX Runtime, on the CPU."""
    (runtime,) = required("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (entrance,) = session.get_inputs()
    dtype = torch.float16 if "float16" in entrance.type else torch.float32

    def run(image: torch.Tensor) -> torch.Tensor:
        (restored,) = session.run(None, {entrance.name: image.to(dtype).numpy()})
        return torch.from_numpy(restored).float()

    return run
