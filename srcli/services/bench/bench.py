"""Contestants against each other: in turns, so that a busy machine is unjust to all alike.

for each round: matrix rate, then each contestant in a process of its own
-> medians -> share of the matrix rate, difference from srcli's fp32
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from srcli.errors import UsageError
from srcli.inference.precision import DTYPES, Precision
from srcli.models.network import Network
from srcli.services.bench.contestants import CONTESTANTS, OWN, PEERS
from srcli.services.bench.worker import Outcome, Task
from srcli.services.devices import choose_device
from srcli.services.network import load_network

REFERENCE = "srcli"
MATRIX_SIDE, MATRIX_RUNS = 2048, 5
PROBE = 32  # pixels a side, for counting


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """What is measured."""

    model: str
    height: int = 512
    width: int = 512
    device: str = "auto"
    own: tuple[str, ...] = ("srcli", "srcli-bf16")
    versus: tuple[str, ...] = ()  # names of PEERS
    rounds: int = 3

    def __post_init__(self) -> None:
        for name in (*self.own, *self.versus):
            if name not in CONTESTANTS:
                hint = f"there are {', '.join(CONTESTANTS)}"
                raise UsageError(f"there is no contestant {name!r}", hint=hint)
        if self.rounds < 1 or min(self.height, self.width) < 1:
            raise UsageError("a bench needs a round and a picture", hint="both start at 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A contestant's figures: medians over the rounds."""

    contestant: str
    what: str
    version: str | None = None
    seconds: float | None = None
    fastest: float | None = None
    prepare_seconds: float | None = None
    gflops: float | None = None  # of necessary work
    share: float | None = None  # of the matrix rate in fp32
    host_bytes: int | None = None
    device_bytes: int | None = None
    difference: float | None = None  # the largest from REFERENCE, in levels of 255
    psnr: float | None = None  # against REFERENCE, in dB
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """A table, and the machine it is of."""

    machine: str
    device: str
    threads: int
    torch: str
    model: str
    height: int
    width: int
    rounds: int
    operations: float  # necessary, for an input pixel
    matrix_gflops: dict[str, float]  # by precision
    rows: tuple[Row, ...]


def run_bench(
    request: BenchRequest, *, on_turn: Callable[[int, str], None] = lambda round_, name: None
) -> BenchReport:
    """Measure; `on_turn` hears of each contestant before its turn.

    Raises UsageError for a device that is not there, and WeightsError.
    """
    device = choose_device(request.device)
    network = load_network(request.model).network
    names = tuple(dict.fromkeys((REFERENCE, *request.own, *request.versus)))
    outcomes: dict[str, list[Outcome]] = {name: [] for name in names}
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="srcli-bench-") as place:
        for turn in range(request.rounds):
            for precision in _precisions(device):
                rates.setdefault(precision.value, []).append(matrix_rate(device, precision))
            for name in names:
                if outcomes[name] and outcomes[name][0].refused is not None:
                    continue
                on_turn(turn, name)
                result = str(Path(place, f"{name}.npy")) if turn == 0 else None
                outcomes[name].append(_turn(request, device, name, result))
        matrix = {precision: statistics.median(each) for precision, each in rates.items()}
        work = operations(network) * request.height * request.width
        rows = [_row(name, outcomes[name], work, matrix["fp32"], Path(place)) for name in names]
    return BenchReport(
        machine=torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        device=str(device),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        model=request.model,
        height=request.height,
        width=request.width,
        rounds=request.rounds,
        operations=operations(network),
        matrix_gflops={name: rate / 1e9 for name, rate in matrix.items()},
        rows=tuple(rows),
    )


def operations(network: Network) -> float:
    """Necessary work for an input pixel: two operations for each weight and pixel of convolutions.

    Counted in a forward pass over a small image; enlargement and activations are not work.
    """
    counted = 0.0

    def count(module: nn.Module, _: object, made: torch.Tensor) -> None:
        nonlocal counted
        assert isinstance(module, nn.Conv2d)
        counted += 2.0 * module.weight.numel() * made.shape[2] * made.shape[3]

    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    hooks = [module.register_forward_hook(count) for module in convolutions]
    with torch.inference_mode():
        network(torch.zeros(1, 3, PROBE, PROBE))
    for hook in hooks:
        hook.remove()
    return counted / PROBE**2


def matrix_rate(device: torch.device, precision: Precision) -> float:
    """The best rate of a large matrix product, in operations a second: what the machine can do."""
    first, second = (
        torch.rand(MATRIX_SIDE, MATRIX_SIDE, device=device).to(DTYPES[precision]) for _ in range(2)
    )
    times = []
    for _ in range(MATRIX_RUNS):
        _wait_for(device)
        started = time.perf_counter()
        torch.mm(first, second)
        _wait_for(device)
        times.append(time.perf_counter() - started)
    return 2.0 * MATRIX_SIDE**3 / min(times)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _precisions(device: torch.device) -> Sequence[Precision]:
    second = Precision.FP16 if device.type == "cuda" else Precision.BF16
    return Precision.FP32, second


def _turn(request: BenchRequest, device: torch.device, name: str, result: str | None) -> Outcome:
    task = Task(
        contestant=name,
        model=request.model,
        device=str(device),
        height=request.height,
        width=request.width,
        threads=torch.get_num_threads(),
        result=result,
    )
    command = [sys.executable, "-m", "srcli.services.bench.worker"]
    done = subprocess.run(
        command, input=json.dumps(asdict(task)), capture_output=True, text=True, check=False
    )
    try:
        return Outcome(**json.loads(done.stdout))
    except json.JSONDecodeError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return Outcome(refused=f"ended with {done.returncode}: {last[:200]}")


def _row(name: str, outcomes: list[Outcome], work: float, rate: float, place: Path) -> Row:
    contestant, first = CONTESTANTS[name], outcomes[0]
    if first.refused is not None:
        return Row(contestant=name, what=contestant.what, refused=first.refused)
    seconds = [each.seconds for each in outcomes if each.seconds is not None]
    median = statistics.median(seconds)
    difference, psnr = _difference(place / f"{name}.npy", place / f"{REFERENCE}.npy")
    return Row(
        contestant=name,
        what=contestant.what,
        version=contestant.version(),
        seconds=median,
        fastest=min(seconds),
        prepare_seconds=first.prepare_seconds,
        gflops=work / median / 1e9,
        share=work / median / rate,
        host_bytes=first.host_bytes,
        device_bytes=first.device_bytes,
        difference=difference,
        psnr=psnr,
    )


def _difference(result: Path, reference: Path) -> tuple[float, float | None]:
    """The largest difference in levels of 255, and PSNR in dB; None where there is none."""
    if result == reference or not reference.exists():
        return 0.0, None
    apart = np.load(result, mmap_mode="r") - np.load(reference, mmap_mode="r")
    error = float(np.mean(np.square(apart, dtype=np.float64)))
    return float(np.abs(apart).max() * 255), -10 * float(np.log10(error)) if error > 0 else None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # no Linux
    return platform.processor() or platform.machine()


__all__ = ["OWN", "PEERS", "BenchReport", "BenchRequest", "Row", "run_bench"]
