"""Each plan in each precision against the whole image in fp32, on fifty photographs.

What is allowed stands in docs/explanation/precision.md, in the table that `bounds` reads: a claim
and its check cannot differ. A record a photograph is kept in a file, so that a run may be cut off.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, log10
from pathlib import Path
from time import monotonic
from typing import Literal

import torch
from fifty import ROOT, photographs, piece
from torch import Tensor

from srcli.inference.geometry import PlanKind
from srcli.inference.precision import Precision
from srcli.inference.rows import TensorSink, TensorSource
from srcli.services.engine import Engine, EngineOptions
from srcli.services.network import LoadedNetwork, load_network

PAGE = ROOT / "docs" / "explanation" / "precision.md"
Way = Literal["whole", "stream", "tiles", "tta"]
WAYS: tuple[Way, ...] = ("whole", "stream", "tiles", "tta")
PRECISIONS = (Precision.FP32, Precision.FP16, Precision.BF16)


@dataclass(frozen=True, slots=True)
class Trial:
    """A network, and what of a photograph it is shown."""

    model: str
    height: int
    width: int
    tile: int  # so that a tile does not see the whole piece
    eight: int  # side of what the self-ensemble is shown, at eight times the cost


TRIALS = (
    Trial("swift", 128, 128, tile=64, eight=48),
    Trial("realesr-animevideov3", 128, 128, tile=64, eight=48),
    # Longer than wide: its tiles need 48 pixels of context on each side, and of a square piece each
    # would see nearly all, at twelve times the cost of a Compact network.
    Trial("realesrgan-x4plus-anime", 112, 24, tile=28, eight=16),
)


def bounds() -> dict[tuple[str, str, str], tuple[float, float]]:
    """(network, way, precision) to the levels of 255 and the dB that the page states."""
    found = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[1] in WAYS:
            for precision, cell in zip(PRECISIONS, cells[2:], strict=True):
                levels, decibels = cell.removesuffix(" dB").split(", ")
                found[cells[0].strip("`"), cells[1], str(precision)] = (
                    float(levels),
                    float(decibels),
                )
    return found


def measure(
    folder: Path, records: Path, models: Sequence[str], share: slice, *, minutes: float
) -> bool:
    """Append what is not yet in `records` of a share of the photographs; whether it now is all."""
    end = monotonic() + 60 * minutes
    done = {(record["model"], record["photograph"]) for record in read(records)}
    for trial in (each for each in TRIALS if not models or each.model in models):
        loaded = load_network(trial.model)
        for name, path in list(photographs(folder).items())[share]:
            if (trial.model, name) in done:
                continue
            if monotonic() > end:
                return False
            image = piece(path, trial.height, trial.width)
            with records.open("a") as file:
                for record in distances(loaded, trial, image):
                    file.write(json.dumps({"photograph": name, **record}) + "\n")
    return True


def read(records: Path) -> list[dict[str, object]]:
    return (
        [json.loads(line) for line in records.read_text().splitlines()] if records.exists() else []
    )


def distances(loaded: LoadedNetwork, trial: Trial, image: Tensor) -> Iterator[dict[str, object]]:
    """The distance of each way in each precision from the whole image in fp32."""
    whole = enlarged(loaded, image, "whole", Precision.FP32, trial.tile)
    small = image[:, : trial.eight, : trial.eight]
    eight = mean_of_eight(loaded, small)
    for way in WAYS:
        seen, expected = (small, eight) if way == "tta" else (image, whole)
        for precision in PRECISIONS:
            restored = enlarged(loaded, seen, way, precision, trial.tile)
            levels, decibels = distance(restored, expected)
            yield {
                "model": trial.model,
                "way": way,
                "precision": str(precision),
                "levels": levels,
                "decibels": decibels,
            }


def enlarged(
    loaded: LoadedNetwork, image: Tensor, way: Way, precision: Precision, tile: int
) -> Tensor:
    """What srcli makes of the image, as it would be written: (3, s·H, s·W) in [0, 1]."""
    kinds = {"stream": PlanKind.STREAM, "tiles": PlanKind.TILES}
    options = EngineOptions(
        device="cpu",
        precision=precision,
        plan=kinds.get(way, PlanKind.WHOLE),
        tile=tile if way == "tiles" else None,
        tta=way == "tta",
    )
    engine = Engine(loaded, options)
    restored = torch.full((3, *(side * engine.scale for side in image.shape[1:])), torch.nan)
    engine.run(TensorSource(image), TensorSink(restored))
    assert engine.precision is precision, "the guard gave up the precision that is measured"
    return restored.clamp(0, 1)


@torch.inference_mode()
def mean_of_eight(loaded: LoadedNetwork, image: Tensor) -> Tensor:
    """The self-ensemble with plain calls and rot90, which srcli's own does not use."""
    total: Tensor | None = None
    for turns in range(4):
        for mirrored in (image, image.flip(-1)):
            seen = torch.rot90(mirrored, turns, (-2, -1))
            restored = torch.rot90(loaded.network(seen[None])[0], -turns, (-2, -1))
            restored = restored if mirrored is image else restored.flip(-1)
            total = restored if total is None else total + restored
    assert total is not None
    return (total / 8).clamp(0, 1)


def distance(one: Tensor, other: Tensor) -> tuple[float, float]:
    """The largest difference in levels of 255, and the PSNR in dB."""
    error = (one.double() - other.double()).abs()
    assert torch.isfinite(error).all()
    square = float(error.square().mean())
    return 255 * float(error.max()), -10 * log10(square) if square else inf


def table(records: list[dict[str, object]]) -> tuple[list[str], bool]:
    """The worst of all photographs against the bounds, in Markdown; whether all are kept."""
    groups: defaultdict[tuple[str, str, str], dict[str, tuple[float, float]]] = defaultdict(dict)
    for record in records:
        key = str(record["model"]), str(record["way"]), str(record["precision"])
        found = float(str(record["levels"])), float(str(record["decibels"]))
        groups[key][str(record.get("photograph"))] = found
    stated, kept = bounds(), True
    lines = ["| network | plan | precision | photographs | worst, levels | worst, dB | bound | |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for key, values in groups.items():
        levels = max(each[0] for each in values.values())
        decibels = min(each[1] for each in values.values())
        most, least = stated.get(key, (0.0, inf))
        is_kept = levels <= most and decibels >= least
        kept &= is_kept
        cells = (*key, len(values), f"{levels:.4f}", f"{decibels:.1f}", f"{most:g}, {least:g} dB")
        lines.append(f"| {' | '.join(map(str, cells))} | {'kept' if is_kept else 'BROKEN'} |")
    return lines, kept
