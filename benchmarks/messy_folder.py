"""A folder as people have them: many kinds and sizes of picture, a tenth of them broken."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random

import torch
from PIL import Image
from safetensors.torch import save_file

from srcli.models.rrdb import RRDBConfig, RRDBNet

KINDS = (".png", ".jpg", ".webp", ".tif", ".gif", ".JPEG", ".png", ".jpg")
MODES = ("RGB", "RGB", "RGB", "L", "RGBA", "P")
NAMES = ("photo {n}", "IMG_{n}", "naïve-{n}", "图片{n}", "holiday 🌞 {n}", "new\nline {n}")


@dataclass(frozen=True, slots=True)
class Messy:
    """What was made, by name below the root."""

    good: tuple[Path, ...]
    broken: tuple[Path, ...]


def make_messy_folder(root: Path, count: int, *, seed: int = 0, largest_px: int = 200) -> Messy:
    """Fill `root` with `count` files in a few folders; every tenth is broken."""
    random = Random(seed)
    good, broken = [], []
    for number in range(count):
        folder = random.choice(("", "trip", "trip/day 2", "scans"))
        kind = random.choice(KINDS)
        name = Path(folder) / (random.choice(NAMES).format(n=number) + kind)
        data = _picture(random, kind, largest_px)
        is_broken = number % 10 == 3
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(_break(random, data) if is_broken else data)
        (broken if is_broken else good).append(name)
    (root / "Thumbs.db").write_bytes(b"litter")
    (root / "notes.txt").write_text("not a picture")
    return Messy(tuple(good), tuple(broken))


def make_weights(path: Path, **shape: int) -> Path:
    """A small RRDB network with random weights in a safetensors file."""
    torch.manual_seed(0)
    config = {"channels": 8, "growth": 4, "blocks": 1, "scale": 2, **shape}
    save_file(RRDBNet(RRDBConfig(**config)).state_dict(), path)
    return path


def _picture(random: Random, kind: str, largest_px: int) -> bytes:
    size = (random.randint(8, largest_px), random.randint(8, largest_px))
    mode = random.choice(MODES)
    if kind.lower() in (".jpg", ".jpeg") and mode in ("RGBA", "P"):
        mode = "RGB"
    noise = Image.frombytes("RGB", (9, 9), random.randbytes(243))
    image = noise.resize(size, Image.Resampling.BICUBIC).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(size))
    file = BytesIO()
    formats = {".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF"}
    image.save(file, formats.get(kind.lower(), kind[1:].upper()))
    return file.getvalue()


def _break(random: Random, data: bytes) -> bytes:
    ways = (
        lambda: b"",
        lambda: b"this is a text, whatever its name says\n" * 9,
        lambda: data[: max(len(data) // 3, 20)],
        lambda: data[:24],
        lambda: random.randbytes(300),
        lambda: b"\0" * 500,
        lambda: _bomb(),
        lambda: b"\x89PNG\r\n\x1a\n" + random.randbytes(200),
        lambda: b"\xff\xd8\xff\xe0" + random.randbytes(200),
    )
    return random.choice(ways)()


def _bomb() -> bytes:
    """A PNG header that claims 3.6 gigapixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", len(header))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
    )
