"""What `srcli finetune` and `srcli train` are asked for, as a configuration and a run folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from srcli.errors import UnavailableWeightsError, UsageError
from srcli.io.catalogue import catalogue
from srcli.io.looks import is_file, is_folder
from srcli.io.toml import read_toml
from srcli.losses.tables import with_weight
from srcli.services.stop import Stop
from srcli.services.training.folder import RunFolder, latest_folder, unused_folder
from srcli.services.training.networks import discriminator_for, has_vgg
from srcli.services.training.observer import TrainingObserver
from srcli.services.training.preparation import RunOptions
from srcli.services.training.result import TrainingReport
from srcli.services.training.run import run_training
from srcli.training.config import HINT, TrainingConfig, parse_config
from srcli.training.distributed import is_restarted, launch
from srcli.training.document import preset_tables

RUNS = Path("runs")
START = {4: "realesrgan-x4plus", 2: "realesrgan-x2plus"}  # weights by scale, if none are named
Tables = dict[str, Any]
OnNote = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneRequest:
    """The options of `srcli finetune`; None leaves a choice to the preset or to the device."""

    folder: Path
    low: Path | None = None
    model: str | None = None
    scale: int | None = None
    degradation: str | None = None
    preset: str | None = None
    steps: int | None = None
    batch: int | None = None
    patch_px: int | None = None
    learning_rate: float | None = None
    losses: tuple[str, ...] = ()  # NAME=WEIGHT
    precision: str | None = None
    compile: bool | None = None
    seed: int | None = None
    teacher: str | None = None
    output: Path | None = None


def finetune(
    request: FinetuneRequest,
    options: RunOptions | None = None,
    observer: TrainingObserver | None = None,
    stop: Stop | None = None,
) -> TrainingReport:
    """Fine-tune weights on a folder of pictures; see `run_training` for what may be raised."""
    options, observer = options or RunOptions(), observer or TrainingObserver()
    options = _restarted(options, request.output)
    folder = run_folder(request.output, request.folder.resolve().name, resume=options.resume)
    options = _born(options, folder, observer)
    if not is_folder(request.folder):
        raise UsageError(f"{request.folder}: no such folder", hint="give a folder of pictures")
    if options.resume:
        tables = _read_tables(RunFolder(folder).config)
    else:
        tables = _preset(request, options, observer.note)
    config = parse_config(_with_options(tables, request), source="the options")
    if options.resume:
        check_start(tables, request.model, folder)
    return run_training(config, folder, options, observer, stop)


def train_file(
    file: Path,
    output: Path | None = None,
    options: RunOptions | None = None,
    observer: TrainingObserver | None = None,
    stop: Stop | None = None,
) -> TrainingReport:
    """Train as a file says; what it leaves "auto", a resumed run takes as it was settled."""
    options, observer = options or RunOptions(), observer or TrainingObserver()
    options = _restarted(options, output)
    tables = _read_tables(file)
    is_of_run = options.resume and output is None and is_folder(file.parent / "checkpoints")
    wanted = file.parent if is_of_run else output
    folder = run_folder(wanted, file.stem, resume=options.resume)
    options = _born(options, folder, observer)
    config = parse_config(tables, source=str(file))
    if options.resume:
        config = parse_config(
            _settled_as(tables, _read_tables(RunFolder(folder).config)), source=str(file)
        )
    return run_training(config, folder, options, observer, stop)


def _restarted(options: RunOptions, output: Path | None) -> RunOptions:
    """With `resume` where torchrun has started the same run again, and it has a checkpoint."""
    if int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) == 0 or options.resume:
        return options
    if output is None:
        raise UsageError(
            "torchrun may restart the run, which must then find its folder",
            hint="name the folder with --output, on a disk that all machines share",
        )
    folder = RunFolder(output)
    is_ours = is_restarted() and folder.is_of(launch()) and folder.has_checkpoint
    return replace(options, resume=is_ours)


def _born(options: RunOptions, folder: Path, observer: TrainingObserver) -> RunOptions:
    """Without `resume` where the run was killed before it had anything to go on from."""
    run = RunFolder(folder)
    if not options.resume or (is_file(run.config) and not run.is_stillborn):
        return options
    if not run.is_stillborn:
        raise UsageError(
            f"{folder} holds no run to go on with",
            hint="leave --resume out, or name the folder of the run with --output",
        )
    observer.note(f"{folder} was stopped before anything was saved: starting from the beginning")
    return replace(options, resume=False)


def run_folder(output: Path | None, name: str, *, resume: bool) -> Path:
    """Where a run is: `output`, or runs/NAME, with a number if there is one already."""
    if output is not None:
        return output
    return latest_folder(RUNS / name) if resume else unused_folder(RUNS / name)


def finetune_config(
    request: FinetuneRequest, options: RunOptions, on_note: OnNote = lambda note: None
) -> TrainingConfig:
    """The configuration that the options of a new run stand for."""
    tables = _with_options(_preset(request, options, on_note), request)
    return parse_config(tables, source="the options")


def _read_tables(path: Path) -> Tables:
    return read_toml(path, dict[str, Any], hint=HINT)


def check_start(tables: Tables, model: str | None, folder: Path) -> None:
    """Refuse other weights than those that a run began with: they would change nothing."""
    network = tables.get("network")
    began = network.get("weights") if isinstance(network, dict) else None
    if model is not None and not (began and _is_same(model, began)):
        raise UsageError(
            f"{folder} began with {began or 'a fresh network'}, not with {model}",
            hint="leave --model away to go on with it, or name another folder with --output",
        )


def _is_same(one: str, other: str) -> bool:
    """Whether two names are those of the same weights: aliases, or paths to one file."""
    entry = catalogue().find(one)
    if entry is not None:
        return entry is catalogue().find(other)
    return one == other or Path(one).resolve() == Path(other).resolve()


def _preset(request: FinetuneRequest, options: RunOptions, on_note: OnNote) -> Tables:
    """The tables of the preset, with the start weights and a discriminator that suits them."""
    name = request.preset or _available_preset(options, on_note)
    tables = preset_tables(name)
    model = request.model or START.get(request.scale or 4)
    if model is None:
        raise UsageError(
            f"no weights are known to start from at scale {request.scale}",
            hint="name some with --model, or train from nothing: srcli train --print-config psnr",
        )
    network: Tables = {"kind": "pretrained", "weights": model}
    if request.scale is not None:
        network["scale"] = request.scale
    tables = {**tables, "network": network, "data": {**tables.get("data", {})}}
    if "weights" in tables.get("adversary", {}):
        tables["adversary"] = _adversary(tables["adversary"], model, options, on_note)
    return tables


def _available_preset(options: RunOptions, on_note: OnNote) -> str:
    missing = has_vgg(options.vgg_weights, options.sources)
    if missing is None:
        return "realesrgan"
    on_note(f"preset psnr, because realesrgan needs the weights of VGG19: {missing}")
    return "psnr"


def _adversary(adversary: Tables, model: str, options: RunOptions, on_note: OnNote) -> Tables:
    """The discriminator that belongs to the start weights; else a fresh one, and a note."""
    partner = discriminator_for(model)
    reason = f"none was released for {model}"
    if partner is not None:
        try:
            options.sources.obtain(partner)
            return {**adversary, "weights": partner}
        except UnavailableWeightsError as error:
            reason = str(error)
    on_note(f"the discriminator starts from nothing: {reason}")
    return {key: value for key, value in adversary.items() if key != "weights"}


def _with_options(tables: Tables, request: FinetuneRequest) -> Tables:
    """The tables with every option that was given in its place."""
    data: Tables = {**tables.get("data", {}), "high": str(request.folder)}
    if request.low is not None:
        data["low"] = str(request.low)
        data.pop("degradation", None)
    if request.degradation is not None:
        data["degradation"] = request.degradation
    training = {
        "steps": request.steps,
        "batch": request.batch,
        "patch_px": request.patch_px,
        "precision": request.precision,
        "compile": request.compile,
        "seed": request.seed,
    }
    tables = {
        **tables,
        "data": data,
        "training": {**tables.get("training", {}), **_given(training)},
        "optimizer": {
            **tables.get("optimizer", {}),
            **_given({"learning_rate": request.learning_rate}),
        },
    }
    if request.teacher is not None:
        tables["teacher"] = {**tables.get("teacher", {}), "weights": request.teacher}
    for text in request.losses:
        tables = with_weight(tables, *parse_loss(text))
    if "discriminator" not in tables:
        tables.pop("adversary", None)
    return tables


def parse_loss(text: str) -> tuple[str, float]:
    """`NAME=WEIGHT` as its two parts; UsageError for anything else.

    >>> parse_loss("perceptual=0.5")
    ('perceptual', 0.5)
    """
    name, _, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise UsageError(
            f"--loss {text!r} is not understood", hint="write it as perceptual=1.0"
        ) from None


def _given(values: Mapping[str, Any]) -> Tables:
    return {name: value for name, value in values.items() if value is not None}


def _settled_as(tables: Tables, stored: Tables) -> Tables:
    """The tables with "auto", said or meant, as the stored run settled it.

    >>> _settled_as({"training": {"steps": 9}}, {"training": {"steps": 5, "batch": 4}})
    {'training': {'steps': 9, 'batch': 4}}
    """
    settled = dict(tables)
    for name, values in stored.items():
        ours = tables.get(name)
        if name in _SETTLED and isinstance(values, dict):
            said = {key: each for key, each in (ours or {}).items() if each != "auto"}
            settled[name] = {**values, **said}
    return settled


_SETTLED = {"data", "training", "average", "validation", "checkpoints", "log"}
