"""Finished pages into a file: the encoder reads the spool as it writes, the file appears whole."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from srcli.errors import ConfigError
from srcli.io.alpha import AlphaKind, AlphaMode
from srcli.io.drift import ColorFix
from srcli.io.files import replacing
from srcli.io.finish import Finish, finish_page
from srcli.io.formats import PictureFormat, check_target, format_of_name, limits_of
from srcli.io.metadata import Metadata, attach
from srcli.io.pictures import Picture
from srcli.io.profiles import IccMode
from srcli.io.save import save
from srcli.io.spool import Spool, SpoolDtype
from srcli.io.vips import writing

PageSpools = tuple[Spool, Spool | None]  # colour, alpha by the network


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How a picture is finished and written."""

    size: tuple[int, int]  # height, width of the result
    format: PictureFormat | None = None  # None: as the target's name says, else the input's
    quality: int | None = None  # 1..100 for JPEG, WebP (100: lossless), AVIF; None: a good one
    alpha: AlphaMode = AlphaMode.LANCZOS
    strength: float = 1.0  # 1: the network alone, 0: a plain Lanczos enlargement
    icc: IccMode = IccMode.KEEP
    color_fix: ColorFix = ColorFix.AUTO
    metadata: bool = True
    software: str | None = None  # for the Software tag

    def __post_init__(self) -> None:
        if min(self.size) < 1:
            raise ConfigError(f"impossible size {self.size}", hint="ask for at least 1 x 1 pixel")
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"impossible strength {self.strength}", hint="use 0 to 1")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ConfigError(f"impossible quality {self.quality}", hint="use 1 to 100")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPicture:
    """What was written."""

    format: PictureFormat
    height: int
    width: int
    dtype: SpoolDtype
    pages: int
    notes: tuple[str, ...]  # what the file could not hold


def target_format(
    picture: Picture, target: Path | BinaryIO, options: WriteOptions
) -> PictureFormat:
    """The kind of file to write: the one asked for, else the target's name's, else the input's."""
    named = format_of_name(target) if isinstance(target, Path) else None
    kind = options.format or named or picture.format
    return PictureFormat.PNG if kind is PictureFormat.OTHER else kind


def write_picture(
    picture: Picture,
    pages: Sequence[PageSpools],
    target: Path | BinaryIO,
    options: WriteOptions,
) -> WrittenPicture:
    """Finish the network's pages and write them; `target` gets a whole picture or none at all.

    `pages[i]` holds the rows made from `picture.page(i)`. Raises OutputError, DiskFullError where
    the target refuses, ImageError where the source, read again for what the network did not see,
    turns out damaged.
    """
    kind = target_format(picture, target, options)
    has_alpha = picture.alpha is not AlphaKind.NONE and options.alpha is not AlphaMode.DROP
    losses = check_target(kind, options.size, picture.dtype, has_alpha=has_alpha, pages=len(pages))
    dtype = target_dtype(kind, picture.dtype)
    if not limits_of(kind).has_pages:
        pages = pages[:1]
    finish = Finish(
        size=options.size,
        dtype=dtype,
        strength=options.strength,
        color_fix=options.color_fix,
        alpha=options.alpha if limits_of(kind).has_alpha else AlphaMode.DROP,
        icc=options.icc,
    )
    if isinstance(target, Path):
        with replacing(target) as partial:
            _write(picture, pages, partial, str(target), kind, finish, options)
    else:
        with tempfile.TemporaryDirectory(prefix=".srcli-") as folder:
            partial = Path(folder) / f"picture{kind.suffix}"
            _write(picture, pages, partial, "the output", kind, finish, options)
            with partial.open("rb") as file:
                shutil.copyfileobj(file, target, 1 << 20)
    height, width = options.size
    return WrittenPicture(
        format=kind, height=height, width=width, dtype=dtype, pages=len(pages), notes=losses
    )


def target_dtype(kind: PictureFormat, dtype: SpoolDtype) -> SpoolDtype:
    """The samples that kind of file is written with, for a picture of `dtype`."""
    able = limits_of(kind).dtypes
    if dtype in able:
        return dtype
    return "uint16" if "uint16" in able else "uint8"


def _write(
    picture: Picture,
    pages: Sequence[PageSpools],
    partial: Path,
    name: str,
    kind: PictureFormat,
    finish: Finish,
    options: WriteOptions,
) -> None:
    metadata = picture.metadata if options.metadata else Metadata()
    with writing(name):
        images = [
            finish_page(picture.page(index), colour, alpha, finish)
            for index, (colour, alpha) in enumerate(pages)
        ]
        icc = picture.metadata.icc if options.icc is IccMode.KEEP else None
        images[0] = attach(images[0], metadata, software=options.software, icc=icc)
        save(images, partial, kind, options.quality)
