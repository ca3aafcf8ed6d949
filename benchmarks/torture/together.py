"""Several at once, and ends in the middle: processes, threads, streams.

    python benchmarks/torture/together.py processes --cases 30
    python benchmarks/torture/together.py threads --cases 20
    python benchmarks/torture/together.py convoy --cases 1000

Laws: two runs on one folder never mix, threads get the bytes of a serial run, and a stream that
fails or is given up at any moment leaves no thread and no memory.
"""

from __future__ import annotations

import gc
import signal
import tempfile
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from conclusion import asked, conclude
from forked import import_everything, run, start
from killed import Folder, noise, weights

HANG_SECONDS = 60


@dataclass(slots=True)
class Tally:
    """What came out."""

    cases: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0  # seconds
    faults: list[str] = field(default_factory=list)


def main() -> None:
    options = asked(__doc__, KINDS, cases=30)
    import_everything()
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="srcli-together-") as place:
        KINDS[options.kind](Path(place), options.cases, Random(options.seed), tally)
    report = {
        "kind": options.kind,
        "seed": options.seed,
        "cases": tally.cases,
        "counts": dict(tally.counts),
        "slowest_seconds": round(tally.slowest, 2),
        "faults": tally.faults,
    }
    conclude(report)


def two_processes(place: Path, cases: int, random: Random, tally: Tally) -> None:
    """Two runs on one folder of results: one does it, the other is told so."""
    trial = Folder(place)
    whole = place / "whole"
    whole.mkdir()
    trial.prepare(whole)
    run(trial.first, folder=whole, environment=trial.environment(whole), before=trial.before)
    right = trial.state(whole)
    for number in range(cases):
        folder = place / f"case-{number}"
        folder.mkdir()
        trial.prepare(folder)
        extra = [(), ("--overwrite",), ("--no-journal", "--overwrite")][number % 3]
        environment = trial.environment(folder)
        children = []
        for which in range(2):
            log = place / f"{number}-{which}.log"
            children.append(
                start(
                    (*trial.first, *extra),
                    folder=folder,
                    environment=environment,
                    before=trial.before,
                    log=log,
                )
            )
            time.sleep(random.random() ** 3 * 0.5)
        both = [child.wait() for child in children]
        tally.cases += 1
        tally.counts[" and ".join(str(code) for code in sorted(each.code for each in both))] += 1
        for each in both:
            is_told = "another srcli is at work" in each.said
            if each.fault or not (each.code == 0 or (each.code == 1 and is_told)):
                tally.faults.append(f"case {number}: {each.code} {each.fault} {each.said[-300:]}")
        again = run(
            (*trial.first, *extra), folder=folder, environment=environment, before=trial.before
        )
        state = {name: what for name, what in trial.state(folder).items() if what != "journal"}
        wanted = {name: what for name, what in right.items() if what != "journal"}
        if again.code or state != wanted:
            tally.faults.append(
                f"case {number}: next run {again.code}: {again.said[-200:]}"
                f" {trial.difference(state, wanted)}"
            )


def eight_threads(place: Path, cases: int, random: Random, tally: Tally) -> None:
    """The Python interface from eight threads, the same network and different ones."""
    calls = _Calls(place)
    right: dict[Any, bytes] = {}
    before = threading.active_count()
    for number in range(cases):
        wanted = [(random.choice(calls.ways), *random.choice(calls.jobs)) for _ in range(16)]
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda each: each[0](*each[1:]), wanted))
        tally.slowest = max(tally.slowest, time.monotonic() - began)
        tally.cases += 1
        for each, result in zip(wanted, made, strict=True):
            tally.counts[each[0].__name__] += 1
            if each not in right:
                right[each] = each[0](*each[1:])
            if result != right[each]:
                tally.faults.append(f"round {number}: {each} gives other bytes")
    if threading.active_count() > before:
        tally.faults.append(f"left {threading.active_count() - before} threads")


class _Calls:
    """Ways to call srcli from Python, and what to call them with; all give bytes."""

    def __init__(self, place: Path) -> None:
        self.place = place
        networks = [weights(place, scale=2)]
        for number, shape in enumerate(({"scale": 4}, {"scale": 2, "blocks": 2})):
            (place / str(number)).mkdir()
            networks.append(weights(place / str(number), **shape))
        self.pictures = [
            np.random.default_rng(n).integers(0, 256, (40 + n, 50, 3), np.uint8) for n in range(4)
        ]
        for number in range(len(self.pictures)):
            noise(place / f"in-{number}.png", number, (50, 40 + number))
        plans = ("whole", "stream", "tiles")
        self.jobs = [(net, n, plan) for net in networks for n in range(4) for plan in plans]
        self.ways = [self.array, self.file, self.plain]

    def array(self, network: Path, n: int, plan: str) -> bytes:
        import srcli

        return srcli.Upscaler(network, plan=plan, device="cpu")(self.pictures[n]).tobytes()

    def file(self, network: Path, n: int, plan: str) -> bytes:
        import srcli

        out = self.place / f"out-{threading.get_ident()}-{n}.png"
        upscaler = srcli.Upscaler(network, plan=plan, device="cpu")
        upscaler(self.place / f"in-{n}.png", output=out, overwrite=True)
        return out.read_bytes()

    def plain(self, network: Path, n: int, plan: str) -> bytes:
        import srcli

        return srcli.upscale(self.pictures[n], model=network).tobytes()


def convoys(place: Path, cases: int, random: Random, tally: Tally) -> None:
    """Ticks of a stream in every interleaving, failing or given up at every moment."""
    trial = Interleavings(random)
    before = threading.active_count()
    gc.collect()
    gc.disable()  # what a reference alone cannot free counts as left behind
    for number in range(cases):
        signal.alarm(HANG_SECONDS)  # a deadlock ends the benchmark, and loudly
        began = time.monotonic()
        fault = trial.one(tally.counts)
        tally.slowest = max(tally.slowest, time.monotonic() - began)
        signal.alarm(0)
        tally.cases += 1
        if threading.active_count() != before:
            fault = f"{threading.active_count() - before} threads left"
        if fault:
            tally.faults.append(f"case {number}: {fault}")


class InjectedError(Exception):
    """What goes wrong on purpose."""


class Interleavings:
    """One stream after the other, with sleeps and failures injected into its stages."""

    height, width, band = 64, 14, 8

    def __init__(self, random: Random) -> None:
        import torch

        from srcli.inference.stages import BlockStage, ConvolutionStage
        from srcli.models.network import wrap_rrdb
        from srcli.models.rrdb import RRDBConfig, RRDBNet

        self.random, self.torch = random, torch
        torch.manual_seed(0)
        self.body = wrap_rrdb(RRDBNet(RRDBConfig(channels=4, growth=2, blocks=4))).body.eval()
        self.image = torch.rand(1, 3, self.height, self.width)
        self.sleeps = 0.0
        self.fail_at = 0
        self.steps = 0
        self._mutex = threading.Lock()
        for kind in (ConvolutionStage, BlockStage):
            self._wrap(kind)
        with torch.inference_mode():
            self.right = [rows.clone() for _, rows in self._alone()]
        self.most = self.steps

    def _wrap(self, kind: Any) -> None:
        step = kind.step

        def wrapped(stage: Any, *arguments: Any) -> Any:
            with self._mutex:
                self.steps += 1
                fails, pause = self.steps == self.fail_at, self.random.random() * self.sleeps
            if pause > 0.3 * self.sleeps:
                time.sleep(pause)
            if fails:
                raise InjectedError
            return step(stage, *arguments)

        kind.step = wrapped

    def _stream(self, at_once: int) -> Any:
        from srcli.inference.streams import build_stream

        return build_stream(self.body, images=1, width=self.width, band=self.band, at_once=at_once)

    def _ticks(self, stream: Any, fails_at: int = -1) -> Iterator[tuple[Any, Any]]:
        from srcli.inference.delays import ticks
        from srcli.inference.streams import INPUT

        for tick in ticks(self.height, self.band, stream.output):
            if tick.index == fails_at:
                raise InjectedError
            rows = tick.rows(INPUT)
            yield tick, self.image[:, :, rows.start : rows.stop]

    def _alone(self) -> Iterator[tuple[Any, Any]]:
        stream = self._stream(1)
        for tick, rows in self._ticks(stream):
            yield tick, stream.step(tick, rows)

    def one(self, counts: Counter[str]) -> str:
        """Run a stream in some way; what is wrong with it."""
        way = self.random.choice(("whole", "stage fails", "reader fails", "closed", "interrupted"))
        counts[way] += 1
        self.sleeps = self.random.choice((0.0, 0.0005, 0.002))
        self.steps = 0
        self.fail_at = self.random.randint(1, self.most) if way == "stage fails" else 0
        stream = self._stream(self.random.randint(2, 5))
        parts = [weakref.ref(stage) for stage in stream.stages]
        made: list[Any] = []
        try:
            self._drive(stream, way, made)
        except (InjectedError, KeyboardInterrupt):
            pass
        else:
            if way in ("stage fails", "reader fails", "interrupted"):
                return f"{way}: nothing was raised"
        if way == "whole" and len(made) != len(self.right):
            return "rows are missing"
        if any(not self.torch.equal(*pair) for pair in zip(made, self.right, strict=False)):
            return f"{way}: other bits"
        del stream
        alive = sum(part() is not None for part in parts)
        return f"{way}: {alive} stages stay in memory" if alive else ""

    def _drive(self, stream: Any, way: str, made: list[Any]) -> None:
        from srcli.inference.convoy import convoy

        fails_at = self.random.randint(0, 9) if way == "reader fails" else -1
        enough = self.random.randint(0, len(self.right) - 1)
        with self.torch.inference_mode():
            results = convoy(stream, self._ticks(stream, fails_at))
            for _, rows in results:
                made.append(rows.clone())
                if way == "closed" and len(made) > enough:
                    results.close()
                    return
                if way == "interrupted" and len(made) > enough:
                    results.throw(KeyboardInterrupt)


KINDS: dict[str, Callable[[Path, int, Random, Tally], None]] = {
    "processes": two_processes,
    "threads": eight_threads,
    "convoy": convoys,
}

if __name__ == "__main__":
    main()
