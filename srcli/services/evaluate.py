"""Judge restored pictures, networks and plain enlargements against targets, side by side.

targets -> low pictures by the protocol -> each candidate restores them -> each metric scores them
        -> per picture and mean, with every problem named; what can be scored is scored.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from srcli.degradations.names import Preset
from srcli.errors import SrcliError, UsageError
from srcli.io.files import replacing
from srcli.metrics.fidelity import Channels
from srcli.metrics.names import Baseline, Metric
from srcli.services.candidates import (
    BaselineCandidate,
    Candidate,
    FolderCandidate,
    NetworkCandidate,
)
from srcli.services.devices import choose_device
from srcli.services.engine import Engine, EngineOptions
from srcli.services.examples import Example, Examples, LowConfig, fit
from srcli.services.network import load_network
from srcli.services.observer import EvaluateObserver
from srcli.services.partners import match, pictures_in
from srcli.services.scores import Column, Sample, Scorer, ScoringConfig, load_scorers, mean

LARGEST_SCALE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateRequest:
    """What is judged, against what, and how."""

    target: Path  # a picture, or a folder of them
    restored: tuple[Path, ...] = ()  # pictures or folders that some program made
    models: tuple[str, ...] = ()  # weights, or a Baseline
    low: Path | None = None  # the inputs; None makes them
    scale: int = 4
    degradation: Preset = Preset.BICUBIC
    seed: int = 0
    metrics: tuple[str, ...] | None = None  # None: PSNR and SSIM, and consistency where it can be
    channels: tuple[Channels, ...] = (Channels.Y,)
    crop: int | None = None  # None: the scale
    engine: EngineOptions = field(default_factory=EngineOptions)
    offline: bool | None = None
    trust: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.scale <= LARGEST_SCALE:
            hint = f"use a whole number from 1 to {LARGEST_SCALE}"
            raise UsageError(f"impossible scale {self.scale}", hint=hint)
        if not self.restored and not self.models:
            hint = "name restored pictures, or weights with --model (bicubic is one, too)"
            raise UsageError("there is nothing to judge", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureScore:
    """One picture of one candidate."""

    candidate: str
    picture: str
    scores: Mapping[str, float | None]  # by column; None where it could not be had
    problems: tuple[SrcliError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateReport:
    """All pictures of one candidate. A mean is over those pictures that have the score."""

    name: str
    description: str
    means: Mapping[str, float | None]
    pictures: tuple[PictureScore, ...]

    @property
    def failed(self) -> int:
        """Pictures with a problem."""
        return sum(bool(picture.problems) for picture in self.pictures)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateReport:
    """What was found, and what could not be."""

    protocol: tuple[str, ...]  # sentences: how low pictures were made, how each score is computed
    columns: tuple[Column, ...]
    candidates: tuple[CandidateReport, ...]
    unavailable: Mapping[str, SrcliError]  # metrics and candidates that could not be had
    lonely: tuple[Path, ...]  # restored pictures without a target

    def winners(self, column: Column) -> tuple[str, ...]:
        """Those with the best mean, among those that have the score of every picture."""
        name = column.name
        complete = [
            candidate
            for candidate in self.candidates
            if all(picture.scores[name] is not None for picture in candidate.pictures)
        ]
        best = column.best([candidate.means[name] for candidate in complete])
        known = best is not None
        return tuple(each.name for each in complete if known and each.means[name] == best)

    @property
    def exit_code(self) -> int:
        """0; 1 when a picture failed; else the code of what was missing."""
        if any(candidate.failed for candidate in self.candidates):
            return 1
        codes = {error.exit_code for error in self.unavailable.values()}
        return codes.pop() if len(codes) == 1 else int(bool(codes))


def evaluate(request: EvaluateRequest, observer: EvaluateObserver | None = None) -> EvaluateReport:
    """Score every picture of every candidate; a failed one is a problem in the report.

    Raises what makes all of it impossible: no target, no metric, or no candidate to be had.
    """
    observer = observer or EvaluateObserver()
    targets = pictures_in(request.target)
    low = _low_config(request)
    examples = Examples(targets, request.target, low)
    scorers, unavailable = load_scorers(_scoring(request), on_event=observer.weights_event)
    _refuse_consistency(request, unavailable)
    if not scorers:
        raise next(iter(unavailable.values()))
    bench = _Bench(request=request, examples=examples, scorers=scorers, observer=observer)
    reports, failures = bench.run()
    if not reports:
        raise next(iter(failures.values()))
    return EvaluateReport(
        protocol=(*([str(low)] if low else []), *(scorer.protocol for scorer in scorers)),
        columns=bench.columns,
        candidates=tuple(reports),
        unavailable={**unavailable, **failures},
        lonely=tuple(bench.lonely),
    )


@dataclass(kw_only=True)
class _Bench:
    """One run: candidates one after another, so that one network is in memory at a time."""

    request: EvaluateRequest
    examples: Examples
    scorers: list[Scorer]
    observer: EvaluateObserver
    lonely: list[Path] = field(default_factory=list)

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(column for scorer in self.scorers for column in scorer.columns)

    def run(self) -> tuple[list[CandidateReport], dict[str, SrcliError]]:
        reports: list[CandidateReport] = []
        failures: dict[str, SrcliError] = {}
        wishes: list[Path | str] = [*self.request.restored, *self.request.models]
        for wanted in wishes:
            try:
                candidate = self._prepared(wanted)
            except SrcliError as error:
                failures[str(wanted)] = error
            else:
                reports.append(self._judged(candidate))
        return reports, failures

    def _prepared(self, wanted: Path | str) -> Candidate:
        request = self.request
        if isinstance(wanted, Path):
            partners = match(request.target, wanted)
            files = {name: paths[1] for name, paths in partners.rows}
            targets = self.examples.paths
            self.lonely += [path for path in partners.lonely if path not in targets]
            return FolderCandidate(place=wanted, files=files)
        if wanted.lower() in set(Baseline):
            return BaselineCandidate(baseline=Baseline(wanted.lower()), scale=request.scale)
        loaded = load_network(
            wanted,
            offline=request.offline,
            trust=request.trust,
            on_event=self.observer.weights_event,
        )
        engine = Engine(loaded, request.engine, on_note=self.observer.note)
        return NetworkCandidate(name=wanted, engine=engine, scale=request.scale)

    def _judged(self, candidate: Candidate) -> CandidateReport:
        self.observer.started(candidate.name, candidate.description, len(self.examples))
        pictures = []
        for name in self.examples.names():
            score = self._scored(candidate, name)
            self.observer.scored(score)
            pictures.append(score)
        means = {
            column.name: mean([picture.scores.get(column.name) for picture in pictures])
            for column in self.columns
        }
        return CandidateReport(
            name=candidate.name,
            description=candidate.description,
            means=means,
            pictures=tuple(pictures),
        )

    def _scored(self, candidate: Candidate, name: str) -> PictureScore:
        scores: dict[str, float | None] = {column.name: None for column in self.columns}
        problems: list[SrcliError] = []
        try:
            sample = _sample(candidate, self.examples.read(name), self.request.scale)
        except SrcliError as error:
            problems.append(error)
        else:
            for scorer in self.scorers:
                try:
                    numbers = scorer.score(sample)
                except SrcliError as error:
                    problems.append(error)
                else:
                    names = (column.name for column in scorer.columns)
                    scores.update(zip(names, numbers, strict=True))
        return PictureScore(
            candidate=candidate.name, picture=name, scores=scores, problems=tuple(problems)
        )


def _sample(candidate: Candidate, example: Example, scale: int) -> Sample:
    restored = candidate.restore(example)
    target = fit(example.target, (restored.shape[-2], restored.shape[-1]), scale)
    low = example.low
    if restored.shape[0] != target.shape[0]:  # one is gray: both are scored as colour pictures
        restored, target = restored.expand(3, -1, -1), target.expand(3, -1, -1)
        low = None if low is None else low.expand(3, -1, -1)
    return Sample(restored=restored, target=target, low=low)


def _low_config(request: EvaluateRequest) -> LowConfig | None:
    """None where nobody asks for low pictures."""
    if not request.models and request.low is None:
        return None
    return LowConfig(
        folder=request.low,
        scale=request.scale,
        degradation=request.degradation,
        seed=request.seed,
    )


def _scoring(request: EvaluateRequest) -> ScoringConfig:
    metrics = request.metrics or (Metric.PSNR, Metric.SSIM, Metric.CONSISTENCY)
    if _low_config(request) is None:
        metrics = tuple(name for name in metrics if name != Metric.CONSISTENCY)
    return ScoringConfig(
        metrics=metrics,
        channels=request.channels,
        scale=request.scale,
        crop=request.scale if request.crop is None else request.crop,
        device=choose_device(request.engine.device),
        offline=request.offline,
    )


def _refuse_consistency(request: EvaluateRequest, unavailable: dict[str, SrcliError]) -> None:
    if Metric.CONSISTENCY in (request.metrics or ()) and _low_config(request) is None:
        unavailable[Metric.CONSISTENCY] = UsageError(
            "consistency is measured against the low pictures",
            hint="name their folder with --low",
        )


def write_csv(report: EvaluateReport, path: Path) -> None:
    """A row for each picture of each candidate, then one for its means, which is called `mean`.

    Raises OutputError or DiskFullError.
    """
    names = [column.name for column in report.columns]
    with (
        replacing(path) as partial,
        # The name of a picture may be no text.
        partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        table = csv.writer(file)
        table.writerow(["candidate", "picture", *names])
        for candidate in report.candidates:
            rows = [(picture.picture, picture.scores) for picture in candidate.pictures]
            for title, scores in (*rows, ("mean", candidate.means)):
                numbers = ("" if scores[name] is None else scores[name] for name in names)
                table.writerow([candidate.name, title, *numbers])
