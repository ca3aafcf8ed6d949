"""What `srcli upscale` shows: lines and bars on stderr, or JSON on stdout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

from srcli.cli import interrupts, render
from srcli.cli.interrupts import INTERRUPTED
from srcli.cli.render import records, weights
from srcli.cli.render.bars import Bars
from srcli.cli.render.units import counted, file_size
from srcli.errors import DiskFullError, SrcliError
from srcli.reports.durations import duration
from srcli.services.observer import EngineFacts, Observer
from srcli.services.observer import Progress as Done

if TYPE_CHECKING:  # these import torch
    from srcli.services.clerk import Outcome
    from srcli.services.dryrun import Forecast, Planned
    from srcli.services.engine import Engine
    from srcli.services.job import Job
    from srcli.services.stop import Stop
    from srcli.services.upscale import UpscaleReport
    from srcli.services.weights import Event

SMALL_MEGAPIXELS = 0.02  # a picture's files then take as long as the network
MOST_NAMED = 20  # failed pictures in the summary; the journal has all


class UpscaleView(Observer):
    """Shows a run of `srcli upscale` in the way asked for, and counts how it went."""

    def __init__(self, *, json: bool, quiet: bool, verbose: bool, is_many: bool) -> None:
        self.is_json, self.is_many = json, is_many
        self.was_interrupted = False
        self._verbose, self._talks = verbose, not json and not quiet
        self._engine: EngineFacts | None = None
        self._files = self._done = self._skipped = 0
        self._failures: list[tuple[str, SrcliError]] = []
        self._has_offered = self._is_preview = False
        self._started = perf_counter()
        self._bars = Bars(is_shown=self._talks, is_many=is_many)
        self.wants_megapixels = is_many and self._bars.is_shown
        self._stop: Stop | None = None
        self._hearing = ExitStack()
        self._fetching = ExitStack()
        self._on_weights = self._fetching.enter_context(weights.events()) if self._talks else None

    @property
    def exit_code(self) -> int:
        """0, the only input's own code, 5 for a full disk, or 1 when some of several failed."""
        if self.was_interrupted:
            return INTERRUPTED
        if not self._failures:
            return 0
        if not self.is_many:
            return self._failures[0][1].exit_code
        is_full = any(isinstance(error, DiskFullError) for _, error in self._failures)
        return DiskFullError.exit_code if is_full else 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._fetching.close()
        self._bars.stop()
        if error is not None and not isinstance(error, SrcliError) and not self.was_interrupted:
            return
        known = error if isinstance(error, SrcliError) else None
        if self.is_json:
            render.json_line(self._summary(known), tells=known)
        elif self._concludes and known is None:
            self._conclude()

    @property
    def _concludes(self) -> bool:
        """Whether the counts are worth a line: a dry run ends with its forecast."""
        return self._talks and self.is_many and self._files > 0 and not self._is_preview

    @contextmanager
    def stoppable(self, stop: Stop, *, at_once: bool) -> Iterator[None]:
        """In the block Ctrl-C sets `stop`; while weights are fetched it still ends the program.

        With `at_once` it sets `stop` from the beginning.
        """
        self._stop = stop
        with self._hearing:
            if at_once:
                self._hearing.enter_context(interrupts.gracefully(stop))
            yield

    def weights_event(self, event: Event) -> None:
        if self._on_weights is not None:
            self._on_weights(event)

    def engine_ready(self, engine: EngineFacts) -> None:
        self._engine = engine
        if self._stop is not None:
            self._hearing.enter_context(interrupts.gracefully(self._stop))
        self._fetching.close()  # its bar makes room for ours
        self._bars.start()
        if self._talks and self.is_many:
            name = f"{engine.name} x{engine.scale}"
            render.note(f"{engine.device} {engine.precision}, {name}")

    def listed(self, sources: Sequence[str]) -> None:
        self._files += len(sources)
        self._bars.add(sources)

    def measured(self, source: str, megapixels: float) -> None:
        self._bars.measure(source, megapixels)

    def opened(self, job: Job, engine: Engine) -> None:
        if self._talks and not self.is_many:
            render.note(_introduction(job, engine))
        for text in job.notes:
            self.note(f"{job.source}: {text}" if self.is_many else text)
        if not self._has_offered and (self._talks or self.is_json):
            self._has_offered = True
            self._offer(job, engine)
        self._bars.open(job.source)

    def _offer(self, job: Job, engine: Engine) -> None:
        """Name faster ways before the first picture, as if the others were like it."""
        from srcli.services.offer import find_offers

        offers = find_offers(engine, job.network_megapixels * max(self._files, 1))
        if self.is_json:
            for offer in offers:
                render.json_line(records.of_offer(offer))
        elif offers:
            ways = [
                f"{offer.option} takes about {duration(offer.faster_seconds)}" for offer in offers
            ]
            first = offers[0]
            self.note(
                f"{first.model} will take about {duration(first.seconds)} here; {', '.join(ways)}"
            )

    def progressed(self, job: Job, progress: Done) -> None:
        tiles = f"{progress.tiles_done}/{progress.tiles}"
        self._bars.progress(job.source, progress.done, tiles, progress.megapixels)

    def note(self, text: str) -> None:
        if self._talks:
            render.note(f"note: {text}")

    def ended(self, outcome: Outcome) -> None:
        """Show how one input ended."""
        report = outcome.report
        if report is not None:
            self._done += 1
            self._bars.measure(outcome.source, report.source_width * report.source_height / 1e6)
        elif outcome.error is not None:
            self._failures.append((outcome.source, outcome.error))
        else:
            self._skipped += 1
        self._bars.end(outcome.source, was_worked_on=report is not None)
        if self.is_json:
            render.json_line(records.of_outcome(outcome, self._engine))
        elif outcome.error is not None:
            (render.failure if self.is_many else render.error)(outcome.error)
        elif self._talks:
            self._tell(outcome)

    def planned(self, planned: Planned) -> None:
        """Show what would become of one input."""
        self._is_preview = True
        self._files += 1
        if planned.error is not None:
            self._failures.append((planned.source, planned.error))
        elif planned.is_done:
            self._skipped += 1
        if self.is_json:
            render.json_line(records.of_plan(planned))
        elif planned.error is not None:
            render.failure(planned.error)
        elif planned.is_done:
            render.line(f"{planned.source}  is done: {planned.output}")
        else:
            size = f"{planned.source_width}x{planned.source_height}"
            result = f"{planned.width}x{planned.height}, about {file_size(planned.bytes)}"
            render.line(f"{planned.source}  {size} -> {planned.output}  {result}")

    def forecast(self, forecast: Forecast) -> None:
        """Show what the whole run would take."""
        if self.is_json:
            render.json_line(records.of_forecast(forecast))
            return
        area = f"{forecast.megapixels:.2f} MP through the network"
        render.line(f"{counted(forecast.files, 'picture')} to do, {area}")
        if not forecast.files:
            return
        pace = f"{forecast.rate:.3f} MP/s, measured just now"
        is_small = forecast.megapixels / forecast.files < SMALL_MEGAPIXELS
        more = ", and more to read and write: they are small" if is_small else ""
        render.line(f"about {duration(forecast.seconds)} at {pace}{more}")
        is_known = forecast.free_bytes is not None
        free = f"; {file_size(forecast.free_bytes or 0)} are free" if is_known else ""
        render.line(f"about {file_size(forecast.bytes)} of results{free}")

    def _tell(self, outcome: Outcome) -> None:
        """A line for each, except where the bars say enough."""
        if self._bars.is_shown and self.is_many and not self._verbose:
            return
        ended = self._done + self._skipped + len(self._failures)
        place = f"[{ended}/{self._files}] " if self.is_many else ""
        if outcome.report is not None:
            render.note(place + _conclusion(outcome.report))
            if self._verbose and not self.is_many:
                render.note(f"weights sha256 {outcome.report.digest}")
        elif self._verbose:
            render.note(f"{place}{outcome.skipped}  was done before")

    def _conclude(self) -> None:
        counts = [f"{self._done} done"]
        counts += [f"{self._skipped} done before"] if self._skipped else []
        counts += [f"{len(self._failures)} failed"] if self._failures else []
        counts += [f"{self._left} left"] if self._left else []
        render.note(f"{', '.join(counts)} in {duration(perf_counter() - self._started)}")
        for source, _ in self._failures[:MOST_NAMED]:
            render.note(f"failed: {source}")
        if len(self._failures) > MOST_NAMED:
            render.note(f"and {len(self._failures) - MOST_NAMED} more failed")
        if self._left:
            render.note("run the same command again to do the rest")

    @property
    def _left(self) -> int:
        return max(self._files - self._done - self._skipped - len(self._failures), 0)

    def _summary(self, error: SrcliError | None) -> dict[str, object]:
        return {
            "type": "summary",
            "files": self._files,
            "done": self._done,
            "skipped": self._skipped,
            "failed": len(self._failures),
            "left": self._left,
            "seconds": round(perf_counter() - self._started, records.STEP_DIGITS),
            "exit_code": self.exit_code if error is None else error.exit_code,
            "error": None if error is None else str(error),
            "hint": None if error is None else error.hint,
        }


def _introduction(job: Job, engine: Engine) -> str:
    picture = job.picture
    plan = engine.plan(picture.height, picture.width).describe()
    native = "" if job.passes == 1 else f" run {job.passes} times"
    exact = (picture.height * job.native_factor, picture.width * job.native_factor)
    resized = "" if (job.height, job.width) == exact else f", resized to x{job.scale:.4g}"
    return (
        f"{job.source}  {picture.width}x{picture.height} -> {job.width}x{job.height}"
        f"  [{engine.device} {engine.precision}, {engine.loaded.name} x{engine.scale}"
        f"{native}{resized}, {plan}]"
    )


def _conclusion(report: UpscaleReport) -> str:
    size = f"{report.width}x{report.height}"
    weight = f", {file_size(report.bytes)}" if report.bytes else ""
    return f"{report.output}  {size}{weight}, {report.seconds:.1f} s"
