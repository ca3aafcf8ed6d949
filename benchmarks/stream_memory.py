"""Peak memory of a stream against what `memory` states, and against the height.

    python benchmarks/stream_memory.py --width 4096 --heights 512 2048 --channels 16 --growth 8

One line of JSON for each height. Every height runs in a process of its own: the peak of a process
never falls. The image is made row by row and the result is thrown away, so that only the stream
takes memory.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from srcli.inference.convoy import ticks_at_once
from srcli.inference.geometry import StreamPlan, TilePlan
from srcli.inference.large_pages import prefer_large_pages
from srcli.inference.memory import KEPT_BY_LIBRARIES, stream_bytes
from srcli.inference.precision import Precision, Runner
from srcli.inference.streaming import run_streamed
from srcli.models.network import wrap_rrdb
from srcli.models.rrdb import RRDBConfig, RRDBNet


@dataclass
class Ramp:
    """A RowSource that makes its rows when they are asked for."""

    height: int
    width: int

    def read(self, start: int, stop: int) -> Tensor:
        rows = torch.arange(start, stop).remainder(256) / 255
        return rows.view(1, -1, 1).expand(3, -1, self.width)

    def restart(self) -> None:
        """Nothing to do."""


def measure(options: argparse.Namespace, height: int) -> dict[str, float]:
    prefer_large_pages()  # as the command line does
    torch.set_num_threads(options.threads)
    config = RRDBConfig(channels=options.channels, growth=options.growth, blocks=options.blocks)
    network = wrap_rrdb(RRDBNet(config).eval().requires_grad_(False))
    runner = Runner(network, torch.device("cpu"), Precision.FP32)
    strips = TilePlan(height=height, width=options.width, tile=options.width, halo=64, feather=8)
    small = StreamPlan(band=8, strips=TilePlan(height=64, width=16, tile=16, halo=64, feather=8))
    for _ in run_streamed(runner, Ramp(64, 16), small):
        pass  # what the libraries take once is not the stream's
    before, started = peak_bytes(), perf_counter()
    for _ in run_streamed(
        runner, Ramp(height, options.width), StreamPlan(band=options.band, strips=strips)
    ):
        pass
    measured, seconds = peak_bytes() - before, perf_counter() - started
    at_once = ticks_at_once(network, runner.device)
    stated = KEPT_BY_LIBRARIES + stream_bytes(
        network, width=options.width, band=options.band, at_once=at_once
    )
    return {
        "height": height,
        "ticks_at_once": at_once,
        "measured_mib": round(measured / 2**20, 1),
        "stated_mib": round(stated / 2**20, 1),
        "seconds": round(seconds, 1),
    }


def peak_bytes() -> int:
    """The most memory this process ever held (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("width", 1024), ("band", 16), ("blocks", 6), ("channels", 64)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--growth", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--heights", type=int, nargs="+", default=[64, 256])
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for height in options.heights:
        with context.Pool(1) as pool:
            sys.stdout.write(json.dumps(pool.apply(measure, (options, height))) + "\n")


if __name__ == "__main__":
    main()
