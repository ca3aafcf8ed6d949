"""What a run would do, how long it would take, and what it would fill."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import torch

from srcli.errors import SrcliError
from srcli.inference.rows import TensorSink, TensorSource
from srcli.io.addresses import Address, Remote, address_of
from srcli.io.looks import is_there
from srcli.services.batch import check_found
from srcli.services.depot import Depot, Slot
from srcli.services.engine import Engine
from srcli.services.fingerprint import settings_of
from srcli.services.job import PictureOptions, open_job
from srcli.services.observer import Observer
from srcli.services.request import UpscaleRequest, check_sources, load_engines
from srcli.services.targets import expected_bytes
from srcli.services.tasks import (
    Journals,
    Listing,
    Task,
    alone,
    is_folder_input,
    look,
    uses_journal,
)

PROBE_SECONDS = 0.5  # a probe that takes so long is believed
SMALLEST_PROBE_PX, LARGEST_PROBE_PX = 64, 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What would become of one picture."""

    source: str
    output: str | None = None
    width: int = 0  # of the result
    height: int = 0
    source_width: int = 0
    source_height: int = 0
    megapixels: float = 0.0  # of network input, all passes and pages
    bytes: int = 0  # of the result, estimated
    is_done: bool = False  # by an earlier run
    error: SrcliError | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Time and disk space of the whole run. The network's time: codecs work beside it."""

    files: int  # to do
    megapixels: float
    rate: float  # megapixels of network input a second, measured now, on all devices together
    seconds: float
    bytes: int
    free_bytes: int | None  # on the disk of the results; of a store nobody knows


def preview_files(
    request: UpscaleRequest,
    sources: Sequence[Address],
    output: str | None = None,
    observer: Observer | None = None,
) -> Iterator[Planned | Forecast]:
    """Yield what `upscale_files` would do with each picture, then a forecast; write nothing.

    Headers are read, so a file that is damaged further on looks fine. Raises what
    `upscale_files` raises before the first picture.
    """
    observer = observer or Observer()
    check_sources(sources, output, request.folder)
    place = None if output is None else address_of(output)
    surveyed = look(sources, place, request.folder)
    check_found(surveyed, sources)
    if request.cluster is not None:
        observer.note("the time is what this machine would take, without a cluster")
    engines = load_engines(request, observer)
    journals = None
    if uses_journal(sources, request.folder):
        settings = settings_of(request.engine, request.picture)
        journals = Journals(place, settings, engines[0].loaded.digest, read_only=True)
    planned = []
    with closing(Listing(place, request.picture.format, journals)) as listing, Depot() as depot:
        is_one = len(sources) == 1 and not is_folder_input(sources[0])
        for task in [alone(sources[0], output)] if is_one else listing.tasks(surveyed):
            with closing(depot.slot()) as slot:  # an object comes here whole, for its header
                planned.append(_plan(engines[0], task, request.picture, slot))
            yield planned[-1]
    yield _forecast(engines, planned, place or sources[0])


def measure_rate(
    engine: Engine, *, side: int = SMALLEST_PROBE_PX, long_enough: float = PROBE_SECONDS
) -> float:
    """Megapixels of input that an engine does in a second, from a short run on noise.

    The noise has `side` pixels squared, and grows until a run is `long_enough`, in seconds.
    """
    _probe(engine, side)  # the first run sets things up
    while True:
        seconds = _probe(engine, side)
        if seconds > long_enough or side >= LARGEST_PROBE_PX:
            return float(side**2 / 1e6 / seconds)
        side *= 2


def _probe(engine: Engine, side: int) -> float:
    scaled = side * engine.scale
    source, sink = (
        TensorSource(torch.rand(3, side, side)),
        TensorSink(torch.empty(3, scaled, scaled)),
    )
    started = perf_counter()
    engine.run(source, sink)
    return perf_counter() - started


def _plan(engine: Engine, task: Task, options: PictureOptions, slot: Slot) -> Planned:
    try:
        if task.problem is not None:
            raise task.problem
        if task.journal is not None and isinstance(task.source, Path | Remote):
            before = None if options.overwrite else task.journal.finished(task.source, task.content)
            if before is not None:
                return Planned(source=task.name, output=str(before), is_done=True)
            is_known = task.journal.row(task.source) is not None
            options = replace(options, overwrite=options.overwrite or is_known)
        job = open_job(engine, task.source, task.target, options, slot)
    except SrcliError as error:
        return Planned(source=task.name, error=error)
    with closing(job):
        return Planned(
            source=task.name,
            output=str(job.target),
            width=job.width,
            height=job.height,
            source_width=job.picture.width,
            source_height=job.picture.height,
            megapixels=job.network_megapixels,
            bytes=expected_bytes(job.sample_bytes, job.kind),
            notes=tuple(job.notes),
        )


def _forecast(engines: Sequence[Engine], planned: Sequence[Planned], place: Address) -> Forecast:
    todo = [each for each in planned if not each.is_done and each.error is None]
    rate = sum(map(measure_rate, engines)) if todo else 0.0
    megapixels = sum(each.megapixels for each in todo)
    return Forecast(
        files=len(todo),
        megapixels=megapixels,
        rate=rate,
        seconds=megapixels / rate if todo else 0.0,
        bytes=sum(each.bytes for each in todo),
        free_bytes=_free_bytes(place) if isinstance(place, Path) else None,
    )


def _free_bytes(place: Path) -> int:
    existing = next(path for path in (place, *place.absolute().parents) if is_there(path))
    return shutil.disk_usage(existing).free
