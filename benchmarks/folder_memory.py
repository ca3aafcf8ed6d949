"""The memory of a folder: that of its largest picture and the queues, however many there are.

    python benchmarks/folder_memory.py --pictures 200

Runs the command line over folders of 10, 50 and 200 pictures and over the largest picture alone,
and compares the peaks of resident memory. All folders hold the same largest picture.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import checkout  # noqa: F401 - finds srcli, also for what this one imports
import numpy as np
from messy_folder import make_weights
from PIL import Image

LARGEST = (4000, 3000)
OTHERS = (640, 480)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=200)
    count = parser.parse_args().pictures
    with tempfile.TemporaryDirectory(prefix="srcli-memory-") as place:
        root = Path(place)
        shape = {"channels": 2, "growth": 2, "scale": 1, "unshuffle": 4}
        weights = make_weights(root / "small.safetensors", **shape)
        largest = _picture(root / "largest.jpg", LARGEST)
        sizes = sorted({max(count // 20, 2), max(count // 4, 2), count})
        peaks = {"largest_alone": _peak(root, weights, largest)}
        for size in sizes:
            folder = _folder(root / f"in-{size}", largest, size)
            peaks[f"folder_of_{size}"] = _peak(root, weights, folder, "-o", f"out-{size}")
    report = {"cores": os.cpu_count(), "peak_megabytes": peaks}
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


def _picture(path: Path, size: tuple[int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.add.outer(np.arange(size[1]), np.arange(size[0])) // 8
    Image.fromarray((ramp % 256).astype(np.uint8)).convert("RGB").save(path)
    return path


def _folder(folder: Path, largest: Path, count: int) -> Path:
    small = _picture(folder / "0.jpg", OTHERS)
    for number in range(1, count - 1):
        shutil.copy(small, folder / f"{number}.jpg")
    shutil.copy(largest, folder / f"{count // 2}b.jpg")
    return folder


def _peak(root: Path, weights: Path, *arguments: Path | str) -> int:
    """Megabytes of resident memory that a run had at most."""
    command = [sys.executable, "-m", "srcli", "upscale", *map(str, arguments)]
    options = ["-m", str(weights), "-d", "cpu", "-q", "--overwrite"]
    process = subprocess.Popen([*command, *options], cwd=root)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"{arguments} ended with {status}"
    return _kilobytes(usage) // 1024


def _kilobytes(usage: resource.struct_rusage) -> int:
    return usage.ru_maxrss // 1024 if sys.platform == "darwin" else usage.ru_maxrss


if __name__ == "__main__":
    main()
