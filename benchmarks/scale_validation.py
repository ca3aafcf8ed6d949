"""Measure what one core does in srcli's codecs, predict runs on this machine, then do them.

    python benchmarks/scale_validation.py

Rates are of processor time, measured with every core busy: one process each, all at the same time,
a picture after another with one thread. From them scale_simulation.py predicts how many pictures a
second the local pipeline and a Ray cluster of one worker for each core do here; then they do.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path
from time import perf_counter, process_time

os.environ.update(OMP_NUM_THREADS="1", VIPS_CONCURRENCY="1")  # one core each

from messy_folder import make_weights
from PIL import Image
from scale_simulation import Load, Machine, simulate

from srcli.io.formats import PictureFormat
from srcli.services.batch import Outcome, UpscaleRequest, upscale_files
from srcli.services.cluster.options import ClusterOptions
from srcli.services.engine import EngineOptions
from srcli.services.job import PictureOptions, open_job, read_ahead
from srcli.services.observer import Observer
from srcli.services.request import load_engines
from srcli.services.tasks import FolderOptions
from srcli.services.upscale import finish_job, run_job

SCALE = 4
CORES = len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Seconds:
    """Of one core for one picture."""

    decode: float
    network: float
    encode: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="srcli-scale-") as place:
        root = Path(place)
        tiny = {"channels": 2, "growth": 2}
        weights = make_weights(root / "small.safetensors", scale=SCALE, **tiny)
        same = make_weights(root / "same.safetensors", scale=1, unshuffle=4, **tiny)
        source = photograph(root / "one/source.jpg")
        result = photograph(root / "two/result.png", scale=SCALE)
        report: dict[str, object] = {"cores": CORES}
        with multiprocessing.get_context("spawn").Pool(CORES) as pool:
            seconds = _measured(pool, weights, source, "jpeg", options.seconds)
            report["decode_jpeg_mps"] = round(0.96 / seconds.decode, 2)
            _tell("decode", report["decode_jpeg_mps"])
            for kind in ("jpeg", "webp", "png"):
                spent = _measured(pool, same, result, kind, options.seconds)
                report[kind] = _rates(spent, result, kind)
                _tell(kind, report[kind])
        for number in range(options.pictures):
            photograph(root / f"in/{number}.jpg", number)
        for engine, cluster in (("local", None), ("ray", ClusterOptions(address="local"))):
            predicted = _predicted(seconds, options.pictures, is_cluster=cluster is not None)
            request = _request(weights, cluster)
            found = _rate(upscale_files(request, [root / "in"], str(root / engine)))
            report[engine] = {
                "predicted": round(predicted, 3),
                "measured": round(found, 3),
                "off_by": round(predicted / found - 1, 3),
            }
            _tell(engine, report[engine])
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


def photograph(path: Path, number: int = 0, scale: int = 1) -> Path:
    """A megapixel out of two photographs of scikit-image, enlarged as a network would: softly."""
    from skimage import data

    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (1200, 800))
    for place, photo in enumerate((data.coffee(), data.astronaut())):
        half = Image.fromarray(photo).resize((600, 800), Image.Resampling.LANCZOS)
        picture.paste(half.rotate(90 * ((number + place) % 4)), (600 * place, 0))
    size = (scale * picture.width, scale * picture.height)
    picture.resize(size, Image.Resampling.LANCZOS).save(path, quality=92)
    return path


def _tell(what: str, found: object) -> None:
    sys.stderr.write(f"{what}: {found}\n")


def _rates(spent: Seconds, source: Path, kind: str) -> dict[str, float]:
    """Megapixels a second of a core, and megabytes a megapixel of the files."""
    with Image.open(source) as image:
        area = image.width * image.height / 1e6
    result = source.parent / f"result-0.{kind}"
    return {
        "encode_mps": round(area / spent.encode, 2),
        "result_mb_per_mp": round(result.stat().st_size / 1e6 / area, 3),
    }


def _measured(pool: Pool, weights: Path, source: Path, kind: str, seconds: float) -> Seconds:
    """The mean over processes that keep all cores busy together."""
    work = [(weights, source, kind, seconds, core) for core in range(CORES)]
    found = pool.starmap(_one_core, work, chunksize=1)
    means = [sum(values) / len(values) for values in zip(*found, strict=True)]
    return Seconds(*means)


def _one_core(
    weights: Path, source: Path, kind: str, seconds: float, core: int
) -> tuple[float, float, float]:
    """Processor seconds of decoding, network and encoding for a picture, in one process.

    A network that does not enlarge is left out of its result: what is encoded is the picture.
    """
    engine = load_engines(_request(weights, None), Observer())[0]
    target = source.parent / f"result-{core}.{kind}"
    strength = 0.0 if engine.scale == 1 else 1.0
    options = PictureOptions(format=PictureFormat(kind), overwrite=True, strength=strength)
    totals, count, started = [0.0, 0.0, 0.0], 0, perf_counter()
    while not count or perf_counter() - started < seconds:
        times = [process_time()]
        job = open_job(engine, source, target, options)
        read_ahead(job)
        times.append(process_time())
        run_job(engine, job, Observer())
        times.append(process_time())
        finish_job(engine, job)
        times.append(process_time())
        job.close()
        if count or seconds < perf_counter() - started:  # the first one warms up
            totals = [total + times[n + 1] - times[n] for n, total in enumerate(totals)]
        count += 1
    done = max(count - 1, 1)
    return totals[0] / done, totals[1] / done, totals[2] / done


def _predicted(seconds: Seconds, pictures: int, *, is_cluster: bool) -> float:
    """Of the simulation, for this machine: in the local line one network, else one a core."""
    machine = Machine(
        workers=CORES if is_cluster else 1,
        cores=CORES,
        slots=2 if is_cluster else CORES + 4,
        network_mps=1 / seconds.network,
        decode_mps=1 / seconds.decode,
        encode_mps=1 / seconds.encode,
        network_on_cores=True,
        request_s=0.0,
    )
    load = Load(pictures=pictures, input_mp=1, output_mp=1, input_mb=0, output_mb=0)
    return simulate(machine, 1, load)["pictures_per_second"]


def _rate(outcomes: Iterable[Outcome]) -> float:
    """Pictures a second in the middle of a run, without its start and end."""
    ends = []
    for outcome in outcomes:
        assert outcome.report is not None, outcome.error
        ends.append(perf_counter())
    edge = 2 * CORES
    middle = ends[edge:-edge]
    return (len(middle) - 1) / (middle[-1] - middle[0])


def _request(weights: Path, cluster: ClusterOptions | None) -> UpscaleRequest:
    return UpscaleRequest(
        model=str(weights),
        engine=EngineOptions(device="cpu"),
        picture=PictureOptions(format=PictureFormat.JPEG),
        folder=FolderOptions(journal=False),
        cluster=cluster,
    )


if __name__ == "__main__":
    main()
