"""The books of a run over many pictures: what is done already, what begins, how each one ended.

Every way of running pictures (one line on this machine, a cluster) brings them to the same clerk,
so that a journal means the same whoever did the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from srcli.errors import DiskFullError, SrcliError, memory_errors
from srcli.io.addresses import Address, Remote, address_of
from srcli.services.depot import Slot
from srcli.services.fingerprint import Content, quick_content_of
from srcli.services.job import PictureOptions
from srcli.services.stop import Stop, StoppedError
from srcli.services.tasks import Task
from srcli.services.upscale import UpscaleReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one input ended: with a report, with the error that stopped it, or done before."""

    source: str
    report: UpscaleReport | None = None
    error: SrcliError | None = None
    skipped: str | None = None  # the output of an earlier run


@dataclass(slots=True)
class Case:
    """A task in the books."""

    task: Task
    slot: Slot
    content: Content | None = None  # of the source, for the journal
    has_begun: bool = False  # in the journal
    outcome: Outcome | None = None  # None at the end: given up

    def free(self) -> None:
        """Give back what it holds."""
        self.slot.close()


C = TypeVar("C", bound=Case)


@dataclass(slots=True)
class Clerk:
    """Keeps the books; threads may share it."""

    options: PictureOptions
    stop: Stop
    is_strict: bool = False  # the first failure ends the run
    troubles: list[Exception] = field(default_factory=list)  # that end the run: raised at its end

    def options_for(self, case: Case) -> PictureOptions:
        """The journal knows what may be replaced; without one the place itself is asked."""
        if case.task.journal is None:
            return self.options
        return replace(self.options, overwrite=True)

    def is_done(self, case: Case, content: Content | None = None) -> bool:
        """Whether nothing is left to do. Raises what was wrong with the picture from the start.

        `content` is what is known of the source by now, where it was read.
        """
        task = case.task
        if task.problem is not None:
            raise task.problem
        source = _address(task)
        if task.journal is None or source is None:
            return False
        case.content = content or case.content or task.content or quick_content_of(source)
        before = None if self.options.overwrite else task.journal.finished(source, case.content)
        return before is not None and self._skip(case, before)

    def begins(self, case: Case, target: Address) -> bool:
        """Write down what the picture is about to become; False where nothing is left to do.

        Before the result can appear, `task.journal.sync()` must have returned.
        """
        journal, source = case.task.journal, _address(case.task)
        if journal is None or source is None:
            return True
        before = journal.begin(source, target, case.content, overwrite=self.options.overwrite)
        if before is not None:
            return not self._skip(case, before)
        case.has_begun = True
        return True

    def done(self, case: Case, report: UpscaleReport) -> None:
        """The result is in its place."""
        journal, source = case.task.journal, _address(case.task)
        if journal is not None and source is not None:
            journal.done(source, address_of(report.output), report.seconds, report.bytes)
        case.outcome = Outcome(source=case.task.name, report=report)

    def guard(self, step: Callable[[C], bool], case: C) -> bool:
        """Run one step; whatever ends the case here also frees what it holds."""
        goes_on = False
        try:
            goes_on = self._taken(step, case)
        finally:
            if not goes_on:  # or others would wait for its room for ever
                case.free()
        return goes_on

    def go_on_or_stop(self) -> None:
        """Raise StoppedError once the run is being stopped."""
        if self.stop.is_set():
            raise StoppedError

    def _taken(self, step: Callable[[C], bool], case: C) -> bool:
        try:
            with memory_errors(case.task.name):
                return step(case)
        except StoppedError:
            self._give_up(case)
        except SrcliError as error:
            self._fail(case, error)
        except Exception as bug:  # not hidden: raised when the other pictures are done
            self.troubles.append(bug)
            message = f"{case.task.name}: {type(bug).__name__}: {bug}"
            self._fail(case, SrcliError(message, hint="this is a bug of srcli: please report it"))
        return False

    def _skip(self, case: Case, output: Address) -> bool:
        case.outcome = Outcome(source=case.task.name, skipped=str(output))
        return True

    def _fail(self, case: Case, error: SrcliError) -> None:
        case.outcome = Outcome(source=case.task.name, error=error)
        is_full = isinstance(error, DiskFullError)
        if self.is_strict or is_full:
            self.stop.set()
        journal, source = case.task.journal, _address(case.task)
        if journal is not None and source is not None and not is_full:
            self._write_down(partial(journal.failed, source, error))

    def _give_up(self, case: Case) -> None:
        journal, source = case.task.journal, _address(case.task)
        if case.has_begun and journal is not None and source is not None:
            self._write_down(partial(journal.stopped, source))

    def _write_down(self, write: Callable[[], None]) -> None:
        """Books that cannot be kept end the run; how the case ended is told nevertheless."""
        try:
            write()
        except SrcliError as error:
            self.stop.set()
            self.troubles.append(error)


def _address(task: Task) -> Address | None:
    """Where the source lies; None for a stream, which no journal knows."""
    return task.source if isinstance(task.source, Path | Remote) else None
