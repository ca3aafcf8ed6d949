"""What a file says about its picture: profile, EXIF, XMP, IPTC, resolution, comments."""

from __future__ import annotations

from dataclasses import dataclass

from srcli.io.vips import BLOB, TEXT, WHOLE, VipsImage, blob, has_field

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
    return Metadata(
        icc=blob(image, "icc-profile-data"),
        exif=blob(image, "exif-data"),
        xmp=blob(image, "xmp-data"),
        iptc=blob(image, "iptc-data"),
        dpi=_dpi(image),
        comments=tuple(_comments(image)),
        animation=_animation(image),
    )


def attach(
    image: VipsImage, metadata: Metadata, *, software: str | None, icc: bytes | None
) -> VipsImage:
    """A copy of the image that carries the metadata, made true for the enlarged picture.

    Orientation becomes 1 (the pixels are upright), the thumbnail goes, the pixel dimensions become
    those of the image (libvips sets these when it saves), `Software` names what was done.
    """
    fresh = image.copy()
    for field in fresh.get_fields():
        if field.startswith(("exif", "xmp", "iptc", "png-comment", "orientation", "icc")):
            fresh.remove(field)
    for field, data in (
        ("exif-data", metadata.exif),
        ("xmp-data", metadata.xmp),
        ("iptc-data", metadata.iptc),
        ("icc-profile-data", icc),
    ):
        if data is not None:
            fresh.set_type(BLOB, field, data)
    for index, (keyword, text) in enumerate(metadata.comments):
        fresh.set_type(TEXT, f"png-comment-{index}-{keyword or 'Comment'}", text)
    if metadata.dpi is not None:
        across, down = metadata.dpi
        fresh = fresh.copy(xres=across / 25.4, yres=down / 25.4)
    fresh.set_type(WHOLE, "orientation", 1)
    if software:
        fresh.set_type(TEXT, "exif-ifd0-Software", f"{software} ({software}, ASCII)")
    return fresh


def _dpi(image: VipsImage) -> tuple[float, float] | None:
    resolution = (float(image.xres), float(image.yres))
    if resolution == _DEFAULT_RESOLUTION:
        return None
    return resolution[0] * 25.4, resolution[1] * 25.4


def _comments(image: VipsImage) -> list[tuple[str, str]]:
    found = []
    for field in image.get_fields():
        if field.startswith("png-comment-"):
            found.append((field.split("-", 3)[3], str(image.get(field))))
        elif field in ("gif-comment", "jpeg-comment", "image-description"):
            found.append(("", str(image.get(field))))
    return found


def _animation(image: VipsImage) -> Animation | None:
    if not has_field(image, "delay"):
        return None
    loops = int(image.get("loop")) if has_field(image, "loop") else 0
    return Animation(delays_ms=tuple(int(delay) for delay in image.get("delay")), loops=loops)
