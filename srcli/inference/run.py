"""One image through one network: run the plan, and when memory is out, a smaller plan from the top.

A tile or band that failed is never pasted over, patched up or left out: the image starts over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing

import torch

from srcli.inference.geometry import Plan, StreamPlan
from srcli.inference.memory import MemoryExhaustedError
from srcli.inference.plan import smaller_plan
from srcli.inference.precision import PrecisionLostError, Runner, memory_failures
from srcli.inference.rows import RowSink, RowSource
from srcli.inference.streaming import run_streamed
from srcli.inference.tiled import run_tiled


def enlarge(
    runner: Runner,
    source: RowSource,
    sink: RowSink,
    plan: Plan,
    *,
    batch: int = 1,
    on_tiles: Callable[[int, int], None] = lambda done, total: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> Plan:
    """Run `source` through the network into `sink`; the plan that carried it through is returned.

    `on_tiles` hears how many tiles, or bands of a stream, are done and how many there are; after a
    restart it starts again at 0. Raises OutOfMemoryError when no plan fits, BadWeightsError when
    the network gives no numbers even in fp32.
    """
    while True:
        try:
            with memory_failures():  # whoever asked for the memory: the rows have buffers too
                _run(runner, source, sink, plan, batch, on_tiles)
            return plan
        except MemoryExhaustedError:
            plan, batch = smaller_plan(plan), 1
            on_note(f"out of memory: starting over ({plan.describe()})")
        except PrecisionLostError:
            runner.switch()
        if runner.device.type == "cuda":
            torch.cuda.empty_cache()
        source.restart()
        sink.restart()


def enlarge_together(
    runner: Runner, sources: Sequence[RowSource], sinks: Sequence[RowSink]
) -> None:
    """Images of one height and width, each whole, as one batch: alone, small ones leave a GPU idle.

    Raises MemoryExhaustedError when the device refuses the batch, BadWeightsError when the network
    gives no numbers; then nothing was written.
    """
    with memory_failures():
        images = torch.stack([source.read(0, source.height) for source in sources])
    # A CPU gains nothing from a batch, and its kernels round otherwise for another batch size:
    # one by one, what an image becomes does not hang on who is beside it.
    parts = images.split(1) if runner.device.type == "cpu" else (images,)
    restored = torch.cat([runner.submit(part).result() for part in parts])
    for sink, rows in zip(sinks, restored, strict=True):
        sink.write(0, rows)


def _run(
    runner: Runner,
    source: RowSource,
    sink: RowSink,
    plan: Plan,
    batch: int,
    on_tiles: Callable[[int, int], None],
) -> None:
    total, done = plan.tiles, 0

    def count(tiles: int) -> None:
        nonlocal done
        done += tiles
        on_tiles(done, total)

    on_tiles(0, total)
    if isinstance(plan, StreamPlan):
        results = run_streamed(runner, source, plan, on_band=count)
    else:
        results = run_tiled(runner, source, plan, batch=batch, on_tile=count)
    with closing(results):  # where the sink fails, its error must not keep the stream alive
        for start, rows in results:
            sink.write(start, rows)
