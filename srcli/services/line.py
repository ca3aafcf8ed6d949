"""The folder's production line: decode, network and encode of different pictures at once.

    [fetch] -> decode -> network -> encode -> [store]      the outer two only where stores are

A picture that fails, ends with its reason, and the others go on. What every picture holds in
memory is counted at a gate, so that a folder needs what its largest picture needs, or the gate's
limit, whichever is more. What lies on the disk on its way is bounded by the threads and queues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from srcli.inference.memory import free_bytes
from srcli.io.addresses import Remote
from srcli.services.clerk import Case, Clerk, Outcome
from srcli.services.cores import Cores, core_count
from srcli.services.depot import Depot
from srcli.services.engine import LARGEST_BATCH, Engine
from srcli.services.fingerprint import content_of
from srcli.services.gate import Gate
from srcli.services.job import Job, PictureOptions, open_job, read_ahead
from srcli.services.observer import Observer
from srcli.services.pipeline import GroupStage, Stage, run_stages
from srcli.services.stop import Stop
from srcli.services.tasks import Task
from srcli.services.upscale import (
    UpscaleReport,
    finish_job,
    run_job,
    run_together,
    store_result,
)

LEAST_GATE, MOST_GATE = 256 << 20, 2 << 30  # bytes
CARRIERS = 8  # threads that wait for a store, on each side


@dataclass(slots=True)
class Parcel(Case):
    """A task on the line."""

    job: Job | None = None
    engine: Engine | None = None  # that ran it
    gate: Gate | None = None
    held: int | None = None  # bytes at the gate
    report: UpscaleReport | None = None  # of a result that is not yet in its store

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """Of its job: parcels of one shape may share a run."""
        return None if self.job is None else self.job.shape

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its picture."""
        assert self.job is not None
        return self.job.picture.height, self.job.picture.width

    def free(self) -> None:
        if self.job is not None:
            self.job.close()
            self.job = None
        if self.held is not None and self.gate is not None:
            self.gate.leave(self.held)
            self.held = None
        self.slot.close()


@dataclass(frozen=True, slots=True)
class Carrying:
    """Whether pictures come from stores, and go to them."""

    fetches: bool = False
    stores: bool = False


class Line:
    """Runs tasks through one engine or several, each with a thread of its own.

    On a CPU that is an engine for each core; how many are at work at once, Cores says.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        options: PictureOptions,
        observer: Observer,
        stop: Stop,
        *,
        fail_fast: bool = False,
        carrying: Carrying | None = None,
    ) -> None:
        self._observer, self._stop = observer, stop
        self._clerk = Clerk(options, stop, fail_fast)
        self._carrying = carrying or Carrying()
        self._gate = Gate(gate_limit())
        is_on_cpu = len(engines) == 1 and engines[0].device.type == "cpu"
        self._cores = Cores() if is_on_cpu and not engines[0].groups else None
        self._engines = _beside_each_other(engines[0], self._cores) if self._cores else engines

    def outcomes(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Each task's outcome, as they end; those given up after `stop` have none.

        After everything else was done, raises the first bug met, or why books could not be kept.
        """
        try:
            with Depot() as depot:
                parcels = (Parcel(task, depot.slot()) for task in tasks)
                for parcel in run_stages(parcels, self._stages(), self._stop):
                    if parcel.outcome is not None:
                        yield parcel.outcome
        finally:
            if self._cores is not None:
                self._cores.restore()
        if self._clerk.troubles:
            raise self._clerk.troubles[0]

    def _stages(self) -> list[Stage[Parcel] | GroupStage[Parcel]]:
        codecs = codec_threads(core_count())
        fetch = Stage("fetch", self._crew(self._fetch, CARRIERS))
        store = Stage("store", self._crew(self._store, CARRIERS), queue=codecs.encode)
        return [
            *([fetch] if self._carrying.fetches else []),
            Stage("decode", self._crew(self._decode, codecs.decode)),
            self._network_stage(),
            Stage("encode", self._crew(self._encode, codecs.encode)),
            *([store] if self._carrying.stores else []),
        ]

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
        alone = self._worker(partial(self._enlarge, engine))
        return [parcel for parcel in parcels if alone(parcel)]

    def _crew(self, step: Callable[[Parcel], bool], size: int) -> list[Callable[[Parcel], bool]]:
        return [self._worker(step)] * size

    def _worker(self, step: Callable[[Parcel], bool]) -> Callable[[Parcel], bool]:
        return partial(self._clerk.guard, step)

    def _fetch(self, parcel: Parcel) -> bool:
        """Bring an object here, unless it is done already."""
        if self._clerk.is_done(parcel):
            return False
        self._clerk.go_on_or_stop()
        if isinstance(parcel.task.source, Remote):
            known = parcel.task.content
            parcel.slot.fetch(parcel.task.source, known.bytes if known else None)
        return True

    def _decode(self, parcel: Parcel) -> bool:
        source = parcel.task.source
        if not self._carrying.fetches and self._clerk.is_done(parcel):
            return False
        if isinstance(source, Remote) and parcel.task.journal is not None:
            content = content_of(parcel.slot.fetch(source), parcel.content)
            if self._clerk.is_done(parcel, content):
                return False
        options = self._clerk.options_for(parcel)
        engine = self._engines[0]
        job = parcel.job = open_job(engine, source, parcel.task.target, options, parcel.slot)
        if isinstance(job.target, Path | Remote) and not self._clerk.begins(parcel, job.target):
            return False
        if parcel.task.journal is not None:
            job.work_folder = parcel.task.journal.work_folder()
        self._gate.enter(job.held_bytes)
        parcel.gate, parcel.held = self._gate, job.held_bytes
        self._clerk.go_on_or_stop()
        with self._codec():
            read_ahead(job)
        return True

    def _enlarge(self, engine: Engine, parcel: Parcel) -> bool:
        assert parcel.job is not None
        self._clerk.go_on_or_stop()
        parcel.engine = engine
        if self._cores is None:
            run_job(engine, parcel.job, self._observer, self._stop)
            return True
        with self._cores.picture(parcel.job.network_megapixels) as share:
            self._clerk.go_on_or_stop()
            share.renew()
            run_job(engine, parcel.job, self._observer, self._stop, share.renew)
        return True

    def _encode(self, parcel: Parcel) -> bool:
        """What the network has done is written even while the run is being stopped."""
        assert parcel.job is not None and parcel.engine is not None
        with self._codec():
            parcel.report = finish_job(parcel.engine, parcel.job)
        return self._carrying.stores or self._store(parcel)

    def _store(self, parcel: Parcel) -> bool:
        assert parcel.job is not None and parcel.report is not None
        if parcel.task.journal is not None:
            parcel.task.journal.sync()
        store_result(parcel.job)
        self._clerk.done(parcel, parcel.report)
        return False

    def _codec(self) -> AbstractContextManager[None]:
        return self._cores.codec() if self._cores else nullcontext()


def _beside_each_other(engine: Engine, cores: Cores) -> list[Engine]:
    """An engine for each core, all over the same weights and in the memory of one."""
    gate = Gate(round(free_bytes(engine.device)))
    return [engine.beside(gate) for _ in range(cores.count)]


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
