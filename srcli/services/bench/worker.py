"""One contestant in a process of its own: its memory is its own, and it cannot spoil another's.

python -m srcli.services.bench.worker < task.json > outcome.json
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread

import numpy as np
import psutil
import torch

from srcli.errors import SrcliError
from srcli.inference.large_pages import prefer_large_pages
from srcli.services.bench.contestants import CONTESTANTS, OWN, Job, MissingPeerError
from srcli.services.bench.picture import bench_picture

ENOUGH_SECONDS = 2.0  # a run that takes less is repeated: the first one sets libraries up
MOST_RUNS = 7
POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a worker is told."""

    contestant: str
    model: str
    device: str
    height: int
    width: int
    threads: int
    result: str | None = None  # where the restored picture is to be put, as .npy


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a worker tells."""

    seconds: float | None = None  # the median of its runs
    prepare_seconds: float | None = None
    host_bytes: int | None = None  # the peak of the resident memory, above what it was before
    device_bytes: int | None = None
    refused: str | None = None  # why there is nothing of the above


def main() -> None:
    """Do the task on standard input; the outcome goes to standard output."""
    task = Task(**json.load(sys.stdin))
    # Libraries print as they like; only the outcome may go to standard output.
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    json.dump(asdict(_outcome(task)), told)
    told.close()


def _outcome(task: Task) -> Outcome:
    if task.contestant in OWN:
        prefer_large_pages()  # as the command line does
    torch.set_num_threads(task.threads)
    picture = bench_picture(task.height, task.width)
    job = Job(model=task.model, device=task.device, picture=picture)
    try:
        return _measured(task, job)
    except MissingPeerError as reason:
        return Outcome(refused=str(reason))
    except (SrcliError, RuntimeError, ImportError, MemoryError) as error:
        return Outcome(refused=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _measured(task: Task, job: Job) -> Outcome:
    is_cuda = task.device.startswith("cuda")
    CONTESTANTS[task.contestant].version()
    started = time.perf_counter()
    run = CONTESTANTS[task.contestant].prepare(job)
    prepared = time.perf_counter() - started
    times: list[float] = []
    with _Peak() as peak:
        while not times or (sum(times) < ENOUGH_SECONDS and len(times) < MOST_RUNS):
            started = time.perf_counter()
            restored = run()
            times.append(time.perf_counter() - started)
    if task.result is not None:
        np.save(Path(task.result), restored.numpy())
    return Outcome(
        seconds=statistics.median(times[1:] or times),
        prepare_seconds=prepared,
        host_bytes=peak.bytes,
        device_bytes=torch.cuda.max_memory_allocated() if is_cuda else None,
    )


class _Peak:
    """The most resident memory while it is open, above what it was at the beginning."""

    def __enter__(self) -> _Peak:
        self._process, self._done = psutil.Process(), Event()
        self._before = self._highest = self._process.memory_info().rss
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(POLL_SECONDS):
            self._highest = max(self._highest, self._process.memory_info().rss)

    @property
    def bytes(self) -> int:
        return self._highest - self._before


if __name__ == "__main__":
    main()
