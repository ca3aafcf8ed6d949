"""What `srcli upscale` shows: one line before, a bar meanwhile, one line after; or JSON."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.progress import TimeRemainingColumn as RemainingColumn
from rich.text import Text

from srcli.cli import render
from srcli.cli.render import weights
from srcli.errors import SrcliError
from srcli.services.observer import Observer
from srcli.services.observer import Progress as Done

if TYPE_CHECKING:  # these import torch
    from srcli.services.batch import Outcome
    from srcli.services.engine import Engine
    from srcli.services.upscale import Job, UpscaleReport
    from srcli.services.weights import Event

STEP_DIGITS = 3


class UpscaleView(Observer):
    """Shows a run of `srcli upscale` in the way asked for, and counts how it went."""

    def __init__(self, *, json: bool, quiet: bool, verbose: bool, files: int) -> None:
        self._json, self._verbose = json, verbose
        self._talks = not json and not quiet
        self._files = files
        self._engine: Engine | None = None
        self._failures: list[SrcliError] = []
        self._done = 0
        self._seconds = perf_counter()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[tiles]}"),
            TextColumn("{task.fields[speed]}"),
            RemainingColumn(),
            console=render.err,
            transient=True,
            disable=not (self._talks and render.err.is_terminal),
        )
        self._fetching = ExitStack()
        self._on_weights = self._fetching.enter_context(weights.events()) if self._talks else None
        self._task: TaskID | None = None
        self._started = 0.0

    @property
    def exit_code(self) -> int:
        """0, the only input's own code, or 1 when some of several failed."""
        if not self._failures:
            return 0
        return self._failures[0].exit_code if self._files == 1 else 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._fetching.close()
        self._bar.stop()
        if error is not None and not isinstance(error, SrcliError):
            return
        if self._json:
            render.json_line(self._summary(error))
        elif self._talks and self._files > 1:
            failed = len(self._failures)
            render.note(f"{self._done} of {self._files} done, {failed} failed")

    def weights_event(self, event: Event) -> None:
        if self._on_weights is not None:
            self._on_weights(event)

    def engine_ready(self, engine: Engine) -> None:
        self._engine = engine
        self._fetching.close()  # its bar makes room for ours
        self._bar.start()

    def opened(self, job: Job, plan: str) -> None:
        if not self._talks or self._engine is None:
            return
        engine, picture = self._engine, job.picture
        native = "" if job.passes == 1 else f" run {job.passes} times"
        resized = "" if _is_native(job) else f", resized to x{job.scale:.4g}"
        render.note(
            f"{job.source}  {picture.width}x{picture.height} -> {job.width}x{job.height}"
            f"  [{engine.device} {engine.precision}, {engine.loaded.name} x{engine.scale}"
            f"{native}{resized}, {plan}]"
        )
        for text in job.notes:
            self.note(text)
        self._started = perf_counter()
        self._task = self._bar.add_task(Path(job.source).name, total=1.0, tiles="", speed="")

    def progressed(self, progress: Done) -> None:
        if self._task is None:
            return
        elapsed = max(perf_counter() - self._started, 1e-6)
        speed = progress.done * progress.megapixels / elapsed
        self._bar.update(
            self._task,
            completed=progress.done,
            tiles=f"{progress.tiles_done}/{progress.tiles}",
            speed=f"{speed:.3f} MP/s",
        )

    def note(self, text: str) -> None:
        if self._talks:
            render.err.print(Text(f"note: {text}"))

    def ended(self, outcome: Outcome) -> None:
        """Show how one input ended."""
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
        if outcome.error is not None:
            self._failures.append(outcome.error)
        else:
            self._done += 1
        if self._json:
            render.json_line(_file_record(outcome, self._engine))
        elif outcome.error is not None:
            render.error(outcome.error)
        elif outcome.report is not None and self._talks:
            self._report(outcome.report)

    def _report(self, report: UpscaleReport) -> None:
        size = f"{report.width}x{report.height}, {report.bytes / 1e6:.2f} MB"
        render.note(f"{report.output}  {size}, {report.seconds:.1f} s")
        if self._verbose:
            render.note(f"weights sha256 {report.digest}")

    def _summary(self, error: SrcliError | None) -> dict[str, object]:
        failed = len(self._failures) if error is None else self._files - self._done
        return {
            "type": "summary",
            "files": self._files,
            "done": self._done,
            "failed": failed,
            "seconds": round(perf_counter() - self._seconds, STEP_DIGITS),
            "exit_code": self.exit_code if error is None else error.exit_code,
            "error": None if error is None else str(error),
            "hint": None if error is None else error.hint,
        }


def _is_native(job: Job) -> bool:
    exact = job.native_factor
    return (job.height, job.width) == (job.picture.height * exact, job.picture.width * exact)


def _file_record(outcome: Outcome, engine: Engine | None) -> dict[str, object]:
    """The JSON object of one input; the same keys whether it went well or not."""
    report, error = outcome.report, outcome.error
    return {
        "type": "file",
        "source": outcome.source,
        "output": report and report.output,
        "width": report and report.width,
        "height": report and report.height,
        "model": engine and engine.loaded.name,
        "digest": engine and engine.loaded.digest,
        "scale": report and report.scale,
        "passes": report and report.passes,
        "device": engine and str(engine.device),
        "precision": engine and str(engine.precision),
        "plan": report and report.plan,
        "tiles": report and report.tiles,
        "bytes": report and report.bytes,
        "seconds": report and round(report.seconds, STEP_DIGITS),
        "notes": list(report.notes) if report else [],
        "status": "done" if error is None else "failed",
        "error": None if error is None else str(error),
        "hint": None if error is None else error.hint,
    }
