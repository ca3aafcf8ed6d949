"""One picture in, one picture out: open, plan, run the network, finish, write.

The three steps of a file are apart (`open_job`, `run_job`, `finish_job`), so that a folder can
decode the next and encode the last while the network works.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import BinaryIO

import numpy as np

from srcli import __version__
from srcli.errors import UsageError
from srcli.inference.rows import RowSource
from srcli.io.alpha import AlphaKind, AlphaMode
from srcli.io.decoded import PIXEL_LIMIT
from srcli.io.drift import ColorFix
from srcli.io.encode import WriteOptions, spool_dtype, target_dtype, write_picture
from srcli.io.formats import PictureFormat, check_target, limits_of
from srcli.io.pictures import Picture, open_picture
from srcli.io.profiles import IccMode
from srcli.io.spool import MEMORY_LIMIT, Spool
from srcli.services.engine import Engine
from srcli.services.observer import Observer, Progress
from srcli.services.rows import AlphaSource, ColourSource, SpoolSink, SpoolSource
from srcli.services.sizes import TargetSize, passes_for
from srcli.services.targets import check_place, check_room, choose_format, choose_target


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOptions:
    """What the result shall be; None keeps what the input is."""

    size: TargetSize = field(default_factory=TargetSize)
    format: PictureFormat | None = None
    quality: int | None = None  # 1 to 100, of formats that lose something
    alpha: AlphaMode = AlphaMode.NETWORK
    icc: IccMode = IccMode.KEEP
    color_fix: ColorFix = ColorFix.AUTO
    metadata: bool = True
    strength: float = 1.0  # share of the network against a plain Lanczos enlargement
    max_pixels: int = PIXEL_LIMIT  # of an input; more is taken for a decompression bomb
    suffix: str | None = None  # of the output's name; None is "_x4" and the like
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise UsageError(f"--strength {self.strength} cannot be", hint="it goes from 0 to 1")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"--quality {self.quality} cannot be", hint="it goes from 1 to 100")


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
    bytes: int
    seconds: float
    notes: tuple[str, ...]


@dataclass(slots=True)
class Job:
    """A picture on its way; `close` frees its memory and temporary files."""

    picture: Picture
    height: int  # of the result
    width: int
    passes: int
    native_factor: int  # what all passes enlarge by
    options: PictureOptions
    write: WriteOptions
    notes: list[str]
    source: str = ""
    target: Path | BinaryIO | None = None
    pages: int = 1  # that are written
    started: float = field(default_factory=perf_counter)
    resources: ExitStack = field(default_factory=ExitStack)
    results: list[tuple[Spool, Spool | None]] = field(default_factory=list)
    plan: str = ""
    tiles: int = 0

    @property
    def kind(self) -> PictureFormat:
        """What is written; arrays are finished as TIFF would be, which holds everything."""
        return self.write.format or PictureFormat.TIFF

    @property
    def folder(self) -> Path | None:
        """Where large spools go: to the disk that the result goes to. None: where $TMPDIR says."""
        parent = self.target.parent if isinstance(self.target, Path) else None
        return parent if parent is not None and parent.is_dir() else None

    @property
    def scale(self) -> float:
        """How much larger the result is."""
        return max(self.height / self.picture.height, self.width / self.picture.width)

    @property
    def enlarges_alpha(self) -> bool:
        """Whether the network runs over the transparency too."""
        is_varying = self.picture.alpha is AlphaKind.VARYING
        return is_varying and self.options.alpha is AlphaMode.NETWORK

    def close(self) -> None:
        self.resources.close()


def upscale_file(
    engine: Engine,
    source: Path,
    output: str | None = None,
    options: PictureOptions | None = None,
    *,
    observer: Observer | None = None,
) -> UpscaleReport:
    """Enlarge the picture in `source` into the file or folder `output` (None: beside it).

    Raises ImageError, OutputError, UsageError or a ResourceError; then nothing was written.
    """
    observer = observer or Observer()
    job = open_job(engine, source, output, options or PictureOptions())
    try:
        observer.opened(job, engine.plan(job.picture.height, job.picture.width).describe())
        run_job(engine, job, observer)
        return finish_job(engine, job)
    finally:
        job.close()


def open_job(engine: Engine, source: Path, output: str | None, options: PictureOptions) -> Job:
    """Read the header, settle size and place, and refuse now what could not be written later."""
    started = perf_counter()
    picture = open_picture(source, icc=options.icc, pixel_limit=options.max_pixels)
    height, width = options.size.resolve(picture.height, picture.width, engine.scale)
    factor = max(height / picture.height, width / picture.width)
    suffix = options.suffix if options.suffix is not None else f"_x{factor:.3g}"
    target = choose_target(source, output, options.format, suffix, picture.format)
    kind = choose_format(target, options.format, picture.format)
    check_place(source, target, overwrite=options.overwrite)
    has_alpha = not picture.is_opaque and options.alpha is not AlphaMode.DROP
    pages = picture.pages if limits_of(kind).has_pages else 1
    losses = check_target(kind, (height, width), picture.dtype, has_alpha=has_alpha, pages=pages)
    job = plan_job(engine, picture, options, kind)
    channels = (1 if picture.is_gray else 3) + has_alpha
    depth = np.dtype(target_dtype(kind, picture.dtype)).itemsize
    check_room(target, pages * height * width * channels * depth, kind)
    job.source, job.target, job.pages, job.started = str(source), target, pages, started
    job.notes += losses
    return job


def plan_job(
    engine: Engine, picture: Picture, options: PictureOptions, kind: PictureFormat | None
) -> Job:
    """What is to be done with an opened picture, wherever it came from and goes to."""
    height, width = options.size.resolve(picture.height, picture.width, engine.scale)
    factor = max(height / picture.height, width / picture.width)
    passes = passes_for(factor, engine.scale)
    notes = list(picture.notes)
    if engine.scale == 1 and factor != 1:
        notes.append(f"{engine.loaded.name} does not enlarge: resized by Lanczos to x{factor:.3g}")
    write = WriteOptions(
        format=kind,
        size=(height, width),
        quality=options.quality,
        alpha=options.alpha,
        strength=options.strength,
        icc=options.icc,
        metadata=options.metadata,
        color_fix=options.color_fix,
        software=f"srcli {__version__} ({engine.loaded.name})",
    )
    return Job(
        picture=picture,
        height=height,
        width=width,
        passes=passes,
        native_factor=engine.scale**passes,
        options=options,
        write=write,
        notes=notes,
    )


def run_job(engine: Engine, job: Job, observer: Observer) -> None:
    """Every page through the network, into the job's spools."""
    meter = _Meter(engine.scale, job, observer)
    channels = 1 if job.picture.is_gray else 3
    for index in range(job.pages):
        page = job.picture.page(index)
        colour = _enlarge(engine, job, ColourSource(page), channels, meter)
        alpha = None
        if job.enlarges_alpha:
            alpha = _enlarge(engine, job, AlphaSource(page), 1, meter)
        job.results.append((colour, alpha))


def finish_job(engine: Engine, job: Job) -> UpscaleReport:
    """Bring the spools to their final size, colours and file."""
    assert job.target is not None
    write_picture(job.picture, job.results, job.target, job.write)
    return UpscaleReport(
        source=job.source,
        output=str(job.target),
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
        bytes=Path(job.target).stat().st_size if isinstance(job.target, Path) else 0,
        seconds=perf_counter() - job.started,
        notes=tuple(job.notes),
    )


def _enlarge(engine: Engine, job: Job, source: RowSource, channels: int, meter: _Meter) -> Spool:
    """One raster through all passes; only the last spool is kept."""
    native = job.picture.height * job.native_factor, job.picture.width * job.native_factor
    dtype = spool_dtype(job.picture, job.kind, job.write, native)
    previous: Spool | None = None
    for number in range(job.passes):
        height, width = source.height * engine.scale, source.width * engine.scale
        spool = job.resources.enter_context(
            Spool.create(
                height,
                width,
                channels,
                dtype,
                memory_limit=MEMORY_LIMIT // job.pages,
                folder=job.folder,
            )
        )
        plan = engine.run(source, SpoolSink(spool), on_tiles=meter.listen(number))
        job.plan = job.plan or plan.describe()
        job.tiles += plan.tiles
        if previous is not None:
            previous.close()
        previous, source = spool, SpoolSource(spool)
    assert previous is not None
    return previous


class _Meter:
    """Adds up the work of passes and pages to one share of the whole."""

    def __init__(self, scale: int, job: Job, observer: Observer) -> None:
        rasters = job.pages * (2 if job.enlarges_alpha else 1)
        area = job.picture.height * job.picture.width / 1e6
        self._areas = [area * scale ** (2 * number) for number in range(job.passes)]
        self._total = rasters * sum(self._areas)
        self._finished = 0.0
        self._observer = observer

    def listen(self, number: int) -> Callable[[int, int], None]:
        area = self._areas[number]
        before = self._finished
        self._finished += area

        def on_tiles(done: int, tiles: int) -> None:
            share = (before + area * done / tiles) / self._total
            self._observer.progressed(
                Progress(done=share, tiles_done=done, tiles=tiles, megapixels=self._total)
            )

        return on_tiles
