"""Stages that work at the same time, each with its threads, and short queues between them.

    parcels -> [decode] -> queue -> [network] -> queue -> [encode] -> who asked
                  `---- ended early (failed, skipped) ---------------------^

A stage that is ahead waits at its full queue, so the number of parcels under way is bounded. The
parcels are taken one at a time, when a thread of the first stage is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Queue, SimpleQueue
from threading import Lock, Thread
from typing import Generic, Protocol, TypeVar

from srcli.services.stop import Stop

P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Stage(Generic[P]):
    """One thread for each worker; a worker says whether the parcel goes on to the next stage."""

    name: str
    workers: Sequence[Callable[[P], bool]]
    queue: int = 1  # parcels that may wait for it


def run_stages(parcels: Iterator[P], stages: Sequence[Stage[P]], stop: Stop) -> Iterator[P]:
    """Yield the parcels as they end, in the order in which they do.

    Once `stop` is set, no new parcel is taken; those under way still go through every stage, whose
    workers may drop them. Leaving the generator early sets `stop` and waits. An exception of a
    worker is a bug: it stops everything and is raised here.
    """
    ended: SimpleQueue[_End[P]] = SimpleQueue()
    threads = _start(_Feed(parcels, stop), stages, ended, stop)
    try:
        while (end := ended.get()) is not None:
            if isinstance(end, BaseException):
                raise end
            yield end.parcel
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@dataclass(frozen=True, slots=True)
class _Ended(Generic[P]):
    parcel: P


_End = _Ended[P] | BaseException | None  # None: nothing more will come


class _Source(Protocol[P_co]):
    def get(self) -> P_co | None: ...


class _Feed(Generic[P]):
    """An iterator that several threads take from, until it ends or the run is stopped."""

    def __init__(self, parcels: Iterator[P], stop: Stop) -> None:
        self._parcels, self._stop = parcels, stop
        self._lock = Lock()

    def get(self) -> P | None:
        with self._lock:
            return None if self._stop.is_set() else next(self._parcels, None)


def _start(
    feed: _Feed[P], stages: Sequence[Stage[P]], ended: SimpleQueue[_End[P]], stop: Stop
) -> list[Thread]:
    threads = []
    inbox: _Source[P] = feed
    for place, stage in enumerate(stages):
        following = stages[place + 1] if place + 1 < len(stages) else None
        outbox: Queue[P | None] | None = Queue(following.queue) if following else None
        crew = _Crew(stage, len(following.workers) if following else 1, inbox, outbox, ended, stop)
        threads += [
            Thread(target=crew.serve, args=(worker,), name=f"srcli {stage.name}", daemon=True)
            for worker in stage.workers
        ]
        if outbox is not None:
            inbox = outbox
    for thread in threads:
        thread.start()
    return threads


class _Crew(Generic[P]):
    """The threads of one stage."""

    def __init__(
        self,
        stage: Stage[P],
        followers: int,
        inbox: _Source[P],
        outbox: Queue[P | None] | None,
        ended: SimpleQueue[_End[P]],
        stop: Stop,
    ) -> None:
        self._inbox, self._outbox, self._ended, self._stop = inbox, outbox, ended, stop
        self._followers = followers
        self._working = len(stage.workers)
        self._lock = Lock()

    def serve(self, worker: Callable[[P], bool]) -> None:
        try:
            while (parcel := self._inbox.get()) is not None:
                self._do(worker, parcel)
        except BaseException as bug:  # of the feed: it ends this thread, and is raised in the main
            self._crash(bug)
        self._go_home()

    def _do(self, worker: Callable[[P], bool], parcel: P) -> None:
        try:
            goes_on = worker(parcel)
        except BaseException as bug:
            self._crash(bug)
            return
        if goes_on and self._outbox is not None:
            self._outbox.put(parcel)
        else:
            self._ended.put(_Ended(parcel))

    def _crash(self, bug: BaseException) -> None:
        self._stop.set()
        self._ended.put(bug)

    def _go_home(self) -> None:
        """The last one out tells the next stage that nothing more will come."""
        with self._lock:
            self._working -= 1
            if self._working:
                return
        if self._outbox is None:
            self._ended.put(None)
        for _ in range(self._followers if self._outbox is not None else 0):
            assert self._outbox is not None
            self._outbox.put(None)
