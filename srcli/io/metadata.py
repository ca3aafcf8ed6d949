"""What a file says about its picture: profile, EXIF, XMP, IPTC, resolution, comments."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from srcli.io.exif import SHAPE_NOTE, Exif, corrected_xmp, iptc_records, photoshop_block, read_exif
from srcli.io.formats import PictureFormat
from srcli.io.tiff import TiffError
from srcli.io.vips import BLOB, TEXT, WHOLE, VipsImage, blob, field_names, has_field

_DESCRIPTION = "image-description"  # of a TIFF, which libvips reads and writes
_OWN_FIELDS = (
    "exif",
    "xmp",
    "iptc",
    "icc",
    "photoshop",
    "png-comment",
    _DESCRIPTION,
    "orientation",
    "delay",
    "loop",
    "page-height",
    "n-pages",
)
_DEFAULT_RESOLUTION = (1.0, 1.0)  # pixels per millimetre: what libvips says where a file does not


@dataclass(frozen=True, slots=True, kw_only=True)
class Animation:
    """How the frames of a picture are played."""

    delays_ms: tuple[int, ...]
    loops: int  # times it is played, 0 for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Everything in a file besides the pixels, as its bytes."""

    icc: bytes | None = None
    exif: bytes | None = None  # a TIFF structure, with or without the leading `Exif\\0\\0`
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None  # across, down
    comments: tuple[tuple[str, str], ...] = ()  # keyword ("" for a plain one), text
    animation: Animation | None = None


def read_metadata(image: VipsImage) -> Metadata:
    """The metadata of an image that libvips has opened."""
    iptc = blob(image, "iptc-data")
    return Metadata(
        icc=blob(image, "icc-profile-data"),
        exif=blob(image, "exif-data"),
        xmp=blob(image, "xmp-data"),
        iptc=None if iptc is None else iptc_records(iptc),
        dpi=_dpi(image),
        comments=_comments(image),
        animation=_animation(image),
    )


def corrected(
    metadata: Metadata, *, height: int, width: int, software: str | None
) -> tuple[Metadata, Exif | None]:
    """The metadata made true for an upright picture of this size; EXIF also as its directories.

    EXIF that is damaged is left out.
    """
    exif = Exif() if software else None
    if metadata.exif is not None:
        with suppress(TiffError):
            exif = read_exif(metadata.exif)
    if exif is not None:
        exif.correct(height, width, software)
    xmp = metadata.xmp
    true = replace(
        metadata,
        exif=None if exif is None else exif.to_bytes(),
        xmp=None if xmp is None else corrected_xmp(xmp, height, width),
    )
    return true, exif


def attach(image: VipsImage, metadata: Metadata, kind: PictureFormat) -> VipsImage:
    """A copy of the image that carries this metadata and no other, as `kind` of file keeps it."""
    fresh = image.copy()
    for field in field_names(fresh):
        if field.startswith(_OWN_FIELDS):
            fresh.remove(field)
    for field, data in _blobs(metadata, kind).items():
        fresh.set_type(BLOB, field, data)
    if kind is PictureFormat.TIFF and metadata.comments:
        fresh.set_type(TEXT, _DESCRIPTION, comment_text(metadata))
    if metadata.dpi is not None:
        across, down = metadata.dpi
        fresh = fresh.copy(xres=across / 25.4, yres=down / 25.4)
    fresh.set_type(WHOLE, "orientation", 1)
    return fresh


def _blobs(metadata: Metadata, kind: PictureFormat) -> dict[str, bytes]:
    iptc = metadata.iptc if kind is PictureFormat.JPEG else None  # a TIFF gets it from save
    fields = {
        "exif-data": metadata.exif,
        "xmp-data": metadata.xmp,
        "iptc-data": None if iptc is None else photoshop_block(iptc),
        "icc-profile-data": metadata.icc,
    }
    return {field: data for field, data in fields.items() if data is not None}


def comment_text(metadata: Metadata) -> str:
    """All comments as one text, for the kinds of file that hold one."""
    lines = [f"{keyword}: {text}" if keyword else text for keyword, text in metadata.comments]
    return "\n".join(lines)


def _dpi(image: VipsImage) -> tuple[float, float] | None:
    resolution = (float(image.xres), float(image.yres))
    if resolution == _DEFAULT_RESOLUTION:
        return None
    return resolution[0] * 25.4, resolution[1] * 25.4


def _comments(image: VipsImage) -> tuple[tuple[str, str], ...]:
    text = str(image.get(_DESCRIPTION)) if has_field(image, _DESCRIPTION) else ""
    return (("", text),) if text and not text.encode().startswith(SHAPE_NOTE) else ()


def _animation(image: VipsImage) -> Animation | None:
    if not has_field(image, "delay"):
        return None
    loops = int(image.get("loop")) if has_field(image, "loop") else 0
    return Animation(delays_ms=tuple(int(delay) for delay in image.get("delay")), loops=loops)
