"""Pictures through a cluster: a thread for each that is under way waits for its worker.

    is it done?  -> a worker opens it -> journal: running -> the worker does it -> journal: done
                    (its name, its content)                  (uploads it, or sends it here)

Objects of a store go straight between the store and the worker. Files of this machine, and what
lies in this process's memory, travel through Ray's object store: a worker cannot reach them.

A worker that dies takes several pictures with it, and one of them may be the reason. Each is tried
again alone on a worker. That one may die of something else: a picture has failed when it was alone
on two workers that died.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import ray

from srcli.errors import ImageError, SrcliError
from srcli.io import stores
from srcli.io.addresses import Address, Remote
from srcli.io.files import replacing
from srcli.services.clerk import Case, Clerk, Outcome
from srcli.services.cluster.crew import Crew, Hand, LostError
from srcli.services.cluster.worker import Ended, Opened, Order
from srcli.services.depot import Depot
from srcli.services.fingerprint import quick_content_of
from srcli.services.job import PictureOptions
from srcli.services.observer import Observer
from srcli.services.pipeline import Stage, run_stages
from srcli.services.stop import Stop, StoppedError
from srcli.services.targets import Place, check_place, make_folder
from srcli.services.tasks import Task

MOST_KILLS = 2  # of workers by one picture alone
MOST_LOSSES = 10  # of workers and machines around one picture


@dataclass(slots=True)
class Suspicion:
    """How many workers one picture has lost, and how far it is to blame."""

    losses: int = 0
    kills: int = 0
    is_suspect: bool = False  # from now on it is tried alone

    def add(self, lost: LostError) -> None:
        """One more; the machine's death is not held against the picture."""
        self.losses += 1
        if not lost.is_of_node:
            self.kills += self.is_suspect
            self.is_suspect = True

    @property
    def is_enough(self) -> bool:
        """Whether the picture has failed."""
        return self.kills >= MOST_KILLS or self.losses >= MOST_LOSSES

    def verdict(self, name: str, lost: LostError) -> ImageError:
        """What to say of the picture of that name, after its last loss."""
        reason = next((line for line in str(lost).splitlines() if line.strip()), "no reason given")
        alone = f"killed {self.kills} workers that had nothing else"
        what = alone if self.kills >= MOST_KILLS else f"lost {self.losses} workers"
        return ImageError(
            f"{name} {what}: {reason.strip()}",
            hint="do it alone on this machine, without --engine ray, to see what it does",
        )


class ClusterLine:
    """Runs tasks through a crew."""

    def __init__(
        self,
        crew: Crew,
        pictures: int,
        options: PictureOptions,
        observer: Observer,
        stop: Stop,
        *,
        fail_fast: bool = False,
    ) -> None:
        """`pictures` is how many may be under way together."""
        self._crew, self._pictures, self._observer = crew, pictures, observer
        self._stop = stop
        self._clerk = Clerk(options, stop, fail_fast)
        self._numbers = count()

    def outcomes(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Each task's outcome, as they end; those given up after `stop` have none.

        Raises the first bug met after everything else was done, and ResourceError where the
        cluster went away for good.
        """
        stage = Stage("cluster", [partial(self._clerk.guard, self._do)] * self._pictures)
        with Depot() as depot:
            cases = (Case(task, depot.slot()) for task in tasks)
            for case in run_stages(cases, [stage], self._stop):
                if case.outcome is not None:
                    yield case.outcome
        if self._crew.error is not None:
            raise self._crew.error
        if self._clerk.troubles:
            raise self._clerk.troubles[0]

    def _do(self, case: Case) -> bool:
        if self._clerk.is_done(case):
            return False
        data = self._carried(case)
        suspicion = Suspicion()
        while True:
            self._clerk.go_on_or_stop()
            try:
                with self._crew.lent(alone=suspicion.is_suspect) as hand:
                    return self._do_with(hand, case, data)
            except LostError as lost:
                suspicion.add(lost)
                if suspicion.is_enough:
                    raise suspicion.verdict(case.task.name, lost) from None

    def _do_with(self, hand: Hand, case: Case, data: object) -> bool:
        number = next(self._numbers)
        order = self._order(number, case)
        opened: Opened = _unless_failed(hand.call("open", order, data))
        try:
            goes_on = self._begins(case, opened, order)
        except BaseException:
            hand.actor.drop.remote(number)
            raise
        if not goes_on:
            hand.actor.drop.remote(number)
            return False
        ended: Ended | None = _unless_failed(hand.call("run", number))
        if ended is None:
            raise StoppedError
        if ended.result is not None:
            _bring(ended.result, opened.target)
        for note in ended.report.notes:
            self._observer.note(f"{ended.report.source}: {note}")
        self._clerk.done(case, ended.report)
        return False

    def _order(self, number: int, case: Case) -> Order:
        source, target = case.task.source, case.task.target
        assert isinstance(source, Path | Remote) and isinstance(target, Path | Remote | Place)
        return Order(
            number=number,
            source=source,
            target=target,
            options=self._clerk.options_for(case),
            content=case.content or case.task.content,
            returns_result=not _is_shared(target.folder if isinstance(target, Place) else target),
        )

    def _begins(self, case: Case, opened: Opened, order: Order) -> bool:
        """Settle in the journal what the worker found; False where nothing is left to do."""
        journal = case.task.journal
        if self._clerk.is_done(case, opened.content):
            return False
        if order.returns_result:
            check_place(order.source, opened.target, overwrite=order.options.overwrite)
        if not self._clerk.begins(case, opened.target):
            return False
        if journal is not None:
            journal.sync()
        return True

    def _carried(self, case: Case) -> Any:
        """The bytes of a source that workers cannot reach, in Ray's object store; else None."""
        source = case.task.source
        if case.task.problem is not None or not isinstance(source, Path | Remote):
            return None
        if _is_shared(source):
            return None
        case.content = case.content or case.task.content or quick_content_of(source)
        if isinstance(source, Remote):
            return ray.put(stores.read(source))
        try:
            return ray.put(source.read_bytes())
        except OSError as error:
            raise ImageError(
                f"{source} cannot be opened: {error.strerror}", hint="check its permissions"
            ) from None


def _is_shared(address: Address) -> bool:
    """Whether a worker on another machine sees the same there."""
    return isinstance(address, Remote) and address.is_shared


def _bring(result: bytes, target: Address) -> None:
    """Write a result that a worker sent, whole or not at all."""
    if isinstance(target, Remote):
        stores.write(result, target)
        return
    make_folder(target.parent)
    with replacing(target) as partial:
        partial.write_bytes(result)


def _unless_failed(value: Any) -> Any:
    if isinstance(value, SrcliError):
        raise value
    return value
