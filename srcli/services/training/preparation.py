"""Everything that can go wrong before step 1 goes wrong here."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from math import lcm
from pathlib import Path

import torch

from srcli.data.pairs import PairSource
from srcli.errors import OutOfMemoryError, UsageError
from srcli.inference.precision import keep_fp32
from srcli.io.looks import is_folder
from srcli.services.devices import choose_device, list_devices
from srcli.services.training.assembly import assemble, gather_helpers
from srcli.services.training.feed import TrainingFeed
from srcli.services.training.fitting import fitting_parts
from srcli.services.training.folder import RunFolder
from srcli.services.training.networks import Base, Sources, start_network, teacher_network
from srcli.services.training.observer import Beginning, TrainingObserver
from srcli.services.training.pictures import Pictures, find_pictures, pair_source, whole_pair
from srcli.services.training.teaching import taught_source
from srcli.services.training.validation import Validator, find_lpips
from srcli.training.config import TrainingConfig
from srcli.training.defaults import Machine, Settled, settle
from srcli.training.distributed import Processes
from srcli.training.state import Training

SMALLEST_PATCH_PX = 64  # that is chosen by itself where memory is short


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Where a run gets what it needs; nothing that its numbers hang on."""

    device: str = "auto"
    sources: Sources = field(default_factory=Sources)
    vgg_weights: Path | None = None
    resume: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that can take its first step."""

    config: TrainingConfig  # nothing in it is "auto"
    settled: Settled
    base: Base
    pictures: Pictures
    training: Training
    feed: TrainingFeed
    validator: Validator


def prepare(
    config: TrainingConfig,
    folder: RunFolder,
    options: RunOptions,
    observer: TrainingObserver,
    *,
    device: torch.device,
    processes: Processes,
) -> Prepared:
    """Look at the pictures, fetch the networks, measure the memory.

    Raises UsageError, ConfigError, WeightsError or OutOfMemoryError; then nothing was written.
    """
    for path in filter(None, (config.data.high, config.data.low)):
        if not is_folder(Path(path)):
            raise UsageError(f"{path}: no such folder", hint="give a folder of pictures")
    seed = config.training.seed
    torch.manual_seed(seed)  # fresh networks have their weights from it
    network, base = start_network(config.network, options.sources)
    settled = settle(config, machine_of(device), scale=network.scale)
    pictures = find_pictures(config.data, scale=network.scale, patch_px=settled.patch_px, seed=seed)
    observer.surveyed(pictures)
    helpers = gather_helpers(config, options.vgg_weights, options.sources)
    training = assemble(config, settled, network, helpers, device=device, processes=processes)
    settled, source = _fitted(config, settled, pictures, training, options, folder, observer)
    feed = TrainingFeed(
        source,
        batch=settled.batch,
        parts=settled.accumulation,
        device=device,
        workers=settled.workers,
        processes=processes,
    )
    return Prepared(
        config=settled.written_into(config),
        settled=settled,
        base=base,
        pictures=pictures,
        training=training,
        feed=feed,
        validator=_validator(config, settled, pictures, training, options, observer),
    )


def beginning_of(prepared: Prepared, folder: RunFolder) -> Beginning:
    """What a run is, for those who watch it."""
    training, pictures = prepared.training, prepared.pictures
    network = training.network
    return Beginning(
        folder=folder.path,
        network=f"{network.traits.architecture}, x{network.scale}",
        base=prepared.base.name,
        losses=tuple(prepared.config.losses),
        device=str(training.device),
        settled=prepared.settled,
        parts=prepared.feed.parts,
        first_step=training.step,
        training_pictures=len(pictures.training),
        validation_pictures=len(pictures.validation),
        is_first=training.processes.is_first,
    )


def device_of(wanted: str) -> torch.device:
    """The device of this process; torchrun's processes on one machine have a GPU each."""
    local = os.environ.get("LOCAL_RANK")
    if wanted in ("auto", "cuda") and local is not None and torch.cuda.is_available():
        wanted = f"cuda:{local}"
    device = choose_device(wanted)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Not left to the first validation: not every process has one, nor every sitting at its start.
    keep_fp32(device)
    return device


def machine_of(device: torch.device) -> Machine:
    """What the settling of "auto" has to know."""
    facts = next(each for each in list_devices() if each.name in (device.type, str(device)))
    # Autocast on Apple's GPUs is young, and nobody could measure it here.
    return Machine(
        is_accelerated=device.type != "cpu",
        precisions=("fp32",) if device.type == "mps" else facts.precisions,
        cores=os.cpu_count() or 1,
    )


def _fitted(
    config: TrainingConfig,
    settled: Settled,
    pictures: Pictures,
    training: Training,
    options: RunOptions,
    folder: RunFolder,
    observer: TrainingObserver,
) -> tuple[Settled, PairSource]:
    """The pairs, in parts that fit in memory; smaller patches if nobody asked for their size."""
    step = lcm(8, training.network.scale)
    while True:
        source = _source(config, settled, pictures, training, options, folder, observer)
        try:
            parts = fitting_parts(training, source, batch=settled.batch, parts=settled.accumulation)
        except OutOfMemoryError:
            smaller = settled.patch_px // 2 // step * step
            if config.training.patch_px != "auto" or smaller < SMALLEST_PATCH_PX:
                raise
            observer.note(f"patches of {settled.patch_px} px do not fit in memory: {smaller} px")
            settled = replace(settled, patch_px=smaller)
            continue
        if parts != settled.accumulation:
            observer.note(f"for want of memory a batch goes through in {parts} parts")
        return replace(settled, accumulation=parts), source


def _source(
    config: TrainingConfig,
    settled: Settled,
    pictures: Pictures,
    training: Training,
    options: RunOptions,
    folder: RunFolder,
    observer: TrainingObserver,
) -> PairSource:
    scale = training.network.scale
    if config.teacher is None:
        return pair_source(
            pictures,
            config.data,
            scale=scale,
            patch_px=settled.patch_px,
            seed=config.training.seed,
        )
    teacher = teacher_network(config.teacher.weights, options.sources, scale=scale)
    return taught_source(
        pictures,
        config,
        settled,
        teacher,
        folder.teacher,
        device=training.device,
        processes=training.processes,
        on_note=observer.note,
    )


def _validator(
    config: TrainingConfig,
    settled: Settled,
    pictures: Pictures,
    training: Training,
    options: RunOptions,
    observer: TrainingObserver,
) -> Validator:
    scale, device = training.network.scale, training.device
    is_needed = config.validation.keep_best_by == "lpips"
    pairs = [
        whole_pair(
            example,
            config.data,
            scale=scale,
            largest_px=settled.largest_px,
            seed=config.training.seed,
        )
        for example in pictures.validation
    ]
    return Validator(
        pairs,
        scale=scale,
        device=device,
        samples=config.validation.samples,
        lpips=find_lpips(options.sources, device, is_needed=is_needed),
        on_note=observer.note,
    )
