"""A picture on its way from file to file: header read, size and place settled, pixels ahead."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import BinaryIO, Self, TypeAlias

import numpy as np

from srcli import __version__
from srcli.errors import OutputError, UsageError
from srcli.io.addresses import Address, Remote
from srcli.io.alpha import AlphaKind, AlphaMode
from srcli.io.decoded import PIXEL_LIMIT
from srcli.io.drift import ColorFix
from srcli.io.encode import WriteOptions, spool_dtype, target_dtype
from srcli.io.files import scratch
from srcli.io.foreign import heif_module
from srcli.io.formats import PictureFormat, check_target, limits_of
from srcli.io.looks import is_folder
from srcli.io.pictures import Page, Picture, open_picture
from srcli.io.profiles import IccMode
from srcli.io.reasons import reading
from srcli.io.spool import MEMORY_LIMIT, Spool, SpoolDtype
from srcli.services.depot import Slot
from srcli.services.engine import Engine
from srcli.services.rows import AlphaSource, ColourSource
from srcli.services.sizes import TargetSize, passes_for
from srcli.services.targets import Place, Target, check_place, check_room, choose_format, settle

ENCODER_ROWS = 256  # that libvips holds of a result: tiles of 128 rows, twice
AHEAD_LIMIT = 256 << 20  # bytes of samples decoded before the network asks for them

Source: TypeAlias = Address | BinaryIO


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


@dataclass(slots=True)
class PageRows:
    """What the network reads of one page."""

    colour: ColourSource
    alpha: AlphaSource | None  # where the network enlarges it

    @classmethod
    def of(cls, job: Job, index: int) -> Self:
        page = job.picture.page(index)
        return cls(ColourSource(page), AlphaSource(page) if job.enlarges_alpha else None)

    @property
    def nbytes(self) -> int:
        return self.colour.nbytes + (self.alpha.nbytes if self.alpha else 0)

    def read_ahead(self) -> None:
        self.colour.read_ahead()
        if self.alpha:
            self.alpha.read_ahead()


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
    target: Address | BinaryIO | None = None
    file: Path | BinaryIO | None = None  # what is written: the target, or its room on this machine
    pages: int = 1  # that are written
    decode_seconds: float = 0.0
    network_seconds: float = 0.0
    work_folder: Path | None = None  # for large spools; None: beside the result, else $TMPDIR
    resources: ExitStack = field(default_factory=ExitStack)
    ahead: dict[int, PageRows] = field(default_factory=dict)  # pages decoded before their turn
    results: list[tuple[Spool, Spool | None]] = field(default_factory=list)
    plan: str = ""
    tiles: int = 0

    @property
    def kind(self) -> PictureFormat:
        """What is written; arrays are finished as TIFF would be, which holds everything."""
        return self.write.format or PictureFormat.TIFF

    def spool_folder(self) -> Path:
        """Where large spools go: to the disk that the result goes to, else where $TMPDIR says.

        It is one that somebody sweeps if this process is killed. Raises OutputError, DiskFullError.
        """
        if self.work_folder is None:
            parent = self.file.parent if isinstance(self.file, Path) else None
            beside = parent if parent is not None and is_folder(parent) else None
            self.resources.callback(setattr, self, "work_folder", None)
            self.work_folder = self.resources.enter_context(scratch(beside))
        return self.work_folder

    def spool_dtype(self, page: Page) -> SpoolDtype:
        """The samples of that page's spools."""
        factor = self.native_factor
        native = self.picture.height * factor, self.picture.width * factor
        return spool_dtype(page, self.kind, self.write, native)

    @property
    def spool_limit(self) -> int:
        """Bytes that the spool of one page may take in memory."""
        return MEMORY_LIMIT // self.pages

    @property
    def sample_bytes(self) -> int:
        """Of the result, in memory."""
        channels = (1 if self.picture.is_gray else 3) + self.keeps_alpha
        depth = np.dtype(target_dtype(self.kind, self.picture.dtype)).itemsize
        return self.pages * self.height * self.width * channels * depth

    @property
    def keeps_alpha(self) -> bool:
        """Whether the result can be seen through."""
        return not self.picture.is_opaque and self.options.alpha is not AlphaMode.DROP

    @property
    def scale(self) -> float:
        """How much larger the result is."""
        return max(self.height / self.picture.height, self.width / self.picture.width)

    @property
    def enlarges_alpha(self) -> bool:
        """Whether the network runs over the transparency too."""
        is_varying = self.picture.alpha is AlphaKind.VARYING
        return is_varying and self.options.alpha is AlphaMode.NETWORK

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """Height, width and passes: jobs of one shape may share a run. None shares with nobody."""
        return (self.picture.height, self.picture.width, self.passes) if self.pages == 1 else None

    @property
    def megapixels(self) -> float:
        """Of the source, all pages that are written."""
        return self.picture.height * self.picture.width * self.pages / 1e6

    @property
    def network_megapixels(self) -> float:
        """Of what goes into the network, in all passes over all rasters."""
        rasters = self.pages * (2 if self.enlarges_alpha else 1)
        return rasters * sum(map(self.pass_megapixels, range(self.passes)))

    def pass_megapixels(self, number: int) -> float:
        """Of one raster in one pass."""
        area = self.picture.height * self.picture.width / 1e6
        return float(area * self.native_factor ** (2 * number / self.passes))

    @property
    def held_bytes(self) -> int:
        """Memory that it takes until it is written, at most.

        The decoder, samples (twice), results, and the rows under way to the encoder.
        """
        area = self.picture.height * self.picture.width
        channels = 3 + (self.picture.alpha is not AlphaKind.NONE)
        read = self.pages * area * channels * np.dtype(self.picture.dtype).itemsize
        spool_bytes = np.dtype(self.spool_dtype(self.picture.page(0))).itemsize
        spool = area * self.native_factor**2 * channels * spool_bytes
        rows = self.sample_bytes // (self.pages * self.height) * min(self.height, ENCODER_ROWS)
        held = 2 * min(read, AHEAD_LIMIT) + self.pages * min(spool, self.spool_limit)
        return self.picture.decoder_bytes + held + rows

    def close(self) -> None:
        self.ahead.clear()
        self.resources.close()


def name_of(source: Source) -> str:
    """What a source is called: its path, or `-` for a stream."""
    return str(source) if isinstance(source, Path | Remote) else "-"


def open_job(
    engine: Engine,
    source: Source,
    target: Target,
    options: PictureOptions,
    slot: Slot | None = None,
) -> Job:
    """Read the header, settle size and place, and refuse now what could not be written later.

    `slot` is room on this machine for what comes from a store or goes to one.
    """
    path = source if isinstance(source, Path | Remote) else None
    file = slot.fetch(path) if slot is not None and path is not None else source
    assert not isinstance(file, Remote), "the address of a store needs a slot"
    started = perf_counter()
    picture = open_picture(
        file, name=str(path) if path else None, icc=options.icc, pixel_limit=options.max_pixels
    )
    height, width = options.size.resolve(picture.height, picture.width, engine.scale)
    if isinstance(target, Path | Remote | Place):
        factor = max(height / picture.height, width / picture.width)
        suffix = options.suffix if options.suffix is not None else f"_x{factor:.3g}"
        ending = path.suffix if path else ""
        target = settle(target, ending, options.format, suffix, picture.format)
        if slot is None or not slot.is_elsewhere:  # else whoever is there looks
            check_place(path, target, overwrite=options.overwrite)
    job = written_job(engine, picture, target, options, slot)
    job.source = name_of(source)
    job.decode_seconds = perf_counter() - started
    return job


def written_job(
    engine: Engine,
    picture: Picture,
    target: Address | BinaryIO,
    options: PictureOptions,
    slot: Slot | None = None,
) -> Job:
    """A job whose result goes into a file, which is known to hold it. Raises OutputError if not."""
    named = target if isinstance(target, Path | Remote) else None
    kind = choose_format(named, options.format, picture.format)
    if kind is PictureFormat.HEIC:
        heif_module(OutputError)  # before the work, not after it
    job = plan_job(engine, picture, options, kind)
    job.target = target
    job.file = slot.room_for(named) if slot is not None and named is not None else _here(target)
    job.pages = limits_of(kind).held(picture.pages, is_animated=picture.is_animated)
    with reading(picture.name):  # alpha is looked at, so pixels are decoded
        job.notes += check_target(
            kind,
            (job.height, job.width),
            picture.dtype,
            has_alpha=job.keeps_alpha,
            pages=picture.pages,
            is_animated=picture.is_animated,
        )
        if isinstance(job.file, Path):
            check_room(job.file, job.sample_bytes, kind)
    return job


def _here(target: Target) -> Path | BinaryIO:
    """A target that needs no room on the way."""
    assert not isinstance(target, Remote | Place), "a store needs a slot"
    return target


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


def read_ahead(job: Job, limit: int = AHEAD_LIMIT) -> None:
    """Decode the first pages, as many as fit in `limit` bytes, so that the network finds them.

    Raises ImageError where the file is damaged.
    """
    started = perf_counter()
    held = 0
    for index in range(job.pages):
        with reading(job.picture.name):
            rows = PageRows.of(job, index)
            held += rows.nbytes
            if held > limit:
                break
            rows.read_ahead()
        job.ahead[index] = rows
    job.decode_seconds += perf_counter() - started
