"""Spoiled pictures of every kind through `srcli upscale`, each in a watched child process.

    python benchmarks/torture/pictures.py --cases 20000

The law: a good result (it decodes, it has the size that was told), or one of srcli's errors with
its exit code. Never a traceback, a hang over ten seconds, a result or a temporary file for a bad
picture, a line on stdout that is not JSON, or more memory on top of what the plan of the network
states than `--bound-mib`.
`--from 137 --cases 1` tries one case again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pyvips
import typer.main
from command import SCALE, heard, make_weights, run
from picture_makers import samples, spoiled
from PIL import Image
from tally import FallenError, Stated, Tally, in_children

from srcli.cli import app as command_line
from srcli.errors import SrcliError
from srcli.io.foreign import heif_module
from srcli.io.pictures import open_picture
from srcli.services.engine import Engine
from srcli.services.upscaler import Upscaler

MOST_PIXELS = 300_000  # what a lie about the size may cost the network in a run of thousands
SUFFIXES = {"apng": "png", "jpeg": "jpg", "jpeg2000": "jp2"}
ERRORS = {1: "OutputError", 2: "UsageError", 4: "ImageError", 5: "ResourceError"}


@dataclass(frozen=True)
class Bench:
    """Where one child works."""

    root: Path
    weights: Path
    engine: Engine  # of these weights, to tell what is stated for a picture

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="srcli-pictures-") as place:
        weights = make_weights(Path(place) / "tiny.safetensors")
        bench = Bench(Path(place), weights, Upscaler(weights, device="cpu").engine)
        bench.engine.plan(8, 8)  # measures the network, once for all children
        bench.temporary.mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(bench.temporary)
        # The commands are built from their functions once, not for each picture.
        command_line.app = typer.main.get_command(command_line.app)  # type: ignore[assignment]
        heif_module().register_heif_opener()
        tally = Tally("pictures")
        numbers = range(options.first, options.first + options.cases)
        in_children(
            tally,
            numbers,
            lambda number: attempt(bench, number),
            bound_mib=options.bound_mib,
            minutes=options.minutes,
        )
        sys.exit(tally.end(first=options.first, kinds=len(samples())))


def attempt(bench: Bench, number: int) -> str:
    """Upscale the spoiled picture of that number and hold the run to the law."""
    name, data = spoiled(number)
    kind = name.split()[1].partition("-")[0]
    source = bench.root / f"picture.{SUFFIXES.get(kind, kind)}"
    source.write_bytes(data)
    folder = bench.root / "out"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        _look_without_limit(source)
        with heard(bench.root) as said:
            code = _run(bench, source, folder)
        return _judge(code, said, folder, bench)
    except FallenError as fallen:
        raise FallenError(f"{name}: {fallen}") from None
    except Exception:
        raise FallenError(f"{name}:\n{_traceback()}") from None


def _look_without_limit(source: Path) -> None:
    """The header and the first rows, with the limit that people have: lies cost nothing."""
    try:
        page = open_picture(source).page(0)
        page.read_rows(0, min(page.height, 16))
    except SrcliError:
        pass


def _run(bench: Bench, source: Path, folder: Path) -> int:
    arguments = [str(source), "-m", str(bench.weights), "-d", "cpu", "--json", "-o", f"{folder}/"]
    return run([*arguments, "--max-pixels", str(MOST_PIXELS)])


def _judge(code: int, said: dict[str, str], folder: Path, bench: Bench) -> str:
    left = [file.name for file in folder.iterdir()]
    waste = [file.name for file in bench.temporary.iterdir()]
    try:
        records = [json.loads(line) for line in said["out"].splitlines()]
    except json.JSONDecodeError:
        raise FallenError(f"not JSON on stdout: {said['out'][:300]!r}") from None
    if "Traceback" in said["err"] or waste:
        raise FallenError(f"left behind {waste}, said {said['err'][-600:]!r}")
    if not records or records[-1]["type"] != "summary" or records[-1]["exit_code"] != code:
        raise FallenError(f"exit code {code}, told {records[-1:]}")
    if code == 0:
        height, width = _check_result(folder, left, records)
        plan = bench.engine.plan(height // SCALE, width // SCALE)
        return Stated("enlarged", bench.engine.bytes_of(plan))
    if code not in ERRORS or left:
        raise FallenError(f"exit code {code}, left {left}: {records}")
    told = next(record for record in records if record["type"] == "file")
    if not told["error"] or not told["hint"] or "\n" in told["error"]:
        raise FallenError(f"an error that is not one line with a hint: {told}")
    return ERRORS[code] + (" (noise on stderr)" if said["err"] else "")


def _check_result(
    folder: Path, left: list[str], records: list[dict[str, object]]
) -> tuple[int, int]:
    """Height and width of the result, which is as it was told."""
    if len(left) != 1:
        raise FallenError(f"results: {left}")
    told = next(record for record in records if record["type"] == "file")
    size = _decoded(folder / left[0])
    if size != (told["width"], told["height"]):
        raise FallenError(f"{size} was written, told {told}")
    if told["scale"] != SCALE or told["width"] % SCALE or told["height"] % SCALE:
        raise FallenError(f"not x{SCALE}: {told}")
    return told["height"], told["width"]


def _decoded(path: Path) -> tuple[int, int]:
    """Width and height of a picture, all of it decoded."""
    if path.suffix in (".avif", ".bmp", ".heic"):  # libvips knows no AVIF of several frames
        with Image.open(path) as image:
            image.load()
            return image.size
    result = pyvips.Image.new_from_file(os.fsencode(path), fail_on="error")
    result.avg()
    return result.width, result.height


def _traceback() -> str:
    import traceback

    return traceback.format_exc(limit=-8)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--from", type=int, default=0, dest="first", help="number of the first")
    parser.add_argument("--minutes", type=float, default=600, help="then the rest is left")
    parser.add_argument("--bound-mib", type=int, default=300)
    return parser.parse_args()


if __name__ == "__main__":
    main()
