"""The folder's production line: decode, network and encode of different pictures at once.

A picture that fails, ends with its reason, and the others go on. What every picture holds in
memory is counted at a gate, so that a folder needs what its largest picture needs, or the gate's
limit, whichever is more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil

from srcli.errors import DiskFullError, SrcliError
from srcli.services.cores import Cores, core_count
from srcli.services.engine import LARGEST_BATCH, Engine
from srcli.services.gate import Gate
from srcli.services.job import Job, PictureOptions, open_job, read_ahead
from srcli.services.observer import Observer
from srcli.services.pipeline import GroupStage, Stage, run_stages
from srcli.services.stop import Stop, StoppedError
from srcli.services.tasks import Task
from srcli.services.upscale import UpscaleReport, finish_job, run_job, run_together

LEAST_GATE, MOST_GATE = 256 << 20, 2 << 30  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one input ended: with a report, with the error that stopped it, or done before."""

    source: str
    report: UpscaleReport | None = None
    error: SrcliError | None = None
    skipped: str | None = None  # the output of an earlier run


@dataclass(slots=True)
class Parcel:
    """A task on the line."""

    task: Task
    job: Job | None = None
    engine: Engine | None = None  # that ran it
    threads: int = 1  # of torch, that it was run with
    held: int | None = None  # bytes at the gate
    has_begun: bool = False  # in the journal
    outcome: Outcome | None = None  # None at the end: given up

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """Of its job: parcels of one shape may share a run."""
        return None if self.job is None else self.job.shape

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its picture."""
        assert self.job is not None
        return self.job.picture.height, self.job.picture.width


class Line:
    """Runs tasks through one engine or several, each with a thread of its own."""

    def __init__(
        self,
        engines: Sequence[Engine],
        options: PictureOptions,
        observer: Observer,
        stop: Stop,
        *,
        fail_fast: bool = False,
    ) -> None:
        self._engines, self._options, self._observer = engines, options, observer
        self._stop, self._is_strict = stop, fail_fast
        self._gate = Gate(gate_limit())
        is_on_cpu = len(engines) == 1 and engines[0].device.type == "cpu"
        self._cores = Cores() if is_on_cpu else None
        self._bugs: list[Exception] = []

    def outcomes(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Each task's outcome, as they end; those given up after `stop` have none.

        Raises the first bug met, after everything else was done.
        """
        codecs = codec_threads(core_count())
        stages: list[Stage[Parcel] | GroupStage[Parcel]] = [
            Stage("decode", [partial(self._guard, self._decode)] * codecs.decode),
            self._network_stage(),
            Stage("encode", [partial(self._guard, self._encode)] * codecs.encode),
        ]
        try:
            for parcel in run_stages(map(Parcel, tasks), stages, self._stop):
                if parcel.outcome is not None:
                    yield parcel.outcome
        finally:
            if self._cores is not None:
                self._cores.restore()
        if self._bugs:
            raise self._bugs[0]

    def _network_stage(self) -> GroupStage[Parcel]:
        is_grouping = any(engine.groups for engine in self._engines)
        return GroupStage(
            "network",
            [partial(self._enlarge_all, engine) for engine in self._engines],
            belongs=lambda one, other: one.shape is not None and one.shape == other.shape,
            most=lambda parcel: self._engines[0].most_together(*parcel.size),
            queue=(LARGEST_BATCH if is_grouping else 2) * len(self._engines),
        )

    def _enlarge_all(self, engine: Engine, parcels: list[Parcel]) -> list[Parcel]:
        """Pictures of one shape at once; one by one where that fails, so that none suffers."""
        if len(parcels) > 1 and not self._stop.is_set():
            jobs = [parcel.job for parcel in parcels if parcel.job is not None]
            if run_together(engine, jobs, self._observer, self._stop):
                for parcel in parcels:
                    parcel.engine = engine
                return parcels
        alone = partial(self._guard, partial(self._enlarge, engine))
        return [parcel for parcel in parcels if alone(parcel)]

    def _guard(self, step: Callable[[Parcel], bool], parcel: Parcel) -> bool:
        """Run one step; whatever ends the parcel here also frees what it holds."""
        try:
            if step(parcel):
                return True
        except StoppedError:
            self._give_up(parcel)
        except SrcliError as error:
            self._fail(parcel, error)
        except Exception as bug:  # not hidden: raised when the other pictures are done
            self._bugs.append(bug)
            message = f"{parcel.task.name}: {type(bug).__name__}: {bug}"
            self._fail(parcel, SrcliError(message, hint="this is a bug of srcli: please report it"))
        self._free(parcel)
        return False

    def _decode(self, parcel: Parcel) -> bool:
        task, journal = parcel.task, parcel.task.journal
        if task.problem is not None:
            raise task.problem
        options = self._options
        if journal is not None and isinstance(task.source, Path):
            before = None if options.overwrite else journal.finished(task.source)
            if before is not None:
                return self._skip(parcel, before)
            options = replace(options, overwrite=True)  # the journal knows what may be replaced
        job = parcel.job = open_job(self._engines[0], task.source, task.target, options)
        if journal is not None and isinstance(task.source, Path) and isinstance(job.target, Path):
            before = journal.begin(task.source, job.target, overwrite=self._options.overwrite)
            if before is not None:
                return self._skip(parcel, before)
            parcel.has_begun = True
            job.work_folder = journal.work_folder()
        self._gate.enter(job.held_bytes)
        parcel.held = job.held_bytes
        self._go_on_or_stop()
        read_ahead(job)
        return True

    def _enlarge(self, engine: Engine, parcel: Parcel) -> bool:
        assert parcel.job is not None
        self._go_on_or_stop()
        parcel.engine = engine
        if self._cores is not None:
            parcel.threads = self._cores.give()
        run_job(engine, parcel.job, self._observer, self._stop)
        return True

    def _encode(self, parcel: Parcel) -> bool:
        """What the network has done is written even while the run is being stopped."""
        assert parcel.job is not None and parcel.engine is not None
        report = finish_job(parcel.engine, parcel.job)
        if self._cores is not None:
            codecs = report.decode_seconds + report.encode_seconds
            self._cores.count(network=report.network_seconds, threads=parcel.threads, codecs=codecs)
        journal = parcel.task.journal
        if journal is not None and isinstance(parcel.task.source, Path):
            journal.done(parcel.task.source, Path(report.output), report.seconds)
        parcel.outcome = Outcome(source=parcel.task.name, report=report)
        return False

    def _skip(self, parcel: Parcel, output: Path) -> bool:
        parcel.outcome = Outcome(source=parcel.task.name, skipped=str(output))
        return False

    def _fail(self, parcel: Parcel, error: SrcliError) -> None:
        parcel.outcome = Outcome(source=parcel.task.name, error=error)
        is_full = isinstance(error, DiskFullError)
        if self._is_strict or is_full:
            self._stop.set()
        journal = parcel.task.journal
        if journal is not None and isinstance(parcel.task.source, Path) and not is_full:
            journal.failed(parcel.task.source, error)

    def _give_up(self, parcel: Parcel) -> None:
        journal = parcel.task.journal
        if parcel.has_begun and journal is not None and isinstance(parcel.task.source, Path):
            journal.stopped(parcel.task.source)

    def _free(self, parcel: Parcel) -> None:
        if parcel.job is not None:
            parcel.job.close()
            parcel.job = None
        if parcel.held is not None:
            self._gate.leave(parcel.held)
            parcel.held = None

    def _go_on_or_stop(self) -> None:
        if self._stop.is_set():
            raise StoppedError


@dataclass(frozen=True, slots=True)
class CodecThreads:
    """How many threads decode, and how many encode."""

    decode: int
    encode: int


def codec_threads(cores: int) -> CodecThreads:
    """Enlarged pictures are several times as much work to write as their sources to read.

    >>> codec_threads(2), codec_threads(16)
    (CodecThreads(decode=1, encode=2), CodecThreads(decode=4, encode=12))
    """
    decode = max(cores // 4, 1)
    return CodecThreads(decode, max(cores - decode, 2))


def gate_limit() -> int:
    """Bytes that pictures under way may hold together: an eighth of what is free."""
    return min(max(psutil.virtual_memory().available // 8, LEAST_GATE), MOST_GATE)
