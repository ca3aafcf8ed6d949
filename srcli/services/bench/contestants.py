"""Ways to run one network on one picture: srcli's plans and precisions, and its neighbours'.

Each is prepared (loaded, compiled), then called again and again, with the picture and the result on
the host: what a user waits for, without reading and writing files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from srcli.inference.geometry import PlanKind
from srcli.inference.precision import DTYPES, Precision
from srcli.inference.rows import TensorSink, TensorSource
from srcli.services.engine import Engine, EngineOptions
from srcli.services.network import LoadedNetwork, load_network
from srcli.services.weights import obtain

CARELESS_TILE, CARELESS_HALO = 512, 10  # inference_realesrgan.py, as its README calls it


class MissingPeerError(Exception):
    """A neighbour that cannot take part, with the reason. Shown in the table, never an end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a contestant is to do."""

    model: str
    device: str
    picture: Tensor  # (3, H, W) float32 in [0, 1], on the host

    def network(self) -> LoadedNetwork:
        return load_network(self.model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A way to run a network."""

    prepare: Callable[[Job], Callable[[], Tensor]]  # to (3, s·H, s·W) float32 on the host
    package: str | None = None  # that it needs, as pip names it
    what: str

    def version(self) -> str | None:
        """Of its package. Raises MissingPeerError when that is not installed."""
        if self.package is None:
            return None
        try:
            return version(self.package)
        except PackageNotFoundError:
            raise MissingPeerError(
                f"{self.package} is not installed: pip install srcli[bench]"
            ) from None


def _srcli(
    precision: Precision, plan: PlanKind = PlanKind.AUTO
) -> Callable[[Job], Callable[[], Tensor]]:
    def prepare(job: Job) -> Callable[[], Tensor]:
        options = EngineOptions(device=job.device, precision=precision, plan=plan)
        engine = Engine(job.network(), options)
        scale = engine.scale
        _, height, width = job.picture.shape

        def run() -> Tensor:
            sink = TensorSink(torch.empty(3, scale * height, scale * width))
            engine.run(TensorSource(job.picture), sink)
            return sink.image

        return run

    return prepare


def _spandrel(
    *, compiled: bool = False, channels_last: bool = False, precision: Precision = Precision.FP32
) -> Callable[[Job], Callable[[], Tensor]]:
    """The architecture as spandrel has it, on the whole picture."""

    def prepare(job: Job) -> Callable[[], Tensor]:
        module, device, dtype = _module(job), torch.device(job.device), DTYPES[precision]
        module = module.to(device, dtype)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        module = module.to(memory_format=layout)
        forward: Callable[[Tensor], Tensor] = torch.compile(module) if compiled else module

        def run() -> Tensor:
            with torch.inference_mode():
                image = job.picture[None].to(device, dtype).contiguous(memory_format=layout)
                return forward(image)[0].float().cpu()

        return run

    return prepare


def _module(job: Job) -> nn.Module:
    spandrel = import_module("spandrel")
    described = spandrel.ModelLoader().load_from_state_dict(job.network().network.body.state_dict())
    module = described.model
    assert isinstance(module, nn.Module)
    return module.eval().requires_grad_(False)


def _careless_tiles(job: Job) -> Callable[[], Tensor]:
    """As Real-ESRGAN's script does it: eager, NCHW, tiles of 512 with 10 pixels around them.

    In fp16 on a GPU. Its result is not that of the whole picture.
    """
    device = torch.device(job.device)
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    module = _module(job).to(device, dtype)
    scale = job.network().network.scale
    _, height, width = job.picture.shape

    def run() -> Tensor:
        result = torch.empty(3, scale * height, scale * width)
        with torch.inference_mode():
            image = job.picture[None].to(device, dtype)
            for top in range(0, height, CARELESS_TILE):
                for left in range(0, width, CARELESS_TILE):
                    _put_tile(module, image, result, top, left)
        return result

    return run


def _put_tile(module: nn.Module, image: Tensor, result: Tensor, top: int, left: int) -> None:
    height, width = image.shape[2:]
    bottom, right = min(top + CARELESS_TILE, height), min(left + CARELESS_TILE, width)
    above, before = max(top - CARELESS_HALO, 0), max(left - CARELESS_HALO, 0)
    seen = image[:, :, above : bottom + CARELESS_HALO, before : right + CARELESS_HALO]
    restored = module(seen)[0].float().cpu()
    scale = result.shape[1] // height
    rows = slice(scale * (top - above), scale * (bottom - above))
    columns = slice(scale * (left - before), scale * (right - before))
    result[:, scale * top : scale * bottom, scale * left : scale * right] = restored[
        :, rows, columns
    ]


def _openvino(precision: str) -> Callable[[Job], Callable[[], Tensor]]:
    def prepare(job: Job) -> Callable[[], Tensor]:
        openvino: Any = import_module("openvino")
        module, picture = job.network().network.body, job.picture[None]
        model = openvino.convert_model(module, example_input=torch.rand(1, 3, 64, 64))
        model.reshape(list(picture.shape))
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()

        def run() -> Tensor:
            return torch.from_numpy(request.infer({0: picture.numpy()})[0][0].copy())

        return run

    return prepare


def _onnxruntime(job: Job) -> Callable[[], Tensor]:
    runtime: Any = import_module("onnxruntime")
    picture, sides = job.picture[None].numpy(), {2: "height", 3: "width"}
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    providers = [f"{'CUDA' if job.device.startswith('cuda') else 'CPU'}ExecutionProvider"]
    with tempfile.TemporaryDirectory(prefix="srcli-bench-") as place:
        graph = Path(place, "network.onnx")
        torch.onnx.export(
            job.network().network.body,
            (torch.rand(1, 3, 64, 64),),
            graph,
            dynamo=False,
            input_names=["image"],
            output_names=["restored"],
            dynamic_axes={"image": sides, "restored": sides},
        )
        session = runtime.InferenceSession(graph, options, providers=providers)
    return lambda: torch.from_numpy(session.run(None, {"image": picture})[0][0])


def _ncnn(job: Job) -> Callable[[], Tensor]:
    """ncnn on the CPU, from weights that are in its format; in fp32."""
    ncnn: Any = import_module("ncnn")
    files = obtain(job.model).files
    if len(files) != 2:
        raise MissingPeerError("the weights are not in ncnn's format")
    net = ncnn.Net()
    net.opt.num_threads = torch.get_num_threads()
    net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_fp16_packed = False
    net.opt.use_bf16_storage = False
    net.load_param(str(files[0]))
    net.load_model(str(files[1]))
    first, last = net.input_names()[0], net.output_names()[0]
    picture = job.picture.numpy()

    def run() -> Tensor:
        extractor = net.create_extractor()
        extractor.input(first, ncnn.Mat(picture))
        _, restored = extractor.extract(last)
        return torch.from_numpy(restored.numpy().copy())

    return run


OWN = {
    "srcli": Contestant(prepare=_srcli(Precision.FP32), what="its choice of plan, fp32"),
    "srcli-whole": Contestant(
        prepare=_srcli(Precision.FP32, PlanKind.WHOLE), what="the whole picture at once, fp32"
    ),
    "srcli-tiles": Contestant(
        prepare=_srcli(Precision.FP32, PlanKind.TILES), what="tiles with halo, fp32"
    ),
    "srcli-bf16": Contestant(prepare=_srcli(Precision.BF16), what="its choice of plan, bf16"),
    "srcli-fp16": Contestant(prepare=_srcli(Precision.FP16), what="its choice of plan, fp16"),
}
PEERS = {
    "spandrel": Contestant(prepare=_spandrel(), package="spandrel", what="eager, NCHW, fp32"),
    "spandrel-channels-last": Contestant(
        prepare=_spandrel(channels_last=True), package="spandrel", what="eager, NHWC, fp32"
    ),
    "spandrel-compiled": Contestant(
        prepare=_spandrel(compiled=True, channels_last=True),
        package="spandrel",
        what="torch.compile, NHWC, fp32",
    ),
    "spandrel-compiled-fp16": Contestant(
        prepare=_spandrel(compiled=True, channels_last=True, precision=Precision.FP16),
        package="spandrel",
        what="torch.compile, NHWC, fp16",
    ),
    "realesrgan-tiles": Contestant(
        prepare=_careless_tiles, package="spandrel", what="tiles of 512, halo 10, eager NCHW"
    ),
    "onnxruntime": Contestant(prepare=_onnxruntime, package="onnxruntime", what="fp32"),
    "openvino": Contestant(prepare=_openvino("f32"), package="openvino", what="fp32, CPU"),
    "openvino-bf16": Contestant(prepare=_openvino("bf16"), package="openvino", what="bf16, CPU"),
    "ncnn": Contestant(prepare=_ncnn, package="ncnn", what="fp32, CPU"),
}
CONTESTANTS = {**OWN, **PEERS}
