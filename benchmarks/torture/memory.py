"""Out of memory at every place where memory is asked for: the right picture, or a clean error.

    python benchmarks/torture/memory.py --plan stream --ticks 2
    python benchmarks/torture/memory.py --plan whole --tta --for-good
    python benchmarks/torture/memory.py --real          the system refuses, at every layer

The n-th operation of torch raises what torch raises, for n = 1, 2, ... until nothing is left to
fail. Laws, for every n: the result is that of an undisturbed run to within one level, or the error
is an OutOfMemoryError with a hint; the next call of the same upscaler gives the very bytes; no
thread is left. With `--for-good` everything after the n-th fails too.
"""

from __future__ import annotations

import argparse
import resource
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from conclusion import conclude
from forked import import_everything, run
from killed import noise, weights
from PIL import Image

MEGABYTE = 1 << 20
CLEAN_CODES = {0, 5}
ENDED_BY_LIBRARY = {
    128 + number for number in (signal.SIGABRT, signal.SIGTRAP, signal.SIGSEGV, signal.SIGBUS)
}


@dataclass(slots=True)
class Tally:
    """What came out."""

    places: int = 0
    operations: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def main() -> None:
    options = _options()
    import_everything()
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="srcli-memory-") as place:
        (really if options.real else injected)(Path(place), options, tally)
    report = {
        **{
            name: value
            for name, value in vars(options).items()
            if value and name not in ("rooms", "size")
        },
        "operations": tally.operations,
        "places": tally.places,
        "counts": dict(tally.counts),
        "faults": tally.faults,
    }
    conclude(report)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plan", choices=("whole", "stream", "tiles"), default="whole")
    parser.add_argument("--ticks", type=int, default=1, help="Ticks of a stream at once.")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--tta", action="store_true")
    parser.add_argument("--for-good", action="store_true", help="Nothing succeeds after the first.")
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9, help="End after so long.")
    parser.add_argument("--real", action="store_true", help="A limit of the system instead.")
    options = parser.parse_args()
    options.rooms, options.size = range(0, 400, 4 * options.stride), (700, 500)  # MB, pixels
    return options


class Shortage:
    """Counts the operations of torch in all threads, and lets the n-th fail."""

    def __init__(self, at: int, *, for_good: bool) -> None:
        self.at, self.for_good, self.count = at, for_good, 0
        self._mutex = threading.Lock()

    def __call__(self) -> None:
        with self._mutex:
            self.count += 1
            fails = self.at and (self.count == self.at or (self.for_good and self.count > self.at))
        if fails:
            raise _words()[self.at % 3]


def _words() -> tuple[Exception, ...]:
    import torch

    return (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't"),
        MemoryError(),
    )


def _mode(shortage: Shortage) -> Any:
    """Asks `shortage` before every operation of this thread."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Mode(TorchDispatchMode):
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False

        def __torch_dispatch__(
            self, func: Callable[..., Any], types: object, args: Any = (), kwargs: Any = None
        ) -> Any:
            shortage()
            return func(*args, **(kwargs or {}))

    return Mode()


class Case:
    """A picture, a network and a plan."""

    def __init__(self, place: Path, options: argparse.Namespace) -> None:
        self.options = options
        self.network = weights(place)
        self.picture = np.random.default_rng(0).integers(0, 256, (150, 40, 3), np.uint8)
        self.shortage = Shortage(0, for_good=False)
        self._prepare()

    def _prepare(self) -> None:
        import srcli.inference.memory as memory
        import srcli.inference.streaming as streaming
        import srcli.services.engine as engine
        from srcli.inference import plan
        from srcli.inference.convoy import _Member

        for module in (streaming, engine, plan, memory):
            if hasattr(module, "ticks_at_once"):
                module.ticks_at_once = lambda network, device: self.options.ticks  # type: ignore[attr-defined]
        run_member = _Member.run

        def member(it: Any) -> None:
            with _mode(self.shortage):
                run_member(it)

        _Member.run = member  # type: ignore[method-assign]

    def upscaler(self) -> Any:
        import srcli

        options = self.options
        tile = 48 if options.plan == "tiles" else None
        return srcli.Upscaler(
            self.network,
            plan=options.plan,
            device="cpu",
            precision=options.precision,
            tta=options.tta,
            tile=tile,
        )

    def count(self) -> int:
        """Operations of an undisturbed call, measuring and planning among them."""
        self.shortage = Shortage(0, for_good=False)
        upscaler = self.upscaler()
        with _mode(self.shortage):
            upscaler(self.picture)
        return self.shortage.count

    def one(self, at: int, right: Any, counts: Counter[str]) -> str:
        """Fail at one place; what is wrong with what comes of it."""
        from srcli.errors import OutOfMemoryError

        upscaler = self.upscaler()
        self.shortage = Shortage(at, for_good=self.options.for_good)
        try:
            with _mode(self.shortage):
                made = upscaler(self.picture)
        except OutOfMemoryError as error:
            counts["OutOfMemoryError"] += 1
            if not error.hint or "\n" in str(error):
                return f"says {error!r}"
        except BaseException as error:
            counts[type(error).__name__] += 1
            return f"{type(error).__name__}: {str(error)[:120]}{_where(error)}"
        else:
            counts["right"] += 1
            if np.abs(made.astype(int) - right).max() > 1:
                return "another picture"
        self.shortage = Shortage(0, for_good=False)
        if not np.array_equal(upscaler(self.picture), right):
            return "the next call gives another picture"
        return ""


def _where(error: BaseException) -> str:
    trace, place = error.__traceback__, ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "/srcli/" in name:
            place = f" in {Path(name).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def injected(place: Path, options: argparse.Namespace, tally: Tally) -> None:
    case = Case(place, options)
    right = case.upscaler()(case.picture)
    most, before = case.count(), threading.active_count()
    tally.operations = most
    until = time.monotonic() + options.seconds
    for at in range(1, most + 1, options.stride):
        if time.monotonic() > until:
            break
        tally.places += 1
        fault = case.one(at, right, tally.counts)
        if threading.active_count() != before:
            fault += f" {threading.active_count() - before} threads left"
        if fault:
            tally.faults.append(f"operation {at} of {most}: {fault}")


def really(place: Path, options: argparse.Namespace, tally: Tally) -> None:
    """Whole commands with little address space more than they have.

    A library that cannot go on without memory (glib, those of the formats) ends the process. That
    is as if it had been killed: nothing half written may lie under a final name, and the next run
    must be right and leave nothing else.
    """
    trial = Limited(place, options.size)
    right = trial.right()
    until = time.monotonic() + options.seconds
    for room in options.rooms:
        if time.monotonic() > until:
            break
        tally.places += 1
        for fault in trial.one(room, right, tally.counts):
            tally.faults.append(f"{room} MB: {fault}")


class Limited:
    """A command under a limit of the system, and the same without."""

    def __init__(self, place: Path, size: tuple[int, int]) -> None:
        self.place = place / "run"
        self.place.mkdir()
        noise(place / "in.png", 1, size)
        network = weights(place)
        self.out = self.place / "out.png"
        self.command = ("upscale", place / "in.png", "-o", self.out, "-m", network, "-d", "cpu")

    def right(self) -> Any:
        ended = run(self.command, folder=self.place)
        assert ended.code == 0, ended.said
        return self._picture()

    def one(self, room: int, right: Any, counts: Counter[str]) -> list[str]:
        self.out.unlink()
        ended = run(self.command, folder=self.place, before=lambda: _limit(room))
        counts[f"ended by signal {ended.code - 128}" if ended.code > 128 else str(ended.code)] += 1
        found = []
        is_ended_by_library = ended.code in ENDED_BY_LIBRARY
        is_clean = ended.code in CLEAN_CODES and not ended.fault
        if ended.hung or not (is_clean or is_ended_by_library):
            found.append(f"{ended.code} {ended.fault}: {ended.said.strip()[-200:]}")
        if self.out.exists() != (ended.code == 0) or (ended.code == 0 and self._differs(right)):
            found.append(f"{ended.code}, and what lies there is not the picture")
        if not is_ended_by_library and self._left():
            found.append(f"left {self._left()}")
        again = run((*self.command, "--overwrite"), folder=self.place)
        if again.code or again.fault or self._left() or self._differs(right):
            found.append(f"next run {again.code}, left {self._left()}: {again.said[-200:]}")
        return found

    def _differs(self, right: Any) -> bool:
        return bool(np.abs(self._picture() - right).max() > 1)

    def _picture(self) -> Any:
        with Image.open(self.out) as picture:
            return np.asarray(picture).astype(int)

    def _left(self) -> list[str]:
        return [path.name for path in self.place.iterdir() if path.name.startswith(".")]


def _limit(room: int) -> None:
    """Let the process have so many MB more than it has."""
    import torch  # what a real command has loaded by then

    torch.zeros(1)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = used + room * MEGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
