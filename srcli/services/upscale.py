"""One picture in, one picture out: open, plan, run the network, finish, write.

The three steps of a file are apart (`open_job`, `run_job`, `finish_job`), so that a folder can
decode the next and encode the last while the network works.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Self

from srcli.errors import OutputError, memory_errors
from srcli.inference.rows import RowSource
from srcli.io.addresses import Remote
from srcli.io.encode import write_picture
from srcli.io.pictures import Page
from srcli.io.spool import Spool
from srcli.services.depot import Depot, hand_over
from srcli.services.engine import Engine
from srcli.services.job import Job, PageRows, PictureOptions, Source, name_of, open_job
from srcli.services.observer import Observer, Progress
from srcli.services.rows import SpoolSink, SpoolSource
from srcli.services.stop import Stop, StoppedError
from srcli.services.targets import Target, make_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleReport:
    """What was done to one picture."""

    source: str
    output: str
    height: int
    width: int
    source_height: int
    source_width: int
    model: str
    digest: str
    native_scale: int
    scale: float
    passes: int
    device: str
    precision: str
    plan: str
    tiles: int
    bytes: int  # of the file; 0 where it went into a stream
    decode_seconds: float
    network_seconds: float
    encode_seconds: float
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """The work on it, without what it waited for its turn."""
        return self.decode_seconds + self.network_seconds + self.encode_seconds


def upscale_file(
    engine: Engine,
    source: Source,
    target: Target,
    options: PictureOptions | None = None,
    *,
    observer: Observer | None = None,
) -> UpscaleReport:
    """Enlarge the picture in `source` and write it to `target`.

    Raises ImageError, OutputError, UsageError or a ResourceError; then nothing was written.
    """
    observer = observer or Observer()
    with memory_errors(name_of(source)), Depot() as depot:
        job = open_job(engine, source, target, options or PictureOptions(), depot.slot())
        with closing(job):
            run_job(engine, job, observer)
            report = finish_job(engine, job)
            store_result(job)
            return report


def run_job(
    engine: Engine,
    job: Job,
    observer: Observer,
    stop: Stop | None = None,
    between_tiles: Callable[[], None] = lambda: None,
) -> None:
    """Every page through the network, into the job's spools.

    Raises StoppedError between two tiles once `stop` is set.
    """
    started = perf_counter()
    observer.opened(job, engine)
    meter = _Meter(job, observer, stop, between_tiles)
    for index in range(job.pages):
        page = job.picture.page(index)
        rows = job.ahead.pop(index, None) or PageRows.of(job, index)
        (colour,) = _enlarge(engine, [_Raster.of_colour(job, page, rows, meter)])
        alpha = None
        if rows.alpha:
            (alpha,) = _enlarge(engine, [_Raster(job, page, rows.alpha, 1, meter)])
        page.rewind()  # a decoder and its rows are not needed any more
        job.results.append((colour, alpha))
    job.network_seconds = perf_counter() - started


def run_together(
    engine: Engine, jobs: Sequence[Job], observer: Observer, stop: Stop | None = None
) -> bool:
    """Jobs of one `Job.shape` through the network at once; the results are those of `run_job`.

    False where anything went wrong with any of them: then each is to be run alone, as if nothing
    had been, so that none suffers for another.
    """
    try:
        _run_together(engine, jobs, observer, stop)
    except Exception:  # also a bug, or a way of being out of memory: alone, it is somebody's own
        for job in jobs:
            job.resources.close()
            job.results.clear()
            job.plan, job.tiles = "", 0
        return False
    return True


def _run_together(
    engine: Engine, jobs: Sequence[Job], observer: Observer, stop: Stop | None
) -> None:
    started = perf_counter()
    colours, alphas = [], []
    for job in jobs:
        observer.opened(job, engine)
        meter = _Meter(job, observer, stop)
        page = job.picture.page(0)
        rows = job.ahead.get(0) or PageRows.of(job, 0)
        colours.append(_Raster.of_colour(job, page, rows, meter))
        if rows.alpha:
            alphas.append(_Raster(job, page, rows.alpha, 1, meter))
    restored = _enlarge(engine, colours)
    transparent = iter(_enlarge(engine, alphas) if alphas else [])
    for job, colour in zip(jobs, restored, strict=True):
        job.results.append((colour, next(transparent) if job.enlarges_alpha else None))
        job.ahead.clear()
        job.network_seconds = (perf_counter() - started) / len(jobs)


def finish_job(engine: Engine, job: Job) -> UpscaleReport:
    """Bring the spools to their final size, colours and file; a store gets it by `store_result`."""
    started = perf_counter()
    assert job.file is not None
    if isinstance(job.file, Path):
        make_folder(job.file.parent)
    try:
        write_picture(job.picture, job.results, job.file, job.write)
    except BrokenPipeError:
        raise OutputError(
            "nobody reads the output any more", hint="look at the program after the pipe"
        ) from None
    return UpscaleReport(
        source=job.source,
        output=str(job.target) if isinstance(job.target, Path | Remote) else "-",
        height=job.height,
        width=job.width,
        source_height=job.picture.height,
        source_width=job.picture.width,
        model=engine.loaded.name,
        digest=engine.loaded.digest,
        native_scale=engine.scale,
        scale=round(job.scale, 6),
        passes=job.passes,
        device=str(engine.device),
        precision=str(engine.precision),
        plan=job.plan,
        tiles=job.tiles,
        bytes=job.file.stat().st_size if isinstance(job.file, Path) else 0,
        decode_seconds=job.decode_seconds,
        network_seconds=job.network_seconds,
        encode_seconds=perf_counter() - started,
        notes=tuple(job.notes),
    )


def store_result(job: Job) -> None:
    """Bring a written result to its store; one for this machine is in its place already."""
    if isinstance(job.target, Remote) and isinstance(job.file, Path):
        hand_over(job.file, job.target)


@dataclass(frozen=True, slots=True)
class _Raster:
    """Colour or transparency of one page, on its way through the network."""

    job: Job
    page: Page
    source: RowSource
    channels: int
    meter: _Meter

    @classmethod
    def of_colour(cls, job: Job, page: Page, rows: PageRows, meter: _Meter) -> Self:
        return cls(job, page, rows.colour, 1 if page.layout.is_gray else 3, meter)

    def spool(self, source: RowSource, scale: int) -> Spool:
        """Where a pass over `source` goes."""
        job = self.job
        return job.resources.enter_context(
            Spool.create(
                source.height * scale,
                source.width * scale,
                self.channels,
                job.spool_dtype(self.page),
                memory_limit=job.spool_limit,
                folder=job.spool_folder,
            )
        )


def _enlarge(engine: Engine, rasters: Sequence[_Raster]) -> list[Spool]:
    """Rasters of one size through all passes; only their last spools are kept."""
    previous: list[Spool] = []
    sources = [raster.source for raster in rasters]
    for number in range(rasters[0].job.passes):
        spools = [
            raster.spool(source, engine.scale)
            for raster, source in zip(rasters, sources, strict=True)
        ]
        plans = engine.run_together(
            sources,
            [SpoolSink(spool) for spool in spools],
            on_tiles=[raster.meter.listen(number) for raster in rasters],
        )
        for raster, plan in zip(rasters, plans, strict=True):
            raster.job.plan = raster.job.plan or plan.describe()
            raster.job.tiles += plan.tiles
        for spool in previous:
            spool.close()
        previous, sources = spools, [SpoolSource(spool) for spool in spools]
    return previous


class _Meter:
    """Adds up the work of passes and pages to one share of the whole."""

    def __init__(
        self,
        job: Job,
        observer: Observer,
        stop: Stop | None,
        between_tiles: Callable[[], None] = lambda: None,
    ) -> None:
        self._total = job.network_megapixels
        self._finished = 0.0
        self._job, self._observer, self._stop = job, observer, stop
        self._between_tiles = between_tiles

    def listen(self, number: int) -> Callable[[int, int], None]:
        area = self._job.pass_megapixels(number)
        before = self._finished
        self._finished += area

        def on_tiles(done: int, tiles: int) -> None:
            share = (before + area * done / tiles) / self._total
            if self._stop is not None and self._stop.is_set() and share < 1 - 1e-9:
                raise StoppedError
            if done > 0:  # what is planned for the first tile stays as it is
                self._between_tiles()
            self._observer.progressed(
                self._job,
                Progress(done=share, tiles_done=done, tiles=tiles, megapixels=self._total),
            )

        return on_tiles
