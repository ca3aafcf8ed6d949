"""A command run twice writes the same bytes: every format, plan and precision, on several threads.

Each run is a process of its own, a second or more after the last one, so that a time that gets
into a file shows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from fifty import ROOT, photographs, piece
from PIL import Image

ENDINGS = ("png", "jpg", "webp", "tif", "avif", "heic", "gif", "bmp")
WAYS = {
    **{ending: ("-f", ending) for ending in ENDINGS},
    "whole": ("--plan", "whole"),
    "stream": ("--plan", "stream"),
    "tiles": ("--tile", "24"),
    "tta": ("--tta",),
    "fp16": ("--precision", "fp16"),
    "bf16": ("--precision", "bf16"),
    "bf16, stream": ("--precision", "bf16", "--plan", "stream"),
    "scale 3": ("--scale", "3"),
}
MODELS = ("swift", "realesrgan-x4plus-anime")
THREADS = (1, 1, 2, 2, 3, 4)
# All ways in one process: torch takes seconds to be imported.
DRIVER = """
import sys
from srcli.cli.app import main
for line in sys.stdin.read().splitlines():
    try:
        main(line.split("\\t"))
    except SystemExit as ended:
        if ended.code:
            raise
"""


def attack(folder: Path, models: Sequence[str]) -> tuple[list[str], bool]:
    """A line for each way; whether each gave the same bytes twice with the same threads."""
    path = list(photographs(folder / "photographs").values())[2]
    lines = ["| network | way | same twice | with other numbers of threads |"]
    lines.append("| --- | --- | --- | --- |")
    is_right = True
    for model in models or MODELS:
        with tempfile.TemporaryDirectory(prefix="srcli-bytes-") as place:
            picture = Path(place, "photograph.png")
            pixels = (piece(path, 60, 70) * 255).byte().permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(picture)
            runs = [_run(picture, model, threads, number) for number, threads in enumerate(THREADS)]
        for way in WAYS:
            found = [(threads, run[way]) for threads, run in zip(THREADS, runs, strict=True)]
            is_same = len(set(found)) == len(set(THREADS))
            is_right &= is_same
            others = {digest for _, digest in found}
            told = "the same" if len(others) == 1 else f"{len(others)} different"
            lines.append(f"| {model} | {way} | {'yes' if is_same else 'NO'} | {told} |")
    return lines, is_right


def _run(picture: Path, model: str, threads: int, number: int) -> dict[str, str]:
    output = picture.parent / str(number)
    common = ["upscale", str(picture), "-m", model, "-d", "cpu", "--quiet"]
    lines = [
        "\t".join([*common, *words, "-o", str(output / f"{place}{_ending(words)}")])
        for place, words in enumerate(WAYS.values())
    ]
    subprocess.run(
        [sys.executable, "-c", DRIVER],
        input="\n".join(lines),
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)},
    )
    files = sorted(output.iterdir(), key=lambda file: int(file.stem))
    return {
        way: sha256(file.read_bytes()).hexdigest() for way, file in zip(WAYS, files, strict=True)
    }


def _ending(words: tuple[str, ...]) -> str:
    return f".{words[1]}" if words[0] == "-f" else ".png"
