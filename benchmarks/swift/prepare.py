"""From packages to pictures: what is learned from, cut into pieces, and what is judged on.

python benchmarks/swift/prepare.py [FOLDER]

FOLDER gets `held-out/` (whole photographs) and `high/` (pieces), with its low twins in `low/`:
half of them shrunk plainly, half with the degradation "light". Fetches with apt-get and pip.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from sources import PACKAGES, PLASMA, SKIMAGE, SKLEARN, SOURCES, Source, held_out

JUDGED_PX = 1024  # of held-out photographs: x4plus takes seconds for each
SHRINK = 1.5  # at least; else a picture is taken as it is
PIECE_PX = 384
FLAT = 1.5  # levels from pixel to pixel below which a piece teaches nothing
# The longer sides that pictures are shrunk to before they are cut: photographs of cameras are soft
# at 1:1, and a texture is to be met at several sizes.
SIDES_PX = {"bicubic": (1280, 1920, 900), "light": (1400, 2100, 1000)}


def prepare(folder: Path) -> None:
    """Everything, unless it is there already."""
    if (folder / "low").is_dir():
        return
    files = folder / "packages"
    if not files.is_dir():
        fetch(files)
    judged = held_out()
    for source in SOURCES:
        picture = opened(files, source)
        if source.name in judged:
            small = shrunk(picture, JUDGED_PX) or picture
            write(cut_to_fours(small), folder / "held-out" / f"{source.name}.png")
        else:
            for preset in SIDES_PX:
                for number, piece in enumerate(pieces(picture, SIDES_PX[preset])):
                    write(piece, folder / "good" / preset / f"{source.name}-{number:02}.png")
    pair(folder)


def fetch(files: Path) -> None:
    """Unpack the packages below `files`, one folder each."""
    partial = files.with_name("partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for package in PACKAGES:
        subprocess.run(["apt-get", "download", package], cwd=partial, check=True)
        (file,) = partial.glob(f"{package}_*.deb")
        subprocess.run(["dpkg", "-x", file, partial / package], check=True)
    for package in (SKIMAGE, SKLEARN):
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", partial, package]
        subprocess.run(pip, check=True)
        (file,) = partial.glob(f"{package.replace('-', '_')}-*.whl")
        with zipfile.ZipFile(file) as wheel:
            wheel.extractall(partial / package)
    partial.rename(files)


def opened(files: Path, source: Source) -> Image.Image:
    """A picture of a package, in RGB."""
    if source.package == SKIMAGE:
        (path,) = (files / SKIMAGE / "skimage" / "data").glob(f"{source.file}.*")
    elif source.package == SKLEARN:
        path = files / SKLEARN / "sklearn" / "datasets" / "images" / source.file
    else:
        share = files / source.package / "usr" / "share"
        place = "wallpapers" if source.package == PLASMA else "backgrounds"
        below = "mate/" if source.package.startswith("mate") else ""
        path = share / place / (below + source.file)
    return Image.open(path).convert("RGB")


def shrunk(picture: Image.Image, side: int) -> Image.Image | None:
    """With a longer side of `side`; None where that would be hardly smaller."""
    factor = max(picture.size) / side
    if factor < SHRINK:
        return None
    width, height = picture.size
    return picture.resize((round(width / factor), round(height / factor)), Image.Resampling.LANCZOS)


def cut_to_fours(picture: Image.Image) -> Image.Image:
    """Without the last pixels that no low pixel stands for."""
    return picture.crop((0, 0, picture.width // 4 * 4, picture.height // 4 * 4))


def pieces(picture: Image.Image, sides: Iterable[int]) -> Iterator[Image.Image]:
    """Squares of the picture at several sizes, side by side, without flat ones."""
    versions = [small for side in sides if (small := shrunk(picture, side))] or [picture]
    for version in versions:
        for top in starts(version.height):
            for left in starts(version.width):
                piece = version.crop((left, top, left + PIECE_PX, top + PIECE_PX))
                if variation(piece) > FLAT:
                    yield piece


def starts(length: int) -> list[int]:
    """As many pieces as fit, spread over the whole length."""
    count = length // PIECE_PX
    room = length - PIECE_PX
    return [room // 2] if count == 1 else [room * k // (count - 1) for k in range(count)]


def variation(piece: Image.Image) -> float:
    """The mean difference of neighbours, in levels."""
    gray = np.asarray(piece.convert("L"), dtype=np.float32)
    return float(np.abs(np.diff(gray, axis=0)).mean() + np.abs(np.diff(gray, axis=1)).mean()) / 2


def pair(folder: Path) -> None:
    """Low twins by `srcli degrade`, and both kinds in one folder."""
    for preset in SIDES_PX:
        low = folder / "degraded" / preset
        command = [sys.executable, "-m", "srcli", "degrade", folder / "good" / preset]
        subprocess.run([*command, "--preset", preset, "-o", low, "--overwrite"], check=True)
    for kind, below in (("high", "good"), ("low", "degraded")):
        (folder / kind).mkdir(exist_ok=True)
        for path in (folder / below).rglob("*.png"):
            (folder / kind / f"{path.parent.name}-{path.name}").hardlink_to(path)


def write(picture: Image.Image, path: Path) -> None:
    """Write PNG, quickly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, compress_level=1)


if __name__ == "__main__":
    prepare(Path(sys.argv[1] if len(sys.argv) > 1 else "swift-data"))
