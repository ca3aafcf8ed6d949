"""The largest parts of a batch that fit in memory, found before step 1."""

from __future__ import annotations

import psutil
import torch

from srcli.data.pairs import PairSource
from srcli.errors import OutOfMemoryError
from srcli.inference.memory import free_bytes
from srcli.services.training.feed import next_parts
from srcli.training.probe import fits, picture_bytes
from srcli.training.state import Training

SHARE_OF_HOST = 0.5  # of what is free: others live here too
SAMPLE = 2  # pictures that are measured; batch normalisation needs two


def fitting_parts(training: Training, source: PairSource, *, batch: int, parts: int) -> int:
    """In how many parts a batch goes through the network, at least `parts`.

    The need of a picture is measured; on a GPU a step is tried as well. Every process of a run
    gets the same answer. Raises OutOfMemoryError where not even one picture fits.
    """
    device = training.device
    try:
        while not _seems_to_fit(training, source, batch // parts):
            parts = next_parts(batch, parts)
        while device.type == "cuda" and not _does_fit(training, source, batch // parts):
            torch.cuda.empty_cache()
            parts = next_parts(batch, parts)
    except OutOfMemoryError:
        parts = batch + 1  # the others have to hear of it
    slowest = training.processes.any(torch.tensor(float(parts), device=device))
    if slowest > batch:
        raise OutOfMemoryError(
            "not even one pair at a time fits in memory",
            hint="use a smaller --patch, a smaller network, or another --device",
        )
    return int(slowest)


def _seems_to_fit(training: Training, source: PairSource, pictures: int) -> bool:
    pair = source.batch(range(min(SAMPLE, max(pictures, 1))), training.device)
    return picture_bytes(training, pair) * pictures <= _budget(training.device)


def _does_fit(training: Training, source: PairSource, pictures: int) -> bool:
    return fits(training, [source.batch(range(pictures), training.device)])


def _budget(device: torch.device) -> float:
    if device.type == "cuda":
        return free_bytes(device)
    return SHARE_OF_HOST * psutil.virtual_memory().available
