"""Stages that work at the same time, each with its threads, and short queues between them.

    parcels -> [decode] -> queue -> [network] -> queue -> [encode] -> who asked
                  `---- ended early (failed, skipped) ---------------------^

A stage that is ahead waits at its full queue, so the number of parcels under way is bounded. The
parcels are taken one at a time, when a thread of the first stage is free; a stage in the middle may
take several at once that belong together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Condition, Lock, Thread
from typing import Generic, Protocol, TypeVar

from srcli.services.stop import Stop

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Stage(Generic[P]):
    """One thread for each worker; a worker says whether the parcel goes on to the next stage."""

    name: str
    workers: Sequence[Callable[[P], bool]]
    queue: int = 1  # parcels that may wait for it


@dataclass(frozen=True, slots=True)
class GroupStage(Generic[P]):
    """The same for parcels that belong together; a worker gives those that go on.

    A thread takes the parcel that has waited longest, and all others waiting that `belongs` to it,
    `most` of them together. It waits for none.
    """

    name: str
    workers: Sequence[Callable[[list[P]], list[P]]]
    belongs: Callable[[P, P], bool]
    most: Callable[[P], int]
    queue: int = 1


def run_stages(
    parcels: Iterator[P], stages: Sequence[Stage[P] | GroupStage[P]], stop: Stop
) -> Iterator[P]:
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


_OnBug = Callable[[BaseException], None]


class _Source(Protocol[P]):
    def get(self, stage: Stage[P] | GroupStage[P], on_bug: _OnBug) -> list[P]:
        """What a thread of the stage does next; nothing at the end. It never raises.

        A thread that died here would leave those before it waiting for room for ever.
        """
        ...


class _Feed(Generic[P]):
    """An iterator that several threads take from, until it ends or the run is stopped."""

    def __init__(self, parcels: Iterator[P], stop: Stop) -> None:
        self._parcels, self._stop = parcels, stop
        self._lock = Lock()

    def get(self, stage: Stage[P] | GroupStage[P], on_bug: _OnBug) -> list[P]:
        with self._lock:
            if self._stop.is_set():
                return []
            try:
                return [next(self._parcels)]
            except StopIteration:
                return []
            except BaseException as bug:
                on_bug(bug)
                return []


class _Inbox(Generic[P]):
    """A short queue before a stage, out of which parcels that belong together come together."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: deque[P] = deque()
        self._is_over = False
        self._changed = Condition()

    def put(self, parcel: P) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < self._size)
            self._waiting.append(parcel)
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def get(self, stage: Stage[P] | GroupStage[P], on_bug: _OnBug) -> list[P]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over)
            if not self._waiting:
                return []
            taken = [self._waiting.popleft()]
            try:
                if isinstance(stage, GroupStage):
                    taken += self._others(stage, taken[0])
            except BaseException as bug:
                on_bug(bug)
            self._changed.notify_all()
            return taken

    def _others(self, stage: GroupStage[P], first: P) -> list[P]:
        most = stage.most(first) - 1
        if most < 1:
            return []
        found = [each for each in self._waiting if stage.belongs(first, each)][:most]
        taken = set(map(id, found))  # equal parcels are not the same
        self._waiting = deque(each for each in self._waiting if id(each) not in taken)
        return found


def _start(
    feed: _Feed[P],
    stages: Sequence[Stage[P] | GroupStage[P]],
    ended: SimpleQueue[_End[P]],
    stop: Stop,
) -> list[Thread]:
    threads = []
    inbox: _Source[P] = feed
    for place, stage in enumerate(stages):
        following = stages[place + 1] if place + 1 < len(stages) else None
        outbox: _Inbox[P] | None = _Inbox(following.queue) if following else None
        crew = _Crew(stage, inbox, outbox, ended, stop)
        threads += [
            Thread(target=crew.serve, args=(work,), name=f"srcli {stage.name}", daemon=True)
            for work in _works(stage)
        ]
        if outbox is not None:
            inbox = outbox
    try:
        for thread in threads:
            thread.start()
    except BaseException:  # no memory for one more: those that began take nothing more
        stop.set()
        raise
    return threads


def _works(stage: Stage[P] | GroupStage[P]) -> list[Callable[[list[P]], list[P]]]:
    if isinstance(stage, GroupStage):
        return list(stage.workers)

    def singly(worker: Callable[[P], bool]) -> Callable[[list[P]], list[P]]:
        return lambda parcels: [parcel for parcel in parcels if worker(parcel)]

    return [singly(worker) for worker in stage.workers]


class _Crew(Generic[P]):
    """The threads of one stage."""

    def __init__(
        self,
        stage: Stage[P] | GroupStage[P],
        inbox: _Source[P],
        outbox: _Inbox[P] | None,
        ended: SimpleQueue[_End[P]],
        stop: Stop,
    ) -> None:
        self._stage = stage
        self._inbox, self._outbox, self._ended, self._stop = inbox, outbox, ended, stop
        self._working = len(stage.workers)
        self._lock = Lock()

    def serve(self, work: Callable[[list[P]], list[P]]) -> None:
        while parcels := self._inbox.get(self._stage, self._crash):
            self._do(work, parcels)
        self._go_home()

    def _do(self, work: Callable[[list[P]], list[P]], parcels: list[P]) -> None:
        try:
            going_on = work(parcels)
        except BaseException as bug:
            self._crash(bug)
            return
        for parcel in parcels:
            goes_on = any(parcel is each for each in going_on)
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
        else:
            self._outbox.close()
