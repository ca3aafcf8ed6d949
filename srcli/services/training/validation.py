"""How good a network is on pictures that it does not learn from, seen and in numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from srcli.degradations.resize import Filter, quantize, resize
from srcli.io.files import replacing
from srcli.io.tensors import read_state_dict, write_safetensors
from srcli.metrics.fidelity import Channels, Fidelity, Protocol, measure
from srcli.models.network import Network
from srcli.reports.progress import Levels, ProgressRow, progress_sheet
from srcli.services.engine import Engine, EngineOptions
from srcli.services.network import LoadedNetwork
from srcli.services.training.pictures import WholePair
from srcli.services.training.teaching import enlarged

SAMPLE_PX = 128  # side of a picture on a sheet, in high pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Means over the validation pictures, on luma, by the protocol of the published tables."""

    psnr: float
    ssim: float

    def by(self, name: str) -> float:
        """The score that a configuration names; larger is better."""
        return {"psnr": self.psnr, "ssim": self.ssim}[name]


class Validator:
    """Scores a network on whole pictures, through the tiled inference that `upscale` uses."""

    def __init__(
        self,
        pairs: Sequence[WholePair],
        *,
        scale: int,
        device: torch.device,
        samples: int,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> None:
        self._pairs = tuple(pairs)
        self._scale = scale
        self._device = device
        self._samples = min(samples, len(pairs))
        self._side = SAMPLE_PX // scale  # of a sample, in low pixels
        self._on_note = on_note
        self._protocol = Protocol(channels=Channels.Y, crop=scale)

    def bicubic(self) -> Scores:
        """What a bicubic enlargement scores on the same pictures."""
        return _mean([measure(_bicubic(pair), pair.high, self._protocol) for pair in self._pairs])

    def validate(
        self, network: Network, *, stop: Callable[[], bool] = lambda: False
    ) -> tuple[Scores, list[Tensor]] | None:
        """Scores, and the middles for a sheet as uint8 (3, H, W); None if stopped meanwhile.

        The network is lent: it comes back in training mode on its device.
        """
        engine = Engine(
            LoadedNetwork(network=network.eval(), name="in training", digest=""),
            EngineOptions(device=str(self._device)),
            on_note=self._on_note,
        )
        found, samples = [], []
        try:
            for number, pair in enumerate(self._pairs):
                if stop():
                    return None
                restored = enlarged(engine, pair.low)
                found.append(measure(restored, pair.high, self._protocol))
                if number < self._samples:
                    samples.append(_middle(restored, self._scale, self._side))
        finally:
            network.train()
        return _mean(found), samples

    def write_sheet(self, path: Path, before: Sequence[Tensor], now: Sequence[Tensor]) -> None:
        """Write the sheet low | before | now | target as PNG."""
        rows = [
            ProgressRow(
                title=pair.name,
                low=_levels(_middle(pair.low, 1, self._side)),
                before=_levels(first),
                now=_levels(last),
                target=_levels(_middle(pair.high, self._scale, self._side)),
            )
            for pair, first, last in zip(self._pairs, before, now, strict=False)
        ]
        if rows:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                progress_sheet(rows).save(partial)


def keep_samples(path: Path, samples: Sequence[Tensor]) -> None:
    """Keep the first samples for the sheets of a resumed run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(path, {f"{number:03}": sample for number, sample in enumerate(samples)})


def kept_samples(path: Path) -> list[Tensor]:
    """What `keep_samples` kept; nothing if it is not there."""
    if not path.is_file():
        return []
    return [each for _, each in sorted(read_state_dict(path).items()) if isinstance(each, Tensor)]


def _mean(scores: Sequence[Fidelity]) -> Scores:
    return Scores(
        psnr=fmean(score.psnr for score in scores), ssim=fmean(score.ssim for score in scores)
    )


def _bicubic(pair: WholePair) -> Tensor:
    height, width = pair.high.shape[-2:]
    return quantize(resize(pair.low.float() / 255, (height, width), filter=Filter.BICUBIC))


def _middle(picture: Tensor, factor: int, side: int) -> Tensor:
    """The middle of (3, H, W): `side` low pixels, each `factor` wide, the same part of each."""
    sides = [min(side, length // factor) for length in picture.shape[-2:]]
    top, left = (
        (length // factor - part) // 2 * factor
        for length, part in zip(picture.shape[-2:], sides, strict=True)
    )
    height, width = (part * factor for part in sides)
    return picture[:, top : top + height, left : left + width].contiguous()


def _levels(picture: Tensor) -> Levels:
    return np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
