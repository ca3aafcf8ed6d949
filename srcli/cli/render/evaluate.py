"""What `srcli evaluate` shows: a table with the best marked, or JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import PurePath
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as RemainingColumn
from rich.table import Table
from rich.text import Text

from srcli.cli import render
from srcli.cli.render import weights
from srcli.cli.render.progress import Bar
from srcli.errors import SrcliError
from srcli.services.observer import EvaluateObserver

if TYPE_CHECKING:  # these import torch
    from srcli.services.evaluate import CandidateReport, EvaluateReport, PictureScore
    from srcli.services.scores import Column
    from srcli.services.weights import Event

ROWS_SHOWN = 60  # of single pictures, without --verbose


class EvaluateView(EvaluateObserver):
    """Shows a run of `srcli evaluate` in the way asked for; an observer of the service."""

    def __init__(self, *, json: bool, quiet: bool, verbose: bool) -> None:
        self._json, self._quiet, self._verbose = json, quiet, verbose
        self._talks = not json and not quiet
        self._seconds = perf_counter()
        self._resources = ExitStack()
        self._on_weights = self._resources.enter_context(weights.events()) if self._talks else None
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            RemainingColumn(),
            console=render.err,
            transient=True,
            disable=not (self._talks and render.err.is_terminal),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()
        self._resources.close()
        if self._json and isinstance(error, SrcliError):
            record = self._summary() | {"exit_code": error.exit_code, **_failure(error)}
            render.json_line(record, tells=error)

    def weights_event(self, event: Event) -> None:
        if self._on_weights is not None:
            self._on_weights(event)

    def note(self, text: str) -> None:
        if self._talks:
            render.note(f"note: {text}")

    def started(self, candidate: str, description: str, pictures: int) -> None:
        if not self._talks:
            return
        render.note(f"{candidate}: {description}")
        self._resources.close()  # the bar of the weights makes room for ours
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._bar.start()
        self._task = self._bar.add_task(candidate, total=pictures)

    def scored(self, score: PictureScore) -> None:
        if self._json:
            render.json_line(_picture_record(score))
            return
        if self._task is not None:
            self._bar.advance(self._task)
        if score.problems:
            render.note(f"{score.candidate}, {score.picture}:")
        for problem in score.problems:
            render.error(problem)

    def show(self, report: EvaluateReport) -> None:
        """The whole report, after the last picture."""
        self._bar.stop()
        if self._json:
            self._show_json(report)
            return
        for name, error in report.unavailable.items():
            render.note(f"{name} is left out:")
            render.error(error)
        for path in report.lonely:
            render.note(f"note: {path} has no target and is left out")
        render.out.print(_table(report, has_pictures=self._shows_pictures(report)))
        if len(report.candidates) > 1 and not self._quiet:
            render.line("* best of the candidates")
            render.line("")
        if not self._quiet:
            for sentence in report.protocol:
                render.line(sentence)

    def _shows_pictures(self, report: EvaluateReport) -> bool:
        rows = sum(len(candidate.pictures) for candidate in report.candidates)
        return self._verbose or rows <= ROWS_SHOWN

    def _show_json(self, report: EvaluateReport) -> None:
        for candidate in report.candidates:
            render.json_line(_candidate_record(candidate))
        summary = {
            "protocol": list(report.protocol),
            "unavailable": {name: _failure(error) for name, error in report.unavailable.items()},
            "without_target": list(map(str, report.lonely)),
            "best": {column.name: list(report.winners(column)) for column in report.columns},
            "exit_code": report.exit_code,
        }
        render.json_line(self._summary() | summary)

    def _summary(self) -> dict[str, object]:
        """The object of the end, with the same keys whether it went well or not."""
        return {
            "type": "summary",
            "protocol": [],
            "unavailable": {},
            "without_target": [],
            "best": {},
            "seconds": round(perf_counter() - self._seconds, 3),
            "exit_code": 0,
            "error": None,
            "hint": None,
        }


def _table(report: EvaluateReport, *, has_pictures: bool) -> Table:
    """A section for each picture with a row for each candidate, and one for the means."""
    is_contest = len(report.candidates) > 1
    titles = _titles([candidate.name for candidate in report.candidates])
    table = Table(box=box.SIMPLE_HEAD if has_pictures else None, pad_edge=False)
    table.add_column("picture")
    if is_contest:
        table.add_column("candidate", overflow="fold")
    for column in report.columns:
        arrow = "↑" if column.is_higher_better else "↓"
        heading = Text(f"{column.name}\n{column.unit} {arrow}  ")
        table.add_column(heading, justify="right", no_wrap=True)
    for place, picture in enumerate(report.candidates[0].pictures if has_pictures else ()):
        scores = [candidate.pictures[place].scores for candidate in report.candidates]
        best = {
            column.name: column.best([each[column.name] for each in scores])
            for column in report.columns
        }
        for number, (candidate, numbers) in enumerate(zip(report.candidates, scores, strict=True)):
            names = [Text(picture.picture if number == 0 else "")]
            names += [Text(titles[candidate.name])] if is_contest else []
            cells = (
                _cell(column, numbers[column.name], is_best=_is(numbers, column, best))
                for column in report.columns
            )
            table.add_row(*names, *cells)
        if is_contest:
            table.add_section()
    table.add_section()
    _add_means(table, report)
    return table


def _titles(names: list[str]) -> dict[str, str]:
    """Names without their folders, as far as these are not needed to tell them apart.

    >>> _titles(["runs/photos/best.safetensors", "bicubic"])
    {'runs/photos/best.safetensors': 'best.safetensors', 'bicubic': 'bicubic'}
    """
    short = {name: PurePath(name).name or name for name in names}
    return short if len(set(short.values())) == len(names) else dict(zip(names, names, strict=True))


def _add_means(table: Table, report: EvaluateReport) -> None:
    titles = _titles([candidate.name for candidate in report.candidates])
    for number, candidate in enumerate(report.candidates):
        scored = len(candidate.pictures) - candidate.failed
        share = f" ({scored} of {len(candidate.pictures)})" if candidate.failed else ""
        is_contest = len(report.candidates) > 1
        title = "mean" if number == 0 else ""
        names = [title, titles[candidate.name] + share] if is_contest else [title + share]
        cells = (
            _cell(
                column,
                candidate.means[column.name],
                is_best=candidate.name in report.winners(column),
            )
            for column in report.columns
        )
        table.add_row(*(Text(name, "bold") for name in names), *cells)


def _is(
    numbers: Mapping[str, float | None], column: Column, best: Mapping[str, float | None]
) -> bool:
    value = numbers[column.name]
    return value is not None and value == best[column.name]


def _cell(column: Column, value: float | None, *, is_best: bool) -> Text:
    if value is None:
        return Text("-  ")
    number = f"{value:.{column.digits}f}"
    return Text(f"{number} *", "bold green") if is_best else Text(f"{number}  ")


def _picture_record(score: PictureScore) -> dict[str, object]:
    return {
        "type": "picture",
        "candidate": score.candidate,
        "picture": score.picture,
        "scores": _numbers(score.scores),
        "status": "failed" if score.problems else "done",
        "problems": [_failure(problem) for problem in score.problems],
    }


def _candidate_record(candidate: CandidateReport) -> dict[str, object]:
    return {
        "type": "candidate",
        "candidate": candidate.name,
        "description": candidate.description,
        "pictures": len(candidate.pictures),
        "failed": candidate.failed,
        "means": _numbers(candidate.means),
    }


def _numbers(scores: Mapping[str, float | None]) -> dict[str, object]:
    """JSON has no infinity, which the PSNR of equal pictures is: it becomes a text."""
    return {
        name: str(value) if value is not None and math.isinf(value) else value
        for name, value in scores.items()
    }


def _failure(error: SrcliError) -> dict[str, object]:
    return {"error": str(error), "hint": error.hint}
