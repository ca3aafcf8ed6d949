"""Finished pages into a file: the encoder reads the spool as it writes, the file appears whole."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from srcli.errors import ConfigError
from srcli.io.alpha import AlphaMode
from srcli.io.drift import ColorFix
from srcli.io.files import replacing, scratch
from srcli.io.finish import Finish, finish_page
from srcli.io.formats import PictureFormat, check_target, format_of_name, limits_of
from srcli.io.metadata import Metadata, attach, comment_text, corrected
from srcli.io.pictures import Page, Picture
from srcli.io.profiles import IccMode
from srcli.io.reasons import writing
from srcli.io.save import SaveOptions, save
from srcli.io.spool import Spool, SpoolDtype
from srcli.io.vips import VipsImage, srgb_profile

PageSpools = tuple[Spool, Spool | None]  # colour, alpha by the network


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How a picture is finished and written."""

    size: tuple[int, int]  # height, width of the result; of the first page, others in proportion
    format: PictureFormat | None = None  # None: as the target's name says, else the input's
    quality: int | None = None  # 1..100 for JPEG, WebP, AVIF, HEIC; None: a good one, see save
    alpha: AlphaMode = AlphaMode.LANCZOS
    strength: float = 1.0  # 1: the network alone, 0: a plain Lanczos enlargement
    icc: IccMode | None = None  # None: as the picture was opened
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


def target_dtype(kind: PictureFormat, dtype: SpoolDtype) -> SpoolDtype:
    """The samples that kind of file is written with, for a picture of `dtype`."""
    able = limits_of(kind).dtypes
    if dtype in able:
        return dtype
    return "uint16" if "uint16" in able else "uint8"


def spool_dtype(
    page: Page, kind: PictureFormat, options: WriteOptions, native: tuple[int, int]
) -> SpoolDtype:
    """The least samples that the colour spool of a page needs; `native` is what the network makes
    of the first page, (height, width).

    uint8 where the network's rows go to the file as they are; uint16 where arithmetic follows or
    the file holds 16 bits; float32 for float pictures, and for 16 bits in another colour space,
    whose dark tones may lie closer together than those of sRGB.
    """
    layout = page.layout
    dtype = target_dtype(kind, layout.dtype)
    if dtype == "float32" or (dtype == "uint16" and layout.is_wide):
        return "float32"
    is_plain = (
        dtype == "uint8"
        and options.strength == 1
        and options.color_fix is ColorFix.OFF
        and not layout.is_wide
        and native == options.size
    )
    return "uint8" if is_plain else "uint16"


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
    has_alpha = not picture.is_opaque and options.alpha is not AlphaMode.DROP
    is_animated = picture.is_animated
    notes = check_target(
        kind,
        options.size,
        picture.dtype,
        has_alpha=has_alpha,
        pages=len(pages),
        is_animated=is_animated,
    )
    pages = pages[: limits_of(kind).held(len(pages), is_animated=is_animated)]
    if isinstance(target, Path):
        with replacing(target) as partial:
            partial.touch()  # a folder that refuses says so here, in the system's words
            _write(picture, pages, (partial, str(target)), kind, options)
    else:
        with scratch() as folder:
            partial = folder / f"picture{kind.suffix}"
            _write(picture, pages, (partial, "the output"), kind, options)
            with partial.open("rb") as file:
                shutil.copyfileobj(file, target, 1 << 20)
    height, width = options.size
    return WrittenPicture(
        format=kind,
        height=height,
        width=width,
        dtype=target_dtype(kind, picture.dtype),
        pages=len(pages),
        notes=notes,
    )


def finished_pages(
    picture: Picture, pages: Sequence[PageSpools], kind: PictureFormat, options: WriteOptions
) -> list[VipsImage]:
    """The pages as lazy images of the samples that `kind` of file holds, without metadata."""
    finished = []
    for index, (colour, alpha) in enumerate(pages):
        page = picture.page(index)
        finish = Finish(
            size=_page_size(page, picture, options.size),
            dtype=target_dtype(kind, page.layout.dtype),
            strength=options.strength,
            color_fix=options.color_fix,
            alpha=options.alpha if limits_of(kind).has_alpha else AlphaMode.DROP,
            icc=_icc_mode(page, kind, options.icc or picture.icc),
        )
        finished.append(finish_page(page, colour, alpha, finish))
    return finished


def _write(
    picture: Picture,
    pages: Sequence[PageSpools],
    place: tuple[Path, str],  # where, and what it is called in messages
    kind: PictureFormat,
    options: WriteOptions,
) -> None:
    partial, name = place
    height, width = options.size
    kept = picture.metadata if options.metadata else Metadata()
    software = options.software if options.metadata else None
    metadata, exif = corrected(kept, height=height, width=width, software=software)
    with writing(name, partial):
        images = finished_pages(picture, pages, kind, options)
        for index, image in enumerate(images):
            icc = _embedded(picture.page(index), kind, options.icc or picture.icc)
            own = metadata if index == 0 else Metadata(dpi=metadata.dpi)
            images[index] = attach(image, replace(own, icc=icc), kind)
        settings = SaveOptions(
            quality=options.quality,
            animation=picture.metadata.animation if picture.is_animated else None,
            exif=exif,
            iptc=metadata.iptc,
            comment=comment_text(metadata),
            texts=metadata.comments,
            is_lossless=picture.is_lossless,
        )
        save(images, partial, kind, settings)


def _icc_mode(page: Page, kind: PictureFormat, asked: IccMode) -> IccMode:
    """KEEP only where the file can carry this profile beside these pixels."""
    limits = limits_of(kind)
    fits = limits.has_icc and (limits.has_gray or not page.layout.is_gray)
    return asked if asked is not IccMode.KEEP or fits else IccMode.SRGB


def _embedded(page: Page, kind: PictureFormat, asked: IccMode) -> bytes | None:
    if asked is IccMode.STRIP or not limits_of(kind).has_icc:
        return None
    if _icc_mode(page, kind, asked) is IccMode.KEEP:
        return page.layout.icc
    return srgb_profile() if page.layout.icc is not None and not page.layout.is_gray else None


def _page_size(page: Page, picture: Picture, size: tuple[int, int]) -> tuple[int, int]:
    height = round(page.height * size[0] / picture.height)
    width = round(page.width * size[1] / picture.width)
    return max(1, height), max(1, width)
