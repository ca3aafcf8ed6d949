"""Small pictures of every kind that srcli reads, and ways to spoil them. Same seed, same bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from random import Random

import numpy as np
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from srcli.io.foreign import heif_module

NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass(frozen=True)
class Sample:
    """A good picture: what it is called, and its bytes."""

    name: str
    data: bytes

    @property
    def kind(self) -> str:
        return self.name.partition("-")[0]


@cache
def samples() -> tuple[Sample, ...]:
    """Every kind of file, in the variants that decoders treat differently."""
    return tuple(Sample(name, data) for name, data in _all())


def spoiled(number: int, seed: int = 0) -> tuple[str, bytes]:
    """The picture of that number, its kinds and ways in turn: what was done to what, its bytes."""
    random = Random(f"{seed}/{number}")
    good = samples()
    sample = good[number % len(good)]
    way = WAYS[random.randrange(len(WAYS))]
    data = way(random, sample)
    if random.random() < 0.25:  # two wounds
        data = WAYS[random.randrange(3)](random, Sample(sample.name, data))
    return f"{number} {sample.name} {way.__name__.strip('_')}", data


def _all() -> Iterator[tuple[str, bytes]]:
    yield from _pngs()
    yield from _jpegs()
    yield from _webps()
    yield from _tiffs()
    yield from _heifs()
    yield from _gifs_and_bmps()
    yield from _others()


def _noise(mode: str = "RGB", size: tuple[int, int] = (23, 17), seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    image = Image.fromarray(pixels)
    if mode in ("RGBA", "LA"):
        image = image.convert(mode)
        image.putalpha(Image.linear_gradient("L").resize(size))
        return image
    return image.convert(mode)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@cache
def _described() -> dict[str, object]:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0131] = 6, "maker", "program"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0a comment"
    exif.get_ifd(0x8825)[1] = "N"
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {"exif": exif.tobytes(), "xmp": xmp, "icc_profile": icc, "dpi": (300, 300)}


def _frames(mode: str = "RGB", size: tuple[int, int] = (23, 17)) -> dict[str, object]:
    others = [_noise(mode, size, seed) for seed in (1, 2)]
    return {"save_all": True, "append_images": others, "duration": [40, 50, 60], "loop": 2}


def _pngs() -> Iterator[tuple[str, bytes]]:
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1"):
        yield f"png-{mode}", _saved(_noise(mode), "PNG")
    deep = np.random.default_rng(3).integers(0, 65536, (17, 23), np.uint16)
    yield "png-16", _saved(Image.fromarray(deep), "PNG")
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a plain text")
    text.add_itxt("Title", "ein längerer", "de", "Titel", zip=True)
    yield "png-described", _saved(_noise(), "PNG", pnginfo=text, **_described())
    yield "png-interlaced", _interlaced()
    yield "apng-RGB", _saved(_noise(), "PNG", **_frames())
    yield "apng-RGBA", _saved(_noise("RGBA"), "PNG", **_frames("RGBA"))


def _interlaced() -> bytes:
    """Adam7 of a gray picture, whose rows need no filter."""
    pixels = np.asarray(_noise("L"))
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    rows = b""
    for top, left, down, right in (*passes, (1, 0, 2, 1)):
        rows += b"".join(b"\0" + row.tobytes() for row in pixels[top::down, left::right])
    header = struct.pack(">IIBBBBB", 23, 17, 8, 0, 0, 0, 1)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, data) for name, data in chunks)


def png_chunk(name: bytes, data: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _jpegs() -> Iterator[tuple[str, bytes]]:
    yield "jpeg-plain", _saved(_noise(), "JPEG")
    yield "jpeg-progressive", _saved(_noise(), "JPEG", progressive=True)
    yield "jpeg-gray", _saved(_noise("L"), "JPEG")
    yield "jpeg-cmyk", _saved(_noise("CMYK"), "JPEG")
    yield "jpeg-described", _saved(_noise(), "JPEG", comment=b"a comment", **_described())
    yield "jpeg-restart", _saved(_noise(), "JPEG", restart_marker_rows=1)


def _webps() -> Iterator[tuple[str, bytes]]:
    yield "webp-lossy", _saved(_noise(), "WEBP")
    yield "webp-alpha", _saved(_noise("RGBA"), "WEBP")
    yield "webp-lossless", _saved(_noise("RGBA"), "WEBP", lossless=True)
    described = {key: value for key, value in _described().items() if key != "dpi"}
    yield "webp-described", _saved(_noise(), "WEBP", **described)
    yield "webp-animated", _saved(_noise(), "WEBP", **_frames())


def _tiffs() -> Iterator[tuple[str, bytes]]:
    pixels = np.asarray(_noise(size=(70, 40)))
    deep = (pixels.astype(np.uint16) << 8) | 7
    variants: dict[str, tuple[np.ndarray, dict[str, object]]] = {
        "plain": (pixels, {}),
        "big": (pixels, {"bigtiff": True}),
        "tiled": (pixels, {"tile": (16, 16), "compression": "zlib"}),
        "deflate": (pixels, {"compression": "zlib", "predictor": True, "rowsperstrip": 8}),
        "16": (deep, {}),
        "float": (pixels.astype(np.float32) / 255, {"byteorder": ">"}),
        "planar": (pixels.transpose(2, 0, 1).copy(), {"planarconfig": "separate"}),
    }
    for name, (samples_, options) in variants.items():
        file = BytesIO()
        tifffile.imwrite(file, samples_, photometric="rgb", **options)
        yield f"tiff-{name}", file.getvalue()
    for mode in ("L", "1", "P", "RGBA", "CMYK", "LAB"):
        yield f"tiff-{mode}", _saved(_noise(mode), "TIFF")
    for compression, mode in (("jpeg", "RGB"), ("group4", "1"), ("tiff_lzw", "RGB")):
        yield f"tiff-{compression}", _saved(_noise(mode), "TIFF", compression=compression)
    yield "tiff-packbits", _saved(_noise(), "TIFF", compression="packbits")
    yield "tiff-pages", _saved(_noise(), "TIFF", save_all=True, append_images=[_noise("L")])
    described = {key: value for key, value in _described().items() if key != "xmp"}
    yield "tiff-described", _saved(_noise(), "TIFF", **described)


def _heifs() -> Iterator[tuple[str, bytes]]:
    described = {key: value for key, value in _described().items() if key != "dpi"}
    yield "avif-plain", _saved(_noise(size=(40, 30)), "AVIF")
    yield "avif-alpha", _saved(_noise("RGBA", size=(40, 30)), "AVIF", **described)
    yield "avif-animated", _saved(_noise(size=(40, 30)), "AVIF", **_frames(size=(40, 30)))
    heif = heif_module()
    for mode in ("RGB", "RGBA"):
        file = BytesIO()
        heif.from_pillow(_noise(mode, size=(64, 48))).save(file, **described)
        yield f"heic-{mode}", file.getvalue()


def _gifs_and_bmps() -> Iterator[tuple[str, bytes]]:
    yield "gif-plain", _saved(_noise("P"), "GIF", comment=b"a comment")
    yield "gif-animated", _saved(_noise("P"), "GIF", **_frames("P"))
    for mode in ("RGB", "L", "1", "P", "RGBA"):
        yield f"bmp-{mode}", _saved(_noise(mode), "BMP")


def _others() -> Iterator[tuple[str, bytes]]:
    for kind, mode in (
        *(("PPM", "RGB"), ("PPM", "L"), ("PPM", "1"), ("TGA", "RGBA"), ("SGI", "RGB")),
        *(("PCX", "P"), ("DDS", "RGBA"), ("JPEG2000", "RGB"), ("IM", "RGB"), ("MSP", "1")),
        *(("XBM", "1"), ("SPIDER", "F"), ("BLP", "P"), ("DIB", "RGB"), ("PPM", "F")),
    ):
        yield f"{kind.lower()}-{mode}", _saved(_noise(mode, size=(32, 24)), kind)
    yield "tga-rle", _saved(_noise(), "TGA", compression="tga_rle")
    yield "ico-RGBA", _saved(_noise("RGBA", size=(32, 32)), "ICO", sizes=[(16, 16), (32, 32)])
    icon = _saved(_noise("RGBA", size=(32, 32)), "PNG")
    yield "icns-RGBA", b"icns" + struct.pack(">I4sI", len(icon) + 16, b"icp5", len(icon) + 8) + icon
    yield "qoi-RGB", _qoi()
    yield "psd-RGB", _psd()


def _qoi() -> bytes:
    pixels = np.asarray(_noise())
    body = b"".join(b"\xfe" + bytes(pixel) for row in pixels for pixel in row)
    return b"qoif" + struct.pack(">IIBB", 23, 17, 3, 0) + body + bytes(7) + b"\1"


def _psd() -> bytes:
    pixels = np.asarray(_noise()).transpose(2, 0, 1).tobytes()
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 17, 23, 8, 3)
    return head + bytes(12) + bytes(2) + pixels


def _truncate(random: Random, sample: Sample) -> bytes:
    return sample.data[: random.randrange(len(sample.data))]


def _flip_bits(random: Random, sample: Sample) -> bytes:
    data = bytearray(sample.data)
    for _ in range(random.choice((1, 1, 2, 4, 16, 64))):
        data[_place(random, data)] ^= 1 << random.randrange(8)
    return bytes(data)


def _numbers(random: Random, sample: Sample) -> bytes:
    """Telling numbers, of either byte order, at random places; most lie in the header."""
    data = bytearray(sample.data)
    for _ in range(random.choice((1, 1, 2, 4))):
        width = random.choice((1, 2, 4, 8))
        number = random.choice(NUMBERS) % (1 << 8 * width)
        place = min(_place(random, data), max(len(data) - width, 0))
        data[place : place + width] = number.to_bytes(width, random.choice(("big", "little")))
    return bytes(data)


def _splice(random: Random, sample: Sample) -> bytes:
    """A part of another picture, or of this one, put over or between."""
    same = [other for other in samples() if other.kind == sample.kind]
    other = random.choice(same if random.random() < 0.7 else samples()).data
    start = random.randrange(len(other))
    part = other[start : start + random.choice((4, 16, 64, 512))]
    place = _place(random, sample.data)
    kept = place + (len(part) if random.random() < 0.5 else 0)
    return sample.data[:place] + part + sample.data[kept:]


def _repeat_or_drop(random: Random, sample: Sample) -> bytes:
    start = _place(random, sample.data)
    stop = start + random.choice((1, 4, 12, 100))
    return (
        sample.data[:start]
        + sample.data[start:stop] * random.choice((0, 2, 50))
        + (sample.data[stop:])
    )


def _swap_head(random: Random, sample: Sample) -> bytes:
    other = random.choice(samples()).data
    length = random.choice((2, 4, 8, 12, 16, 32, 64))
    return other[:length] + sample.data[length:]


def _lie_about_size(random: Random, sample: Sample) -> bytes:
    """Other sizes, at the place where the kind keeps them."""
    data = bytearray(sample.data)
    for place, width, order in _size_places(sample):
        if place + width <= len(data) and random.random() < 0.7:
            number = random.choice((*NUMBERS, random.randrange(1, 70), random.randrange(70_000)))
            data[place : place + width] = (number % (1 << 8 * width)).to_bytes(width, order)
    return mended(bytes(data)) if sample.kind in ("png", "apng") else bytes(data)


def _size_places(sample: Sample) -> list[tuple[int, int, str]]:
    data = sample.data
    match sample.kind:
        case "png" | "apng":
            return [(16, 4, "big"), (20, 4, "big")]
        case "jpeg":
            frame = max(data.find(b"\xff\xc0\0"), data.find(b"\xff\xc2\0"))
            return [(frame + 5, 2, "big"), (frame + 7, 2, "big")]
        case "gif":
            image = data.find(b"\x2c\0\0\0\0")
            return [(6, 2, "little"), (8, 2, "little"), (image + 5, 2, "little")]
        case "bmp" | "dib":
            start = 18 if sample.kind == "bmp" else 4
            return [(start, 4, "little"), (start + 4, 4, "little")]
        case "avif" | "heic":
            place = data.find(b"ispe")
            return [(place + 8, 4, "big"), (place + 12, 4, "big")]
        case "webp":
            return [(24, 3, "little"), (27, 3, "little")]
        case "tiff":
            order = "little" if data[:2] == b"II" else "big"
            return [(place + 8, 4, order) for place in _tiff_sizes(data, order)]
        case _:
            return [(random_place, 2, "little") for random_place in range(4, 20, 2)]


def _tiff_sizes(data: bytes, order: str) -> list[int]:
    wanted = (256, 257, 258, 277, 278, 279, 273, 322, 323, 324, 325)
    tags = [tag.to_bytes(2, order) for tag in wanted]
    return [place for place in range(8, len(data) - 12, 2) if data[place : place + 2] in tags]


def _mend_checksums(random: Random, sample: Sample) -> bytes:
    """Wounds that a checksum does not show: of PNG each is made right again."""
    return mended(WAYS[random.randrange(1, 5)](random, sample))


def mended(data: bytes) -> bytes:
    """A PNG whose checksums are right, as far as its chunks can be followed."""
    if not data.startswith(b"\x89PNG"):
        return data
    place, whole = 8, bytearray(data)
    while place + 12 <= len(whole):
        (size,) = struct.unpack_from(">I", whole, place)
        end = place + 8 + size
        if end + 4 > len(whole):
            break
        whole[end : end + 4] = struct.pack(">I", zlib.crc32(whole[place + 4 : end]))
        place = end + 4
    return bytes(whole)


def _place(random: Random, data: bytes | bytearray) -> int:
    head = min(len(data), 200)
    return random.randrange(head if random.random() < 0.5 else len(data)) if data else 0


Way = Callable[[Random, Sample], bytes]
WAYS: tuple[Way, ...] = (
    *(_truncate, _flip_bits, _numbers, _splice, _repeat_or_drop),
    *(_swap_head, _lie_about_size, _lie_about_size, _mend_checksums),
)
