"""How much faster a folder is done by the pipeline than one picture after another.

    python benchmarks/folder_pipeline.py --pictures 12 --rounds 3

The rounds of both ways are interleaved, so that a busy machine slows both. The network is chosen
so small that the codecs have about as much to do as it has: with a large one there is nothing to
win, because the network is all of the time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, process_time

import checkout  # noqa: F401 - finds srcli, also for what this one imports
import torch
from messy_folder import make_weights
from PIL import Image, ImageFilter

from srcli.io.formats import PictureFormat
from srcli.services.batch import UpscaleRequest
from srcli.services.engine import Engine, EngineOptions
from srcli.services.job import PictureOptions
from srcli.services.line import Line
from srcli.services.observer import Observer
from srcli.services.request import load_engines
from srcli.services.stop import Stop
from srcli.services.targets import Place
from srcli.services.tasks import Task
from srcli.services.upscale import UpscaleReport, upscale_file


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="srcli-pipeline-") as place:
        root = Path(place)
        sources = [_photograph(root / f"in/{n}.jpg", n) for n in range(options.pictures)]
        shape = {"channels": options.channels, "growth": 2}
        shape |= {"scale": options.scale, "unshuffle": options.unshuffle}
        model = make_weights(root / "small.safetensors", **shape)
        request = UpscaleRequest(model=str(model), engine=EngineOptions(device=options.device))
        picture = PictureOptions(format=PictureFormat(options.format))
        engine = load_engines(request, Observer())[0]
        upscale_file(engine, sources[0], Place(root / "warm", "up"))
        rounds = [
            {
                name: _timed(way, engine, sources, root / f"{name}-{n}", picture)
                for name, way in WAYS.items()
            }
            for n in range(options.rounds)
        ]
        _check_equal(root)
    _print(options, rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=int, default=1, help="of the network")
    parser.add_argument("--unshuffle", type=int, default=4, help="of the network: 16 times as fast")
    parser.add_argument("--channels", type=int, default=2, help="of the network")
    parser.add_argument("--format", default="jpeg", help="of the results")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def _photograph(path: Path, seed: int) -> Path:
    """About a megapixel of something with edges and a little noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    base = Image.effect_mandelbrot((1200, 833), (-2 + seed / 50, -1, 1, 1), 60)
    noise = Image.effect_noise((1200, 833), 20)
    bands = [base, base.filter(ImageFilter.GaussianBlur(3)), noise]
    Image.merge("RGB", bands).save(path, quality=90)
    return path


def one_after_another(
    engine: Engine, sources: list[Path], out: Path, picture: PictureOptions
) -> list[UpscaleReport]:
    return [upscale_file(engine, source, Place(out, source.stem), picture) for source in sources]


def pipeline(
    engine: Engine, sources: list[Path], out: Path, picture: PictureOptions
) -> list[UpscaleReport]:
    tasks: Iterator[Task] = (
        Task(source=source, target=Place(out, source.stem)) for source in sources
    )
    line = Line([engine], picture, Observer(), Stop())
    reports = []
    for outcome in line.outcomes(tasks):
        assert outcome.report is not None, outcome.error
        reports.append(outcome.report)
    return reports


WAYS = {"one_after_another": one_after_another, "pipeline": pipeline}


def _timed(
    way: Callable[[Engine, list[Path], Path, PictureOptions], list[UpscaleReport]],
    engine: Engine,
    sources: list[Path],
    out: Path,
    picture: PictureOptions,
) -> dict[str, float]:
    wall, cpu = perf_counter(), process_time()
    reports = way(engine, sources, out, picture)
    wall, cpu = perf_counter() - wall, process_time() - cpu
    network = sum(report.network_seconds for report in reports)
    return {
        "seconds": wall,
        "cpu_seconds": cpu,
        "decode": sum(report.decode_seconds for report in reports),
        "network": network,
        "encode": sum(report.encode_seconds for report in reports),
        "network_idle": wall - network,
    }


def _check_equal(root: Path) -> None:
    for one in (root / "one_after_another-0").iterdir():
        assert one.read_bytes() == (root / "pipeline-0" / one.name).read_bytes(), one


def _print(options: argparse.Namespace, rounds: list[dict[str, dict[str, float]]]) -> None:
    ratios = [one["one_after_another"]["seconds"] / one["pipeline"]["seconds"] for one in rounds]
    medians = {
        way: {
            key: round(statistics.median(one[way][key] for one in rounds), 2)
            for key in rounds[0][way]
        }
        for way in WAYS
    }
    report = {
        **vars(options),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "median": medians,
        "ratios": [round(ratio, 2) for ratio in ratios],
        "median_ratio": round(statistics.median(ratios), 2),
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
