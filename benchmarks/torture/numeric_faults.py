"""NaN, infinities and black put into each precision and each plan; none may reach a picture.

Three ways in. The copy of the network that computes is poisoned, in its last or in a convolution in
its middle: below fp32 the picture must be that of fp32, to the byte, and in fp32 there must be an
error and no file. Or the network is amplified: everything between its ends is 2^n times as large,
which is the same network to the bit until a number overflows, so that parts of a photograph do.
Or the picture itself holds values that no picture has.
"""

from __future__ import annotations

import copy
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import tifffile
import torch
from fifty import photographs, piece
from numeric_plans import PRECISIONS, bounds, distance
from PIL import Image
from torch import Tensor, nn

import srcli
from srcli.errors import BadWeightsError, ImageError
from srcli.inference.geometry import PlanKind
from srcli.inference.precision import Precision
from srcli.inference.rows import TensorSink, TensorSource
from srcli.services.engine import Engine, EngineOptions
from srcli.services.network import LoadedNetwork, load_network
from srcli.services.upscale import upscale_file

MODELS = ("swift", "realesr-animevideov3", "realesrgan-x4plus-anime")
PLANS = {
    "whole": EngineOptions(device="cpu", plan=PlanKind.WHOLE),
    "stream": EngineOptions(device="cpu", plan=PlanKind.STREAM),
    "tiles": EngineOptions(device="cpu", tile=12, halo=4),
    "tta": EngineOptions(device="cpu", plan=PlanKind.WHOLE, tta=True),
    "tta, tiles": EngineOptions(device="cpu", tile=12, halo=4, tta=True),
}
FAULTS = {"NaN": torch.nan, "+infinity": torch.inf, "-infinity": -torch.inf, "black": -1e4}
PLACES = ("end", "middle")
POWERS = (0, 4, 6, 7, 8, 9, 10, 12, 24, 72, 120, 132)
OVERFLOWS_FP32 = 100  # as a power of two: what is between the ends is of the order of a hundred
Attack = Callable[[], str]


def attack(folder: Path, models: Sequence[str]) -> tuple[list[str], bool]:
    """A line for each kind of attack with what came out of it, and whether nothing was wrong.

    What is wrong is told at once on standard error.
    """
    _, path, *_ = photographs(folder / "photographs").values()
    outcomes: Counter[tuple[str, str]] = Counter()
    for model in models or MODELS:
        loaded = load_network(model)
        with tempfile.TemporaryDirectory(prefix="srcli-numeric-") as place:
            for kind, result in _attacks(loaded, piece(path, 24, 20), Path(place)):
                outcomes[kind, result] += 1
                if result.startswith("WRONG"):
                    sys.stderr.write(f"{model}: {kind}: {result}\n")
    lines = ["| attack | outcome | cases |", "| --- | --- | --- |"]
    lines += [f"| {kind} | {what} | {count} |" for (kind, what), count in outcomes.items()]
    return lines, not any(what.startswith("WRONG") for _, what in outcomes)


def _attacks(loaded: LoadedNetwork, image: Tensor, place: Path) -> Iterator[tuple[str, str]]:
    picture = place / "photograph.png"
    Image.fromarray((image.permute(1, 2, 0) * 255).byte().numpy()).save(picture)
    for plan, precision, fault, where in product(PLANS, PRECISIONS, FAULTS, PLACES):
        if (fault, where) != ("black", "middle"):
            options = replace(PLANS[plan], precision=precision)
            yield f"{fault}, {precision}", poisoned(loaded, options, picture, FAULTS[fault], where)
    for plan, precision, power in product(PLANS, PRECISIONS, POWERS):
        options = replace(PLANS[plan], precision=precision)
        yield f"amplified, {precision}", overflowing(loaded, options, image, power)
    for plan, value in product(PLANS, (torch.nan, torch.inf, -torch.inf, 1e38, -5.0)):
        yield "value in the picture", strange(loaded, PLANS[plan], image, value, place)


def poisoned(
    loaded: LoadedNetwork, options: EngineOptions, picture: Path, value: float, where: str
) -> str:
    """Poison what computes; the file must be that of fp32, or there must be none."""
    honest = picture.with_name("honest.png")
    fp32 = Engine(loaded, replace(options, precision=Precision.FP32))
    honest.unlink(missing_ok=True)
    upscale_file(fp32, picture, honest)
    loaded = replace(loaded, network=copy.deepcopy(loaded.network))
    notes: list[str] = []
    engine = Engine(loaded, options, on_note=notes.append)
    _poison(engine.runner.replica, value, where)
    output = picture.with_name("output.png")
    output.unlink(missing_ok=True)
    try:
        upscale_file(engine, picture, output)
    except BadWeightsError:
        return "WRONG: a file beside an error" if output.exists() else "refused"
    if options.precision is Precision.FP32:
        return "black is the picture" if value == FAULTS["black"] else "WRONG: written in fp32"
    if output.read_bytes() != honest.read_bytes():
        return "WRONG: another picture than that of fp32"
    return "the picture of fp32, and said so" if notes else "WRONG: said nothing"


def _poison(network: nn.Module, value: float, where: str) -> None:
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    hit = convolutions[-1 if where == "end" else len(convolutions) // 2]
    assert hit.bias is not None
    hit.bias.data.fill_(value)


def overflowing(loaded: LoadedNetwork, options: EngineOptions, image: Tensor, power: int) -> str:
    """Amplify the inside of the network; the result must be near to its own in fp32, or none."""
    expected = _run(Engine(loaded, replace(options, precision=Precision.FP32)), image)
    notes: list[str] = []
    engine = Engine(amplified(loaded, power), options, on_note=notes.append)
    try:
        restored = _run(engine, image)
    except BadWeightsError:
        return "refused" if power >= OVERFLOWS_FP32 else f"WRONG: refused at 2^{power}"
    levels, decibels = distance(restored, expected)
    most, least = bounds()[loaded.name, "whole", str(options.precision)]
    if levels > most or decibels < least:
        return f"WRONG: {levels:.2f} levels and {decibels:.1f} dB at 2^{power}"
    return "within the bound, partly in fp32" if notes else "within the bound"


def amplified(loaded: LoadedNetwork, power: int) -> LoadedNetwork:
    """The same network with everything between its ends 2^power times as large.

    Leaky ReLU and PReLU let a factor through, so biases grow with it; the last weights undo it.
    """
    network = copy.deepcopy(loaded.network)
    first, last = network.body.ends
    factor = 2.0**power
    for part in network.modules():
        if isinstance(part, nn.Conv2d) and part is not last and part.bias is not None:
            part.bias.data *= factor
    first.weight.data *= factor
    last.weight.data /= factor
    return replace(loaded, network=network)


def _run(engine: Engine, image: Tensor) -> Tensor:
    restored = torch.full((3, *(side * engine.scale for side in image.shape[1:])), torch.nan)
    engine.run(TensorSource(image), TensorSink(restored))
    assert torch.isfinite(restored).all()
    return restored.clamp(0, 1)


def strange(
    loaded: LoadedNetwork, options: EngineOptions, image: Tensor, value: float, place: Path
) -> str:
    """A float picture with a value that no picture has: a TIFF and an array."""
    pixels = image.permute(1, 2, 0).numpy().copy()
    pixels[5, 7, 1] = value
    upscaler = srcli.Upscaler.__new__(srcli.Upscaler)
    upscaler.engine = Engine(loaded, options)
    source, output = place / "strange.tif", place / "strange_x4.tif"
    _write_tiff(source, pixels)
    output.unlink(missing_ok=True)
    told = set()
    for attempt in (lambda: upscaler(pixels), lambda: upscaler(source, output=output)):
        try:
            made = attempt()
        except ImageError:
            told.add("refused as a picture")
            continue
        except BadWeightsError:
            told.add("WRONG: the weights are blamed")
            continue
        told.add("taken as the nearest colour" if _is_sound(made) else "WRONG: not finite")
    return ", ".join(sorted(told, reverse=True))


def _write_tiff(path: Path, pixels: np.ndarray) -> None:
    tifffile.imwrite(path, pixels, photometric="rgb")


def _is_sound(made: object) -> bool:
    pixels = tifffile.imread(made) if isinstance(made, Path) else np.asarray(made)
    return bool(np.isfinite(pixels).all())
