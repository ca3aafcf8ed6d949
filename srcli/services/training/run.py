"""A whole run: a configuration in, weights to use out, whatever happens meanwhile."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from srcli.errors import SrcliError, TrainingError
from srcli.services.stop import Stop
from srcli.services.training.folder import RunFolder
from srcli.services.training.log import MetricsLog
from srcli.services.training.observer import TrainingObserver
from srcli.services.training.page import RunPage
from srcli.services.training.preparation import (
    Prepared,
    RunOptions,
    beginning_of,
    device_of,
    prepare,
)
from srcli.services.training.result import Best, TrainingReport, metadata_of, write_weights
from srcli.services.training.scribe import Scribe
from srcli.services.training.validation import Scores, keep_samples, kept_samples
from srcli.training.config import TrainingConfig
from srcli.training.distributed import joined, launch
from srcli.training.document import write_document
from srcli.training.guard import Verdict
from srcli.training.loop import train
from srcli.training.report import StepReport, mean_numbers
from srcli.training.state import capture, restore, weights_are_finite


def run_training(
    config: TrainingConfig,
    path: Path,
    options: RunOptions | None = None,
    observer: TrainingObserver | None = None,
    stop: Stop | None = None,
) -> TrainingReport:
    """Train as configured, in the run folder `path`.

    When `stop` is set the run is saved and ends with `is_stopped`. Under torchrun the first
    process validates, writes and is heard. Raises, before anything is written: UsageError,
    ConfigError, WeightsError, OutOfMemoryError; later: TrainingError where the numbers cannot be
    saved, and DiskFullError or OutputError, with the last checkpoint whole.
    """
    options, observer = options or RunOptions(), observer or TrainingObserver()
    folder, device = RunFolder(path), device_of(options.device)
    with joined(device) as processes:
        heard = Scribe(observer if processes.is_first else TrainingObserver())
        if processes.is_first and not options.resume and not folder.is_of(launch()):
            folder.check_unused()
        prepared = prepare(config, folder, options, heard, device=device, processes=processes)
        run = _Run(prepared, folder, heard, resume=options.resume)
        try:
            (heard if processes.is_first else observer).began(beginning_of(prepared, folder))
            is_stopped = run.go(stop or Stop())
            report = run.report(is_stopped)
            heard.ended("stopped" if is_stopped else "done", report.seconds)
            return report
        except SrcliError as error:
            heard.ended("failed", run.seconds_so_far, why=str(error))
            raise
        finally:
            run.close()


class _Run:
    """What happens between two steps."""

    def __init__(
        self, prepared: Prepared, folder: RunFolder, observer: Scribe, *, resume: bool
    ) -> None:
        self.prepared = prepared
        self.training = prepared.training
        self.feed = prepared.feed
        self.folder = folder
        self.observer = observer
        self.best: Best | None = None
        self.before: Scores | None = None
        self.bicubic: Scores | None = None
        self.samples: list[Tensor] = []  # of the network before the training
        self.validated = 0  # the last step that was scored
        self.interval: list[StepReport] = []
        self.seconds = 0.0  # of earlier sittings
        self.started = perf_counter()
        if resume:
            self._resume()
        elif self.is_first:
            folder.create(launch())
        self.log: MetricsLog | None = None
        if self.is_first:
            folder.write_config(write_document(prepared.config))
            self.log = MetricsLog(
                folder,
                tensorboard=prepared.config.log.tensorboard,
                from_step=self.training.step,
            )
            observer.attach(self.log, RunPage(folder), step=self.training.step)

    @property
    def is_first(self) -> bool:
        """Whether this process validates and writes."""
        return self.training.processes.is_first

    def go(self, stop: Stop) -> bool:
        """Train to the end or until stopped; whether it was stopped."""
        self._begin(stop)
        if self._is_asked_to_stop(stop):
            return True
        for report in train(self.training, self.feed, on_note=self.observer.warning):
            self._mind(report)
            self.observer.advanced(self.training.step)
            self._log_if_due()
            is_asked = self._is_asked_to_stop(stop)
            if not is_asked and self._after_step(stop):
                is_asked = self._is_asked_to_stop(stop)  # a validation takes its time
            if is_asked:
                self._save()
                return not self._is_done
        return False

    def report(self, is_stopped: bool) -> TrainingReport:
        """Write the last weights and say how it went."""
        assert self.before is not None and self.bicubic is not None
        if self.is_first:
            metadata = metadata_of(self.prepared.config, self.training, self.prepared.base, None)
            write_weights(self.folder.last, self.training, metadata)
        self.training.processes.wait()
        return TrainingReport(
            folder=self.folder.path,
            weights=self.folder.last if self.best is None else self.folder.best,
            steps=self.training.step,
            wanted_steps=self.prepared.settled.steps,
            is_stopped=is_stopped,
            best=self.best,
            before=self.before,
            bicubic=self.bicubic,
            skipped_steps=self.training.guard.skipped,
            seconds=self.seconds_so_far,
            is_first=self.is_first,
        )

    def close(self) -> None:
        """End threads and files."""
        self.feed.close()
        if self.log is not None:
            self.log.close()

    def _begin(self, stop: Stop) -> None:
        """Score the start and save it: what cannot be saved is not begun."""
        if self.before is None:
            self._score_start(stop)
            self._save()
        elif self._is_validation_due and self.validated != self.training.step:
            self._after_step(stop)  # which the run was stopped before
        self.training.processes.wait()

    def _score_start(self, stop: Stop) -> None:
        nothing = Scores(psnr=float("nan"), ssim=float("nan"))
        self.before = self.bicubic = nothing
        with self._together():
            if not self.is_first:
                return
            self.bicubic = self.prepared.validator.bicubic()
            if self.log is not None:
                self.log.tell("bicubic", 0, self.bicubic.numbers())
            scored = self.prepared.validator.validate(self.training.network, stop=stop)
            if scored is None:
                return
            self.before, self.samples = scored
            keep_samples(self.folder.before, self.samples)
            self._tell_scores(0, self.before, is_best=False)

    @property
    def _is_validation_due(self) -> bool:
        step, settled = self.training.step, self.prepared.settled
        return step % settled.validate_every == 0 or step == settled.steps

    @property
    def _is_done(self) -> bool:
        step = self.training.step
        is_scored = self.validated == step or not self.is_first
        return step == self.prepared.settled.steps and is_scored

    def _after_step(self, stop: Stop) -> bool:
        """Validate and save where it is due; whether anything was."""
        step, settled = self.training.step, self.prepared.settled
        is_due = self._is_validation_due
        if is_due:
            self._validate(step, stop)
        if is_due or step % settled.save_every == 0:
            self._save()
            return True
        return False

    def _mind(self, report: StepReport) -> None:
        """Do what the guard says, and keep the numbers for the log."""
        self.interval.append(report)
        if report.verdict is Verdict.LOWERED:
            factor = self.training.guard.rate_factor
            self.observer.warning(f"numbers ran away: the learning rate is now x{factor:g}")
        elif report.verdict is Verdict.ROLLED_BACK:
            self._roll_back()
        elif report.verdict is Verdict.STOPPED:
            raise TrainingError(
                f"the losses are not numbers at step {report.step}, and neither leaving steps "
                "out, nor a lower rate, nor going back helped",
                hint=f"lower the learning rate, or use fp32; {self.folder.path} has what was good",
            )

    def _roll_back(self) -> None:
        """Return to the last checkpoint; the pictures go on, and the guard does not forget."""
        guard = self.training.guard.state_dict()
        self.training.processes.wait()
        path, state = self.folder.newest()
        restore(self.training, state["training"])
        self.training.guard.load_state_dict(guard)
        self.interval.clear()
        if self.log is not None:
            self.log.forget_after(self.training.step)
        self.observer.went_back(self.training.step)
        self.observer.warning(f"numbers ran away: back to step {self.training.step} ({path.name})")

    def _log_if_due(self) -> None:
        """Write the means of an interval that is over."""
        step, settled = self.training.step, self.prepared.settled
        is_due = step % settled.log_every == 0 or step == settled.steps
        if not is_due or not self.interval:
            return
        numbers = mean_numbers(self.interval) | {"seconds": self.seconds_so_far}
        self.interval.clear()
        for warning in self.training.watch.warnings():
            self.observer.warning(warning)
        if self.log is not None:
            self.log.write("train", step, numbers)
            self.observer.logged(step, numbers)

    def _validate(self, step: int, stop: Stop) -> None:
        """Score the average weights; the first process does it, the others wait."""
        with self._together():
            if not self.is_first:
                return
            with self.training.average.applied():
                scored = self.prepared.validator.validate(self.training.network, stop=stop)
            if scored is not None:
                self._take_scores(step, *scored)

    def _take_scores(self, step: int, scores: Scores, samples: list[Tensor]) -> None:
        self.validated = step
        name = self.prepared.config.validation.keep_best_by
        is_best = self.best is None or scores.by(name) > self.best.scores.by(name)
        if is_best:
            self.best = Best(step=step, scores=scores)
            base = self.prepared.base
            metadata = metadata_of(self.prepared.config, self.training, base, scores)
            # Before the checkpoint that tells of it: a kill in between only repeats these steps.
            write_weights(self.folder.best, self.training, metadata)
        self.prepared.validator.write_sheet(self.folder.sheet(step), self.samples, samples)
        self._tell_scores(step, scores, is_best=is_best)

    def _tell_scores(self, step: int, scores: Scores, *, is_best: bool) -> None:
        if self.log is not None:
            self.log.write("validation", step, scores.numbers())
        self.observer.validated(step, scores, is_best=is_best)

    def _is_asked_to_stop(self, stop: Stop) -> bool:
        flag = torch.tensor(float(stop.is_set()), device=self.training.device)
        return bool(self.training.processes.any(flag))

    def _save(self) -> None:
        # Ruined weights are not saved over good ones; the guard will go back to those.
        with self._together():
            if self.is_first and weights_are_finite(self.training):
                keep = self.prepared.config.checkpoints.keep
                best_step = None if self.best is None else self.best.step
                self.folder.save(self._state(), keep=keep, best_step=best_step)

    def _together(self) -> AbstractContextManager[None]:
        """What the first process does and the others wait for."""
        return self.training.processes.together(self.training.device)

    def _state(self) -> dict[str, Any]:
        return {
            "training": capture(self.training),
            "feed": self.feed.state(),
            "best": None if self.best is None else asdict(self.best),
            "before": None if self.before is None else asdict(self.before),
            "bicubic": None if self.bicubic is None else asdict(self.bicubic),
            "validated": self.validated,
            "seconds": self.seconds_so_far,
        }

    def _resume(self) -> None:
        path, state = self.folder.newest()
        restore(self.training, state["training"])
        self.feed.restore(state["feed"])
        best = state["best"]
        self.best = best and Best(step=best["step"], scores=Scores(**best["scores"]))
        # The scoring of the start may have been stopped, by a run that then took no step.
        self.before = Scores(**state["before"]) if self.training.step else None
        self.bicubic = Scores(**state["bicubic"])
        self.validated = state["validated"]
        self.seconds = state["seconds"]
        self.samples = kept_samples(self.folder.before) if self.is_first else []
        self.observer.note(f"going on from step {self.training.step} ({path.name})")

    @property
    def seconds_so_far(self) -> float:
        """Of this sitting and the earlier ones."""
        return self.seconds + perf_counter() - self.started
