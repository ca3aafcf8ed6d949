"""The Python API of training: one function, what `srcli finetune` does."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from srcli.errors import UsageError
from srcli.services.stop import Stop
from srcli.services.training.networks import Sources
from srcli.services.training.observer import TrainingObserver
from srcli.services.training.preparation import RunOptions
from srcli.services.training.request import FinetuneRequest
from srcli.services.training.request import finetune as run
from srcli.services.training.result import TrainingReport
from srcli.training.document import PRESETS

AnyPath = str | PathLike[str]


def finetune(
    folder: AnyPath,
    *,
    model: AnyPath | None = None,
    scale: int | None = None,
    low: AnyPath | None = None,
    degradation: str | None = None,
    preset: str | None = None,
    losses: Mapping[str, float] | None = None,
    teacher: AnyPath | None = None,
    steps: int | None = None,
    batch: int | None = None,
    patch_px: int | None = None,
    learning_rate: float | None = None,
    precision: str | None = None,
    compile: bool | None = None,
    seed: int | None = None,
    output: AnyPath | None = None,
    resume: bool = False,
    device: str = "auto",
    vgg_weights: AnyPath | None = None,
    offline: bool | None = None,
    trust: bool = False,
    observer: TrainingObserver | None = None,
    stop: Stop | None = None,
) -> TrainingReport:
    """Train weights further on a folder of pictures; the report names the file to use.

    Options are those of `srcli finetune`; None leaves a choice to the preset or to the device.
    `losses` are weights by term, 0 takes one away. The run is in `output`, by default
    `runs/<name of the folder>`; `resume` goes on with it. `observer` hears each step, interval
    and validation; `stop.set()`, from it or from another thread, saves the run and ends it.

    Raises UsageError, ConfigError, WeightsError or OutOfMemoryError before anything is written;
    later TrainingError, DiskFullError or OutputError, with the last checkpoint whole.
    """
    if preset is not None and preset not in PRESETS:
        raise UsageError(f"{preset!r} is no preset", hint=f"say one of {', '.join(PRESETS)}")
    request = FinetuneRequest(
        folder=Path(folder),
        low=_path(low),
        model=_text(model),
        scale=scale,
        degradation=degradation,
        preset=preset,
        steps=steps,
        batch=batch,
        patch_px=patch_px,
        learning_rate=learning_rate,
        losses=tuple(f"{name}={weight!r}" for name, weight in (losses or {}).items()),
        precision=precision,
        compile=compile,
        seed=seed,
        teacher=_text(teacher),
        output=_path(output),
    )
    options = RunOptions(
        device=device,
        sources=Sources(offline=offline, trust=trust),
        vgg_weights=_path(vgg_weights),
        resume=resume,
    )
    return run(request, options, observer, stop)


def _path(path: AnyPath | None) -> Path | None:
    return None if path is None else Path(path)


def _text(path: AnyPath | None) -> str | None:
    return None if path is None else str(path)
