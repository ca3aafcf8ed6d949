"""What pictures are scored by: each metric a column of a table, loaded once, asked per picture."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol, assert_never

import torch
from torch import Tensor

from srcli.degradations.resize import Filter, quantize, resize
from srcli.errors import ConfigError, SrcliError, UnavailableWeightsError, UsageError
from srcli.metrics import fidelity
from srcli.metrics.fidelity import Channels
from srcli.metrics.names import OTHERS, Metric
from srcli.metrics.perceptual import PerceptualDistance, Trunk
from srcli.services.network import read_weights
from srcli.services.weights import Event, obtain

# Trunk, weights of its features, weights of its heads, in the catalogue.
PERCEPTUAL = {
    Metric.LPIPS: (Trunk.ALEX, "alexnet", "lpips-alex"),
    Metric.LPIPS_VGG: (Trunk.VGG, "vgg16", "lpips-vgg"),
    Metric.ST_LPIPS: (Trunk.ALEX_SHIFT_TOLERANT, "st-lpips-alex", "st-lpips-alex"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One number of every picture."""

    name: str
    is_higher_better: bool
    unit: str = ""
    digits: int = 4

    def best(self, values: Sequence[float | None]) -> float | None:
        """The best among those that there are, None where it would say nothing."""
        known = [value for value in values if value is not None]
        if len(known) < 2:
            return None
        return max(known) if self.is_higher_better else min(known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A restored picture beside its target: uint8, (C, H, W) of one size, C is 3, or 1 for gray."""

    restored: Tensor
    target: Tensor
    low: Tensor | None = None  # (C, h, w), what it was restored from


class Scorer(Protocol):
    """One metric, ready."""

    @property
    def columns(self) -> tuple[Column, ...]: ...

    @property
    def protocol(self) -> str:
        """How exactly it is computed, in a sentence."""
        ...

    def score(self, sample: Sample) -> tuple[float | None, ...]:
        """A number for each column; None where the sample has not what it takes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringConfig:
    """Which metrics, and by which protocol."""

    metrics: tuple[str, ...] = (Metric.PSNR, Metric.SSIM)
    channels: tuple[Channels, ...] = (Channels.Y,)
    scale: int = 4
    crop: int = 4  # pixels at each side that PSNR and SSIM leave out
    device: torch.device = torch.device("cpu")
    offline: bool | None = None


def parse_metrics(text: str) -> tuple[str, ...]:
    """`psnr,ssim,pyiqa:niqe` as names. Raises UsageError for one that is not known."""
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    known = [metric.value for metric in Metric]
    for name in names:
        if name not in known and (not name.startswith(OTHERS) or name == OTHERS):
            hint = f"say {', '.join(known)}, or {OTHERS}{name} with the package pyiqa"
            raise UsageError(f"no metric is named {name!r}", hint=hint)
    if not names:
        raise UsageError("no metric is named", hint=f"say some of {', '.join(known)}")
    return names


def parse_channels(text: str) -> tuple[Channels, ...]:
    """`y,rgb` as channels. Raises UsageError for what is none."""
    try:
        return tuple(dict.fromkeys(Channels(name.strip().lower()) for name in text.split(",")))
    except ValueError:
        known = ", ".join(Channels)
        raise UsageError(f"--channels {text!r} is not understood", hint=f"say {known}") from None


def load_scorers(
    config: ScoringConfig,
    *,
    on_event: Callable[[Event], None] = lambda event: None,
) -> tuple[list[Scorer], dict[str, SrcliError]]:
    """Every metric that can be had, and why each of the others cannot."""
    scorers: list[Scorer] = []
    failures: dict[str, SrcliError] = {}
    for name in config.metrics:
        try:
            scorers += _load(name, config, on_event)
        except SrcliError as error:
            failures[name] = error
    return scorers, failures


def _load(name: str, config: ScoringConfig, on_event: Callable[[Event], None]) -> list[Scorer]:
    if name.startswith(OTHERS):
        return [OtherScorer(name, config.device)]
    match metric := Metric(name):
        case Metric.PSNR | Metric.SSIM:
            return [FidelityScorer(metric, channels, config.crop) for channels in config.channels]
        case Metric.CONSISTENCY:
            return [ConsistencyScorer(config.scale)]
        case Metric.LPIPS | Metric.LPIPS_VGG | Metric.ST_LPIPS:
            trunk, *names = PERCEPTUAL[metric]
            features, heads = (
                read_weights(obtain(each, offline=config.offline, on_event=on_event))
                for each in names
            )
            distance = PerceptualDistance.from_weights(trunk, features, heads)
            return [PerceptualScorer(metric, trunk, distance.to(config.device))]
        case _:
            assert_never(metric)


class FidelityScorer:
    """PSNR or SSIM by one choice of channels."""

    def __init__(self, metric: Metric, channels: Channels, crop: int) -> None:
        self._measures_psnr = metric is Metric.PSNR
        self._protocol = fidelity.Protocol(channels=channels, crop=crop)
        unit, digits = ("dB", 3) if self._measures_psnr else ("", 4)
        name = f"{metric}-{channels}"
        self.columns = (Column(name=name, is_higher_better=True, unit=unit, digits=digits),)

    @property
    def protocol(self) -> str:
        words = {
            Channels.Y: "BT.601 luma rounded to whole levels, as MATLAB and the tables",
            Channels.Y_UNROUNDED: "BT.601 luma not rounded, as BasicSR",
            Channels.RGB: "RGB",
        }
        what = "peak 255" if self._measures_psnr else "11 px Gaussian window of sigma 1.5"
        crop = f"{self._protocol.crop} px cropped at each side"
        return f"{self.columns[0].name}: {words[self._protocol.channels]}, 8 bits, {what}, {crop}"

    def score(self, sample: Sample) -> tuple[float | None, ...]:
        restored, target = (fidelity.prepared(each, self._protocol) for each in _both(sample))
        measure = fidelity.psnr if self._measures_psnr else fidelity.ssim
        return (float(measure(restored, target)),)


class ConsistencyScorer:
    """Whether the restored picture still is what was given: shrunk back, PSNR to the input."""

    columns = (Column(name=Metric.CONSISTENCY, is_higher_better=True, unit="dB", digits=3),)
    protocol = "consistency: shrunk by MATLAB's bicubic, PSNR of RGB to the input, nothing cropped"

    def __init__(self, scale: int) -> None:
        self._scale = scale

    def score(self, sample: Sample) -> tuple[float | None, ...]:
        if sample.low is None:
            return (None,)
        height, width = sample.low.shape[-2:]
        covered = sample.restored[:, : height * self._scale, : width * self._scale].double() / 255
        shrunk = quantize(resize(covered, (height, width), filter=Filter.BICUBIC))
        low = sample.low.double() / 255
        return (float(fidelity.psnr(shrunk.unsqueeze(0), low.unsqueeze(0), peak=1.0)),)


class PerceptualScorer:
    """LPIPS and its kin."""

    def __init__(self, metric: Metric, trunk: Trunk, distance: PerceptualDistance) -> None:
        self.columns = (Column(name=metric, is_higher_better=False),)
        self.protocol = f"{metric}: RGB of the whole picture, trunk {trunk}, version 0.1"
        self._distance = distance

    def score(self, sample: Sample) -> tuple[float | None, ...]:
        device = self._distance.shift.device
        with torch.inference_mode():
            restored, target = (_unit_rgb(each).to(device) for each in _both(sample))
            return (float(self._distance(restored, target)),)


class OtherScorer:
    """A metric of the optional package pyiqa."""

    def __init__(self, name: str, device: torch.device) -> None:
        package = _pyiqa()
        wanted = name.removeprefix(OTHERS)
        if wanted not in package.list_models():
            hint = "python -c 'import pyiqa; print(pyiqa.list_models())'"
            raise UsageError(f"pyiqa knows no metric {wanted!r}", hint=hint)
        try:
            self._metric = package.create_metric(wanted, device=device)
        except (OSError, RuntimeError) as error:  # its downloads fail in many ways
            hint = "pyiqa fetches weights by itself: see its documentation for where to put them"
            raise UnavailableWeightsError(f"pyiqa has no {wanted}: {error}", hint=hint) from error
        self._device = device
        self._needs_target = self._metric.metric_mode == "FR"
        better = not self._metric.lower_better
        self.columns = (Column(name=name, is_higher_better=better),)
        version = getattr(package, "__version__", "of unknown version")
        self.protocol = f"{name}: RGB of the whole picture, by pyiqa {version}"

    def score(self, sample: Sample) -> tuple[float | None, ...]:
        with torch.inference_mode():
            restored, target = (_unit_rgb(each).to(self._device) for each in _both(sample))
            pictures = (restored, target) if self._needs_target else (restored,)
            return (float(self._metric(*pictures)),)


def mean(values: Sequence[float | None]) -> float | None:
    """Of those that there are; infinite where one is."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _pyiqa() -> ModuleType:
    try:
        return importlib.import_module("pyiqa")
    except ImportError as error:
        hint = "pip install pyiqa (its licence forbids commercial use)"
        raise ConfigError(f"metrics named {OTHERS}… need a package: {error}", hint=hint) from None


def _both(sample: Sample) -> tuple[Tensor, Tensor]:
    return sample.restored, sample.target


def _unit_rgb(levels: Tensor) -> Tensor:
    return levels.expand(3, -1, -1).unsqueeze(0).float() / 255  # (1, 3, H, W)
