"""How much faster than x4plus small networks are on this CPU, in turns: the model card's table.

python benchmarks/swift/speed.py [SIDE] [ROUNDS]      five minutes on two free cores

Shapes that are not trained stand beside those that are: speed does not hang on weights.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
from torch.utils.flop_counter import FlopCounterMode

from srcli.inference.rows import TensorSink, TensorSource
from srcli.models.compact import CompactConfig, CompactNet
from srcli.models.network import Network, wrap_compact, wrap_rrdb
from srcli.models.rrdb import RRDBConfig, RRDBNet
from srcli.services.engine import Engine, EngineOptions
from srcli.services.network import LoadedNetwork


def rrdb(blocks: int, channels: int, growth: int) -> Callable[[], Network]:
    config = RRDBConfig(channels=channels, growth=growth, blocks=blocks)
    return lambda: wrap_rrdb(RRDBNet(config))


def compact(convolutions: int, channels: int) -> Callable[[], Network]:
    config = CompactConfig(channels=channels, convolutions=convolutions)
    return lambda: wrap_compact(CompactNet(config))


SHAPES = {
    "realesrgan-x4plus": rrdb(23, 64, 32),
    "RRDB, 6 blocks": rrdb(6, 64, 32),
    "RRDB, 3 blocks, 32 channels, growth 16": rrdb(3, 32, 16),
    "Compact, 32 convolutions": compact(32, 64),
    "Compact, 16 convolutions (swift)": compact(16, 64),
    "Compact, 8 convolutions": compact(8, 64),
    "Compact, 16 convolutions, 32 channels": compact(16, 32),
}


def main(side: int, rounds: int) -> str:
    """The table in Markdown."""
    engines = {name: engine_of(shape()) for name, shape in SHAPES.items()}
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(rounds + 1):
        for name, engine in engines.items():
            took = run(engine, side)
            if turn:  # the first sets things up
                seconds[name].append(took)
    slowest = median(seconds["realesrgan-x4plus"])
    lines = [
        f"{side} x {side} px, {torch.get_num_threads()} threads, {rounds} rounds, fp32\n",
        "| network | parameters | multiply-adds per input pixel | seconds | times as fast |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, engine in engines.items():
        network, took = engine.loaded.network, median(seconds[name])
        spread = f"{took:.3f} ({min(seconds[name]):.3f} to {max(seconds[name]):.3f})"
        cells = (
            name,
            f"{sum(each.numel() for each in network.parameters()):,}",
            f"{operations(network) / 1e6:.2f} M",
            spread,
            f"{slowest / took:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def engine_of(network: Network) -> Engine:
    loaded = LoadedNetwork(network=network.eval().requires_grad_(False), name="", digest="")
    return Engine(loaded, EngineOptions(device="cpu"))


def run(engine: Engine, side: int) -> float:
    picture = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))
    sink = TensorSink(torch.empty(3, side * engine.scale, side * engine.scale))
    started = perf_counter()
    engine.run(TensorSource(picture), sink)
    return perf_counter() - started


def operations(network: Network) -> float:
    """Multiply-adds for each pixel of input."""
    side = 32
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, side, side))
    return float(counter.get_total_flops()) / 2 / side**2


if __name__ == "__main__":
    side, rounds = (int(text) for text in [*sys.argv[1:], *("256", "3")[len(sys.argv) - 1 :]])
    print(main(side, rounds))
