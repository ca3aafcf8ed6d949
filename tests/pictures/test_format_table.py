"""The table of docs/reference/formats.md, cell by cell, with other libraries before and after."""

import io
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import tifffile
from icc_profiles import DISPLAY_P3, SRGB_CURVE, rgb_profile
from picture_tools import encoded, enlarge, smooth
from PIL import Image, IptcImagePlugin

from srcli.io.formats import PictureFormat

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "formats.md"
P3 = rgb_profile(DISPLAY_P3, SRGB_CURVE)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>kept</a></x:xmpmeta>'
IPTC = b"\x1c\x02\x00\x00\x02\x00\x04\x1c\x02\x78\x00\x07caption"

pillow_heif.register_heif_opener()


def cells():
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    start = next(i for i, line in enumerate(lines) if line.startswith("| format | 8 bit"))
    header, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[start:]]
    rows = [row for row in rows if len(row) == len(header)]
    return [
        (row[0], column, cell)
        for row in rows
        for column, cell in zip(header[1:], row[1:], strict=True)
    ]


def through(data, kind, **options):
    target = io.BytesIO()
    enlarge(data, target, scale=2, format=PictureFormat(kind.lower()), **options)
    return target.getvalue()


def pillow(kind, pixels, **options):
    name = {"HEIC": "HEIF"}.get(kind, kind.upper())
    return encoded(pixels, name, **options)


def opened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def keeps_8_bit(kind):
    image = opened(through(pillow(kind, smooth(40, 50)), kind)).convert("RGB")
    expected = smooth(40, 50).repeat(2, 0).repeat(2, 1)
    return np.abs(np.asarray(image).astype(int) - expected).mean() < 5


def deep_source(kind, dtype):
    """A deep picture of that kind where some library writes it, else as a TIFF."""
    pixels = (smooth(40, 50) / 255 * 65535).astype(np.uint16)
    pixels[:, :, 2] += 7  # something below 8 bits
    buffer = io.BytesIO()
    if kind == "HEIC" and dtype == np.uint16:
        pillow_heif.encode("RGB;16", (50, 40), pixels.tobytes(), buffer, quality=-1)
    elif kind == "PNG" and dtype == np.uint16:
        return pixels[:, :, 0], encoded(pixels[:, :, 0], "PNG")
    else:
        samples = pixels if dtype == np.uint16 else (pixels / 65535).astype(np.float32)
        tifffile.imwrite(buffer, samples, photometric="rgb")
        return samples, buffer.getvalue()
    return pixels, buffer.getvalue()


def bits_of(data, kind):
    """Bits of a sample in the file, read from its own header."""
    if kind == "PNG":
        return data[24]
    if kind == "TIFF":
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            return file.pages[0].bitspersample
    if kind == "AVIF":  # av1C: ..., tier, high_bitdepth, twelve_bit
        flags = data[data.index(b"av1C") + 6]
        return 12 if flags & 0x20 else 10 if flags & 0x40 else 8
    if kind == "HEIC":
        return pillow_heif.open_heif(io.BytesIO(data)).info["bit_depth"]
    return 8


def keeps_16_bit(kind):
    _, source = deep_source(kind, np.uint16)
    return bits_of(through(source, kind), kind) > 8


def keeps_float(kind):
    samples, source = deep_source(kind, np.float32)
    data = through(source, kind)
    if kind != "TIFF":
        return False
    after = tifffile.imread(io.BytesIO(data))
    return after.dtype == np.float32 and np.abs(after[::2, ::2] - samples).max() < 1e-5


def keeps_gray(kind):
    image = opened(through(pillow(kind, smooth(40, 50)[:, :, 0]), kind))
    return image.mode == "L" and "A" not in image.mode


def keeps_alpha(kind):
    pixels = np.dstack([smooth(40, 50), np.zeros((40, 50), np.uint8)])
    pixels[:, 25:, 3] = 255
    alpha = np.asarray(opened(through(encoded(pixels, "PNG"), kind)).convert("RGBA"))[:, :, 3]
    return bool((alpha[:, :40] == 0).all() and (alpha[:, 60:] == 255).all())


def keeps_icc(kind):
    source = pillow(kind, smooth(40, 50), icc_profile=P3)
    return opened(through(source, kind)).info.get("icc_profile") == P3


def keeps_exif(kind):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    source = encoded(smooth(40, 50), "JPEG", exif=exif)
    return opened(through(source, kind)).getexif().get(0x010F) == "Maker"


def keeps_xmp(kind):
    image = opened(through(encoded(smooth(40, 50), "JPEG", xmp=XMP), kind))
    packet = image.info.get("xmp") or str(image.info.get("XML:com.adobe.xmp", "")).encode()
    return b"kept" in packet


def keeps_iptc(kind):
    buffer = io.BytesIO()
    tags = [(33723, 7, len(IPTC), IPTC, True)]
    tifffile.imwrite(buffer, smooth(40, 50), photometric="rgb", extratags=tags)
    info = IptcImagePlugin.getiptcinfo(opened(through(buffer.getvalue(), kind))) or {}
    return info.get((2, 120)) == b"caption"


def keeps_resolution(kind):
    image = opened(through(encoded(smooth(40, 50), "JPEG", dpi=(240, 240)), kind))
    return round(float(image.info.get("dpi", (0, 0))[0])) == 240


def keeps_frames(kind):
    frames = [Image.fromarray(np.roll(smooth(40, 50), 9 * i, axis=1)) for i in range(3)]
    source = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=50)
    return getattr(opened(through(source, kind)), "n_frames", 1) == 3


MEASURES = {
    "8 bit": keeps_8_bit,
    "16 bit": keeps_16_bit,
    "float": keeps_float,
    "gray": keeps_gray,
    "alpha": keeps_alpha,
    "ICC": keeps_icc,
    "EXIF": keeps_exif,
    "XMP": keeps_xmp,
    "IPTC": keeps_iptc,
    "resolution": keeps_resolution,
    "frames": keeps_frames,
}


@pytest.mark.parametrize(("kind", "column", "cell"), cells())
def test_the_table_tells_the_truth(kind, column, cell):
    assert MEASURES[column](kind) == cell.startswith("yes")


@pytest.mark.parametrize(
    ("kind", "bits"), [("AVIF", 12), ("HEIC", 10), ("PNG", 16), ("TIFF", 16), ("JPEG", 8)]
)
def test_deep_pictures_are_written_with_the_most_bits_there_are(kind, bits):
    assert bits_of(through(deep_source(kind, np.uint16)[1], kind), kind) == bits
