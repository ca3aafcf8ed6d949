"""Kinds of picture file: how each is known by its first bytes, and what it can hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from srcli.errors import OutputError


class PictureFormat(StrEnum):
    """A kind of picture file."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    TIFF = "tiff"
    AVIF = "avif"
    HEIC = "heic"
    GIF = "gif"
    BMP = "bmp"
    OTHER = "other"  # read by Pillow, or an array in memory; written as PNG

    @property
    def suffix(self) -> str:
        """The usual ending of the file name: `.jpg`, `.tif`, ..."""
        return _SUFFIXES.get(self, f".{self.value}")


_SUFFIXES = {PictureFormat.JPEG: ".jpg", PictureFormat.TIFF: ".tif", PictureFormat.OTHER: ".png"}
_BY_SUFFIX = {
    ".png": PictureFormat.PNG,
    ".apng": PictureFormat.PNG,
    ".jpg": PictureFormat.JPEG,
    ".jpeg": PictureFormat.JPEG,
    ".jpe": PictureFormat.JPEG,
    ".jfif": PictureFormat.JPEG,
    ".webp": PictureFormat.WEBP,
    ".tif": PictureFormat.TIFF,
    ".tiff": PictureFormat.TIFF,
    ".avif": PictureFormat.AVIF,
    ".heic": PictureFormat.HEIC,
    ".heif": PictureFormat.HEIC,
    ".gif": PictureFormat.GIF,
    ".bmp": PictureFormat.BMP,
}

HEAD_BYTES = 64  # enough to know a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one kind of file can hold."""

    side_px: int  # the longest side
    pixels: int | None = None
    dtypes: tuple[str, ...] = ("uint8",)
    has_alpha: bool = True
    has_frames: bool = False  # that are played
    has_pages: bool = False  # that are turned; frames become such where there are no frames
    has_gray: bool = True  # as such: else gray is written as equal colours
    has_icc: bool = True

    def held(self, pages: int, *, is_animated: bool) -> int:
        """How many of so many pages, or frames."""
        return pages if self.has_pages or (self.has_frames and is_animated) else 1


_LIMITS = {
    PictureFormat.PNG: Limits(side_px=2**31 - 1, dtypes=("uint8", "uint16"), has_frames=True),
    PictureFormat.JPEG: Limits(side_px=65_535, has_alpha=False),
    PictureFormat.WEBP: Limits(side_px=16_383, has_frames=True, has_gray=False),
    PictureFormat.TIFF: Limits(
        side_px=2**31 - 1, dtypes=("uint8", "uint16", "float32"), has_pages=True
    ),
    # libaom and libheif hold a still picture of 16,384 x 16,384 in memory at most.
    PictureFormat.AVIF: Limits(
        side_px=16_384, dtypes=("uint8", "uint16"), has_frames=True, has_gray=False
    ),
    PictureFormat.HEIC: Limits(side_px=16_384, dtypes=("uint8", "uint16"), has_gray=False),
    PictureFormat.GIF: Limits(side_px=65_535, has_frames=True, has_gray=False, has_icc=False),
    PictureFormat.BMP: Limits(
        side_px=2**31 - 1, pixels=2**32 // 4 - 64, has_alpha=False, has_icc=False
    ),  # the file's 4 GiB
}


def sniff(head: bytes) -> PictureFormat:
    """The kind of file that starts with these bytes (HEAD_BYTES of them, or all there are).

    >>> sniff(b"GIF89a"), sniff(b"hello")
    (<PictureFormat.GIF: 'gif'>, <PictureFormat.OTHER: 'other'>)
    """
    if head[4:8] == b"ftyp":
        return _sniff_brand(head)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return PictureFormat.WEBP
    for start, kind in _SIGNATURES.items():
        if head.startswith(start):
            return kind
    return PictureFormat.OTHER


_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": PictureFormat.PNG,
    b"\xff\xd8\xff": PictureFormat.JPEG,
    b"II*\0": PictureFormat.TIFF,
    b"MM\0*": PictureFormat.TIFF,
    b"II+\0": PictureFormat.TIFF,  # BigTIFF
    b"MM\0+": PictureFormat.TIFF,
    b"GIF87a": PictureFormat.GIF,
    b"GIF89a": PictureFormat.GIF,
    b"BM": PictureFormat.BMP,
}


def _sniff_brand(head: bytes) -> PictureFormat:
    brands = {head[i : i + 4] for i in range(8, len(head) - 3, 4)}
    if brands & {b"avif", b"avis"}:
        return PictureFormat.AVIF
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
        return PictureFormat.HEIC
    return PictureFormat.OTHER


def format_of_name(path: Path) -> PictureFormat | None:
    """The kind of file that a name asks for, None where its suffix says nothing.

    >>> format_of_name(Path("a.JPEG"))
    <PictureFormat.JPEG: 'jpeg'>
    """
    return _BY_SUFFIX.get(path.suffix.lower())


def limits_of(kind: PictureFormat) -> Limits:
    """What that kind of file can hold."""
    return _LIMITS[PictureFormat.PNG if kind is PictureFormat.OTHER else kind]


def check_target(
    kind: PictureFormat,
    size: tuple[int, int],
    dtype: str,
    *,
    has_alpha: bool,
    pages: int,
    is_animated: bool = False,
) -> tuple[str, ...]:
    """Raise OutputError where a picture cannot be held; return notes on what it would lose.

    `size` is (height, width). Call it before the work starts.
    """
    limits = limits_of(kind)
    height, width = size
    over_side = max(size) > limits.side_px
    if over_side or (limits.pixels is not None and height * width > limits.pixels):
        most = f"{limits.side_px:,} pixels a side" if over_side else f"{limits.pixels:,} pixels"
        raise OutputError(
            f"{width:,} x {height:,} is too large for {kind.upper()}, which holds {most}",
            hint=f"write another format: {_holders(size, dtype, has_alpha=has_alpha)}",
        )
    losses = []
    if dtype not in limits.dtypes:
        losses.append(f"{kind.upper()} holds no {dtype}: written with {limits.dtypes[-1]}")
    if has_alpha and not limits.has_alpha:
        losses.append(f"{kind.upper()} holds no transparency: laid on white")
    if limits.held(pages, is_animated=is_animated) < pages:
        losses.append(f"{kind.upper()} holds one picture: only the first of {pages} is written")
    return tuple(losses)


def _holders(size: tuple[int, int], dtype: str, *, has_alpha: bool) -> str:
    able = [
        kind
        for kind in (PictureFormat.PNG, PictureFormat.TIFF, PictureFormat.JPEG)
        if max(size) <= _LIMITS[kind].side_px
        and dtype in _LIMITS[kind].dtypes
        and (_LIMITS[kind].has_alpha or not has_alpha)
    ]
    return " or ".join(f"--format {kind}" for kind in able) or "--format tiff"
