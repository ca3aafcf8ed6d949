"""Where the result of a picture goes, and whether it can go there: settled before the work."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from srcli.errors import DiskFullError, OutputError, UsageError
from srcli.io import stores
from srcli.io.addresses import Address, Remote, address_of, is_remote
from srcli.io.files import can_be, refused
from srcli.io.formats import PictureFormat, format_of_name
from srcli.io.looks import is_folder, is_there


@dataclass(frozen=True, slots=True)
class Place:
    """A folder and the start of a name; the end follows from the result's size and format."""

    folder: Address
    stem: str


Target: TypeAlias = Address | Place | BinaryIO


def names_folder(output: str) -> bool:
    """Whether an output names a folder: it ends in a slash, is one already, or has no suffix.

    No store is asked.
    """
    if is_remote(output):
        return output.endswith("/") or not address_of(output).suffix
    path = Path(output)
    return output.endswith(("/", os.sep)) or is_folder(path) or not path.suffix


def target_of(source: Address, output: str | None) -> Address | Place:
    """What `output` means for one source: that file, a place in that folder, or one beside it."""
    if output is None:
        return Place(source.parent, source.stem)
    place = address_of(output)
    return Place(place, source.stem) if names_folder(output) else place


def settle(
    target: Address | Place,
    source_suffix: str,
    kind: PictureFormat | None,
    suffix: str,
    read: PictureFormat,
) -> Address:
    """The file for the result: `target` itself, or `photo_x4.png` at its place.

    The ending follows `kind`, else it stays the source's when that is what the picture really is
    (`read`).
    """
    if not isinstance(target, Place):
        return target
    return target.folder / f"{target.stem}{suffix}{ending_for(source_suffix, kind or read)}"


def ending_for(source_suffix: str, wanted: PictureFormat) -> str:
    """The end of a result's name: the source's own spelling of it where that fits.

    >>> ending_for(".JPEG", PictureFormat.JPEG), ending_for(".JPEG", PictureFormat.PNG)
    ('.JPEG', '.png')
    """
    is_fitting = format_of_name(Path(f"x{source_suffix}")) is wanted
    return source_suffix if is_fitting else wanted.suffix


def choose_format(
    target: Address | None, kind: PictureFormat | None, read: PictureFormat
) -> PictureFormat:
    """What is written: what was asked for, else what the name says, else what was read.

    Raises UsageError when the name and the asked format contradict each other.
    """
    named = format_of_name(Path(target.name)) if target is not None else None
    if kind is not None and named is not None and named is not kind:
        raise UsageError(
            f"{target} is no name for a {kind.upper()} file",
            hint=f"end it in {kind.suffix}, or leave --format out",
        )
    if target is not None and kind is None and named is None and target.suffix:
        raise UsageError(
            f"{target.suffix} is no kind of picture that srcli writes",
            hint="end the name in .png, .jpg, .webp, .tif, .avif, .gif or .bmp",
        )
    chosen = kind or named or read
    return PictureFormat.PNG if chosen is PictureFormat.OTHER else chosen


# Bytes of a file over bytes of its samples: what a detailed photograph may come to.
_FULLNESS = {
    PictureFormat.JPEG: 0.3,
    PictureFormat.WEBP: 0.3,
    PictureFormat.AVIF: 0.2,
    PictureFormat.HEIC: 0.2,
}


def expected_bytes(sample_bytes: int, kind: PictureFormat) -> int:
    """About how large the file will be."""
    return int(sample_bytes * _FULLNESS.get(kind, 0.8))


def check_room(target: Path, sample_bytes: int, kind: PictureFormat) -> None:
    """Raise DiskFullError when the disk has not room for the file that is to be expected."""
    folder = next(parent for parent in target.absolute().parents if is_there(parent))
    wanted, free = expected_bytes(sample_bytes, kind), shutil.disk_usage(folder).free
    if wanted > free:
        raise DiskFullError(
            f"{target} may take {wanted / 1e9:.2f} GB, {folder} has {free / 1e9:.2f} GB free",
            hint="free some space, write elsewhere with --output, or choose --format jpeg",
        )


def check_place(source: Address | None, target: Address, *, overwrite: bool) -> None:
    """Raise OutputError when the file cannot or must not be written."""
    if isinstance(target, Path):
        if not can_be(target):
            raise OutputError(
                f"{target.name} is too long a name for the file system",
                hint="give a shorter one with --output or --suffix",
            )
        _check_path(source if isinstance(source, Path) else None, target, overwrite)
        return
    if source == target:
        raise OutputError(
            f"{target} is the input itself", hint="name another output with --output or --suffix"
        )
    if not overwrite and stores.entry_at(target) is not None:
        raise OutputError(f"{target} exists already", hint="use --overwrite to replace it")


def _check_path(source: Path | None, target: Path, overwrite: bool) -> None:
    if source is not None and is_there(target) and target.samefile(source):
        raise OutputError(
            f"{target} is the input itself", hint="name another output with --output or --suffix"
        )
    if is_folder(target):
        raise OutputError(f"{target} is a folder", hint="name a file, or end it in a slash")
    if is_there(target) and not overwrite:
        raise OutputError(f"{target} exists already", hint="use --overwrite to replace it")
    folder = target.parent
    if not is_there(folder):
        folder = next(parent for parent in folder.absolute().parents if is_there(parent))
    if not is_folder(folder) or not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"{target} cannot be written: no permission in {folder}",
            hint="choose another place with --output",
        )


def make_folder(folder: Address) -> None:
    """Make the folder and those above it. Raises OutputError where the system refuses.

    Stores have no folders to make.
    """
    if isinstance(folder, Remote):
        stores.check_writable(folder)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "name another folder with --output"
        raise refused(folder, "cannot be made", error, hint=hint) from None
