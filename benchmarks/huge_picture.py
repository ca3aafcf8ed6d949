"""Peak memory of a picture larger than memory allows at once, through rows, spool and encoder.

    python benchmarks/huge_picture.py --side 20000 --scale 2 --format tiff

The network is a pixel repetition, so that what is measured is the path of the picture alone.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import pyvips

from srcli.io.drift import ColorFix
from srcli.io.encode import WriteOptions, spool_dtype, write_picture
from srcli.io.formats import PictureFormat
from srcli.io.pictures import open_picture
from srcli.io.spool import Spool

BAND_ROWS = 64


def make_picture(path: Path, side: int) -> None:
    """A coloured ramp with some texture, written by libvips row after row."""
    ramp = pyvips.Image.xyz(side, side).linear([255 / side, 255 / side], 0)
    texture = pyvips.Image.gaussnoise(1024, 1024, sigma=6, mean=0)
    texture = texture.replicate(side // 1024 + 1, side // 1024 + 1).crop(0, 0, side, side)
    picture = (ramp.bandjoin(ramp[0]) + texture).cast("uchar").copy(interpretation="srgb")
    picture.write_to_file(str(path))


def enlarge(source: Path, target: Path, scale: int, color_fix: ColorFix) -> tuple[float, float]:
    """Seconds of reading into the spool, and of finishing and encoding."""
    picture = open_picture(source)
    page = picture.page(0)
    size = (page.height * scale, page.width * scale)
    kind = PictureFormat(target.suffix[1:])
    options = WriteOptions(size=size, format=kind, color_fix=color_fix)
    dtype = spool_dtype(picture, kind, options, size)
    start = time.perf_counter()
    with Spool.create(*size, 3, dtype, folder=target.parent) as spool:
        for top in range(0, page.height, BAND_ROWS):
            rows = page.read_rows(top, min(top + BAND_ROWS, page.height))
            spool.write_rows(top * scale, rows.repeat(scale, axis=0).repeat(scale, axis=1))
        middle = time.perf_counter()
        write_picture(picture, [(spool, None)], target, options)
    return middle - start, time.perf_counter() - middle


def peak_gib() -> float:
    """Peak resident memory of this process in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=20_000, help="pixels a side of the input")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--source-format", default="tiff")
    parser.add_argument("--format", default="tiff")
    parser.add_argument("--color-fix", type=ColorFix, default=ColorFix.OFF)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="srcli-huge-") as folder:
        source = Path(folder) / f"source.{arguments.source_format}"
        make_picture(source, arguments.side)
        before = peak_gib()
        target = Path(folder) / f"target.{arguments.format}"
        reading, writing = enlarge(source, target, arguments.scale, arguments.color_fix)
        size = target.stat().st_size / 1e9
    sys.stdout.write(
        f"{arguments.side} px a side, x{arguments.scale}, {arguments.source_format} to "
        f"{arguments.format} ({size:.2f} GB): peak {peak_gib():.2f} GiB (making the input: "
        f"{before:.2f}), {reading:.0f} s to the spool, {writing:.0f} s to the file\n"
    )


if __name__ == "__main__":
    main()
