"""How good a network is on pictures that it does not learn from, seen and in numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from statistics import fmean
from typing import assert_never

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from srcli.degradations.resize import Filter, quantize, resize
from srcli.io.files import output_errors, replacing
from srcli.io.tensors import read_state_dict, write_safetensors
from srcli.metrics.fidelity import Channels, Protocol, measure
from srcli.metrics.names import Metric
from srcli.models.network import Network
from srcli.reports.progress import Levels, ProgressRow, save_sheet
from srcli.services.engine import Engine, EngineOptions
from srcli.services.network import LoadedNetwork
from srcli.services.scores import PerceptualScorer, Sample, ScoringConfig, load_scorers
from srcli.services.stop import Stop
from srcli.services.training.networks import Sources
from srcli.services.training.pictures import WholePair
from srcli.services.training.teaching import enlarged
from srcli.training.config import Score

SAMPLE_PX = 128  # side of a picture on a sheet, in high pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Means over the validation pictures: PSNR and SSIM on luma, as the published tables."""

    psnr: float
    ssim: float
    lpips: float | None = None  # where its weights are there

    def by(self, name: Score) -> float:
        """The score that a configuration names, so that larger is better."""
        match name:
            case "psnr":
                return self.psnr
            case "ssim":
                return self.ssim
            case "lpips":
                return -inf if self.lpips is None else -self.lpips
            case _:
                assert_never(name)

    def numbers(self) -> dict[str, float]:
        """Those that there are, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Validator:
    """Scores a network on whole pictures, through the tiled inference that `upscale` uses."""

    def __init__(
        self,
        pairs: Sequence[WholePair],
        *,
        scale: int,
        device: torch.device,
        samples: int,
        lpips: PerceptualScorer | None = None,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> None:
        self._lpips = lpips
        self._pairs = tuple(pairs)
        self._scale = scale
        self._device = device
        self._samples = min(samples, len(pairs))
        side = max(SAMPLE_PX // scale, 1)
        self._windows = [busiest_window(pair.low, side) for pair in self._pairs[: self._samples]]
        self._on_note = on_note
        self._protocol = Protocol(channels=Channels.Y, crop=scale)

    def bicubic(self) -> Scores:
        """What a bicubic enlargement scores on the same pictures."""
        return _mean([self._score(_bicubic(pair), pair) for pair in self._pairs])

    def validate(
        self, network: Network, *, stop: Stop | None = None
    ) -> tuple[Scores, list[Tensor]] | None:
        """Scores, and the windows for a sheet as uint8 (3, H, W); None if stopped meanwhile.

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
                if stop is not None and stop.is_set():
                    return None
                restored = enlarged(engine, pair.low)
                found.append(self._score(restored, pair))
                if number < self._samples:
                    samples.append(self._windows[number].of(restored, self._scale))
        finally:
            network.train()
        return _mean(found), samples

    def _score(self, restored: Tensor, pair: WholePair) -> Scores:
        fidelity = measure(restored, pair.high, self._protocol)
        lpips = None
        if self._lpips is not None:
            (lpips,) = self._lpips.score(Sample(restored=restored, target=pair.high))
        return Scores(psnr=fidelity.psnr, ssim=fidelity.ssim, lpips=lpips)

    def write_sheet(self, path: Path, before: Sequence[Tensor], now: Sequence[Tensor]) -> None:
        """Write the sheet low | before | now | target as PNG."""
        rows = [
            ProgressRow(
                title=pair.name,
                low=_levels(window.of(pair.low, 1)),
                before=_levels(first),
                now=_levels(last),
                target=_levels(window.of(pair.high, self._scale)),
            )
            for pair, window, first, last in zip(
                self._pairs, self._windows, before, now, strict=False
            )
        ]
        if rows:
            with output_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                save_sheet(partial, rows)


def keep_samples(path: Path, samples: Sequence[Tensor]) -> None:
    """Keep the first samples for the sheets of a resumed run."""
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(path, {f"{number:03}": sample for number, sample in enumerate(samples)})


def kept_samples(path: Path) -> list[Tensor]:
    """What `keep_samples` kept; nothing if it is not there."""
    if not path.is_file():
        return []
    return [each for _, each in sorted(read_state_dict(path).items()) if isinstance(each, Tensor)]


def find_lpips(
    sources: Sources, device: torch.device, *, is_needed: bool
) -> PerceptualScorer | None:
    """LPIPS on AlexNet: fetched if the configuration needs it, else only if it is here already."""
    config = ScoringConfig(
        metrics=(Metric.LPIPS,), device=device, offline=sources.offline if is_needed else True
    )
    scorers, failures = load_scorers(config, on_event=sources.on_event)
    if is_needed and failures:
        raise failures[Metric.LPIPS]
    return next((each for each in scorers if isinstance(each, PerceptualScorer)), None)


def _mean(scores: Sequence[Scores]) -> Scores:
    lpips = [score.lpips for score in scores if score.lpips is not None]
    return Scores(
        psnr=fmean(score.psnr for score in scores),
        ssim=fmean(score.ssim for score in scores),
        lpips=fmean(lpips) if lpips else None,
    )


def _bicubic(pair: WholePair) -> Tensor:
    height, width = pair.high.shape[-2:]
    enlarged = resize(pair.low.float() / 255, (height, width), filter=Filter.BICUBIC)
    return (quantize(enlarged) * 255).round().byte()


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a picture, in low pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, picture: Tensor, factor: int) -> Tensor:
        """Cut it from (3, H, W), whose pixels are `factor` to a low one on each side."""
        top, left, height, width = (
            each * factor for each in (self.top, self.left, self.height, self.width)
        )
        return picture[:, top : top + height, left : left + width].contiguous()


def busiest_window(low: Tensor, side: int) -> Window:
    """Where most is to be seen in uint8 (3, h, w): the square with the strongest differences.

    >>> low = torch.zeros(3, 8, 12, dtype=torch.uint8)
    >>> low[:, 5, 9] = 255
    >>> busiest_window(low, 4)
    Window(top=4, left=8, height=4, width=4)
    """
    height, width = min(side, low.shape[-2]), min(side, low.shape[-1])
    gray = low.float().mean(0)
    change = torch.zeros_like(gray)
    change[1:] += gray.diff(dim=0).abs()
    change[:, 1:] += gray.diff(dim=1).abs()
    steps = max(height // 2, 1), max(width // 2, 1)
    sums = F.avg_pool2d(change[None, None], (height, width), steps)[0, 0]
    row, column = divmod(int(sums.argmax()), sums.shape[1])
    return Window(row * steps[0], column * steps[1], height, width)


def _levels(picture: Tensor) -> Levels:
    return np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
