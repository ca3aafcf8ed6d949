"""Photographs to measure with: Debian's, or those that scikit-image ships."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

PACKAGE = "lomiri-wallpapers-16.04"  # 15 photographs, CC-BY-4.0, CC-BY-SA-4.0 and CC0
SHRINK = 4  # photographs of cameras are soft at the scale of their pixels
SIDE_PX = 1280  # so that the validation of a benchmark takes seconds


def photographs(folder: Path) -> str:
    """Put shrunk photographs into `folder` as PNG; what they are."""
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place:
        if shutil.which("apt-get") and shutil.which("dpkg") and _unpacked(Path(place)):
            for path in sorted(Path(place).rglob("*.[jJ][pP]*[gG]")):
                _shrunk(Image.open(path).convert("RGB"), folder / f"{path.stem}.png")
            return f"Debian's {PACKAGE}, shrunk by {SHRINK}"
    from skimage import data

    for name in ("astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field", "retina"):
        Image.fromarray(getattr(data, name)()).convert("RGB").save(folder / f"{name}.png")
    return "six photographs of scikit-image"


def _unpacked(place: Path) -> bool:
    fetched = subprocess.run(
        ["apt-get", "download", PACKAGE], cwd=place, capture_output=True, check=False
    )
    packages = list(place.glob("*.deb"))
    if fetched.returncode or not packages:
        return False
    subprocess.run(["dpkg", "-x", packages[0], place / "files"], check=True)
    return True


def _shrunk(photograph: Image.Image, path: Path) -> None:
    factor = max(SHRINK, max(photograph.size) / SIDE_PX)
    size = tuple(round(side / factor) for side in photograph.size)
    photograph.resize(size, Image.Resampling.LANCZOS).save(path)
