"""What `srcli finetune` and `srcli train` show: a line per interval and a bar; or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from math import isfinite
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import TimeRemainingColumn as RemainingColumn
from rich.table import Table
from rich.text import Text

from srcli.cli import interrupts, render
from srcli.cli.render import weights
from srcli.cli.render.progress import Bar
from srcli.cli.render.units import counted
from srcli.reports.durations import duration
from srcli.services.training.observer import Beginning, TrainingObserver

if TYPE_CHECKING:  # these import torch
    from srcli.services.stop import Stop
    from srcli.services.training.pictures import Pictures
    from srcli.services.training.result import TrainingReport
    from srcli.services.training.validation import Scores
    from srcli.services.weights import Event

INTERRUPTED = 130
SHOWN_PROBLEMS = 20
OURS = "is_first"  # says which of several processes talks, and it is the one that does


class TrainingView(TrainingObserver):
    """Shows a training run in the way asked for."""

    def __init__(self, *, json: bool, quiet: bool, stop: Stop) -> None:
        self._stop = stop  # set by the first Ctrl-C, from the first step on
        self._hearing = ExitStack()
        self._json = json
        self._talks = not json and not quiet
        self.exit_code = 0
        self._steps = 0
        self._first = 0
        self._started = 0.0
        self._bar = Bar(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            RemainingColumn(),
            console=render.err,
            transient=True,
            disable=not (self._talks and render.err.is_terminal),
        )
        self._fetching = ExitStack()
        self._on_weights = self._fetching.enter_context(weights.events()) if self._talks else None
        self._task = self._bar.add_task("training", total=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._hearing.close()
        self._fetching.close()
        self._bar.stop()

    def weights_event(self, event: Event) -> None:
        if self._on_weights is not None:
            self._on_weights(event)

    def surveyed(self, pictures: Pictures) -> None:
        if self._json:
            for problem in pictures.problems:
                self._record(
                    "problem",
                    path=str(problem.path),
                    trouble=str(problem.trouble),
                    detail=problem.detail,
                )
        elif self._talks and pictures.problems:
            self._problems(pictures)

    def began(self, beginning: Beginning) -> None:
        self._hearing.enter_context(interrupts.gracefully(self._stop))
        if not beginning.is_first:
            return
        settled = beginning.settled
        self._steps, self._first = settled.steps, beginning.first_step
        self._fetching.close()  # its bar makes room for ours
        if self._json:
            self._record("begin", **_plain(beginning))
            return
        self._say(
            f"{counted(beginning.training_pictures, 'picture')} to learn from, "
            f"{beginning.validation_pictures} to validate on"
        )
        parts = f" in {beginning.parts} parts" if beginning.parts > 1 else ""
        self._say(
            f"{beginning.network} from {beginning.base}, losses {' + '.join(beginning.losses)}"
        )
        self._say(
            f"{settled.steps} steps of {settled.batch} patches of {settled.patch_px} px{parts}"
            f"  [{beginning.device} {settled.precision}] -> {beginning.folder}"
        )
        self._started = perf_counter()
        self._bar.update(self._task, total=settled.steps, completed=beginning.first_step)
        self._bar.start()

    def advanced(self, step: int) -> None:
        self._bar.update(self._task, completed=step)

    def logged(self, step: int, numbers: Mapping[str, float]) -> None:
        if self._json:
            self._record("train", step=step, **_finite(numbers))
            return
        losses = "  ".join(
            f"{name.removeprefix('loss/')} {value:.4g}"
            for name, value in numbers.items()
            if name.startswith("loss/")
        )
        pace = (perf_counter() - self._started) / max(step - self._first, 1)
        left = duration(pace * (self._steps - step))
        self._say(
            f"step {step}/{self._steps}  {losses}  rate {numbers['rate']:.2g}"
            f"  {pace:.2g} s/step, {left} left"
        )

    def validated(self, step: int, scores: Scores, *, is_best: bool) -> None:
        if self._json:
            self._record("validation", step=step, best=is_best, **_finite(scores.numbers()))
        else:
            when = "before" if step == 0 else f"step {step}"
            best = ", the best so far" if is_best else ""
            values = f"PSNR {scores.psnr:.2f} dB  SSIM {scores.ssim:.4f}"
            values += f"  LPIPS {scores.lpips:.4f}" if scores.lpips is not None else ""
            self._say(f"validation ({when})  {values}{best}")

    def note(self, text: str) -> None:
        if self._json:
            self._record("note", text=text)
        elif self._talks:
            render.err.print(Text(f"note: {text}"))

    def ended(self, report: TrainingReport) -> None:
        """Show how the run ended, the line to type last."""
        self._bar.stop()
        self.exit_code = INTERRUPTED if report.is_stopped else 0
        if not report.is_first:
            return
        if self._json:
            self._record("report", **_plain(report), command=report.command)
            return
        self._summary(report)
        render.line(report.command)

    def _summary(self, report: TrainingReport) -> None:
        if report.is_stopped:
            self._say(
                f"stopped and saved after {report.steps} of {report.wanted_steps} steps: "
                "the same command with --resume goes on"
            )
        if report.skipped_steps:
            self._say(f"{report.skipped_steps} steps were left out: their numbers were not finite")
        if report.best is not None:
            best, before = report.best.scores, report.before
            self._say(
                f"best: step {report.best.step}, PSNR {best.psnr:.2f} dB "
                f"(before {before.psnr:.2f}, bicubic {report.bicubic.psnr:.2f}), SSIM "
                f"{best.ssim:.4f} ({before.ssim:.4f}, {report.bicubic.ssim:.4f}), "
                f"{duration(report.seconds)}"
            )
            if best.psnr <= before.psnr:
                self._say("no higher PSNR than before: look at the sheets in samples/")

    def _problems(self, pictures: Pictures) -> None:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("left out", "why", ""):
            table.add_column(heading, overflow="fold")
        for problem in pictures.problems[:SHOWN_PROBLEMS]:
            table.add_row(str(problem.path), str(problem.trouble), problem.detail)
        render.err.print(table, soft_wrap=False)
        more = len(pictures.problems) - SHOWN_PROBLEMS
        if more > 0:
            self._say(f"and {more} more")

    def _say(self, text: str) -> None:
        if self._talks:
            render.err.print(Text(text))

    def _record(self, kind: str, **values: object) -> None:
        render.json_line({"type": kind, **values})


def _plain(value: object) -> dict[str, object]:
    """A report as JSON has it: paths as texts, no NaN."""
    plain: dict[str, object] = asdict(value)  # type: ignore[call-overload]
    return {name: _json_value(each) for name, each in plain.items() if name != OURS}


def _json_value(value: object) -> object:
    match value:
        case dict():
            return {str(name): _json_value(each) for name, each in value.items()}
        case list() | tuple():
            return [_json_value(each) for each in value]
        case float():
            return value if isfinite(value) else None
        case str() | int() | bool() | None:
            return value
        case _:
            return str(value)


def _finite(numbers: Mapping[str, float]) -> dict[str, object]:
    return {name: _json_value(value) for name, value in numbers.items()}
