"""Several ticks of a stream at the same time, each on a thread, one behind the other.

    stages:     first   block 1   block 2   block 3   block 4    end
    tick 7                                            [now]              thread 1, then tick 9
    tick 8                        [now]                                  thread 2, then tick 10

Two threads in one convolution wait for each other at its end, a thousand times a second; where
something else wants the cores too, they spend their time on that. Here a thread waits only when it
has caught up with the one before it. Neighbouring ticks have as much to do as each other, at the
borders of the picture too, so they seldom do.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from queue import SimpleQueue
from threading import Event, Semaphore, Thread

import torch
from torch import Tensor, nn

from srcli.inference.delays import Tick
from srcli.inference.streams import RowStream
from srcli.models.network import Network

# The end of a small network is a quarter of it, and is open to one tick at a time.
MOST_AT_ONCE = 4
# Multiplications of a convolution for each pixel of the image. With fewer, the threads would wait
# for Python, of which one runs at a time.
LEAST_WORK = 512
IN_WAITING = 1  # ticks read or made beside those under way

_Step = tuple[Tick, Tensor]


def ticks_at_once(network: Network, device: torch.device) -> int:
    """How many ticks of a stream there should be under way; the threads are shared out to them."""
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    work = sum(part.weight.numel() for part in convolutions) / network.traits.multiple**2
    if device.type != "cpu" or work < LEAST_WORK * len(convolutions):
        return 1
    return min(torch.get_num_threads(), MOST_AT_ONCE)


def convoy(stream: RowStream, steps: Iterable[_Step]) -> Generator[_Step, None, None]:
    """The ticks of a stream with the rows of the image, to the ticks with the rows of the output.

    `steps` is drawn from in the caller's thread, a few ticks ahead. What goes wrong is raised
    here. When the caller has had enough, the threads finish the stage under way, then stop.
    """
    members = _members(stream)
    sent = received = 0
    try:
        for member in members:
            member.start()
        for step in steps:
            if sent - received == len(members) + IN_WAITING:
                yield members[received % len(members)].receive()
                received += 1
            members[sent % len(members)].send(step)
            sent += 1
        while received < sent:
            yield members[received % len(members)].receive()
            received += 1
    finally:
        for member in members:
            member.stop()
        for member in members:
            if member.ident is not None:  # the system may have had no thread for it
                member.join()


def _members(stream: RowStream) -> list[_Member]:
    """One for each tick under way; the first need not wait for anyone at first."""
    stages, count = len(stream.stages), stream.at_once
    passed = [Semaphore(stages if index == 0 else 0) for index in range(count)]
    threads = torch.get_num_threads()
    return [
        _Member(stream, _Turn(mine, after), threads=max(threads // count, 1), afterwards=threads)
        for mine, after in zip(passed, passed[1:] + passed[:1], strict=True)
    ]


class _StoppedError(Exception):
    """The caller has had enough."""


class _Turn:
    """Entered for each stage: waits until the tick before has left it, and lets the next one in.

    `mine` counts the stages that the tick before has left and this one has not entered.
    """

    def __init__(self, mine: Semaphore, after: Semaphore) -> None:
        self._mine, self._after = mine, after
        self._stopped = Event()

    def stop(self) -> None:
        self._stopped.set()
        self._mine.release()

    def __enter__(self) -> None:
        self._mine.acquire()
        if self._stopped.is_set():
            raise _StoppedError

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._after.release()


class _Member(Thread):
    """Takes every so manyeth tick through all the stages."""

    def __init__(self, stream: RowStream, turn: _Turn, *, threads: int, afterwards: int) -> None:
        super().__init__(name="srcli stream", daemon=True)  # a second Ctrl-C need not wait for it
        self._stream, self._turn = stream, turn
        self._threads, self._afterwards = threads, afterwards
        self._given: SimpleQueue[_Step | None] = SimpleQueue()
        self._made: SimpleQueue[_Step | BaseException] = SimpleQueue()

    def send(self, step: _Step) -> None:
        self._given.put(step)

    def receive(self) -> _Step:
        made = self._made.get()
        if isinstance(made, BaseException):
            try:
                raise made
            finally:
                del made  # else it would hold this frame, and that the stream with all its memory
        return made

    def stop(self) -> None:
        self._turn.stop()
        self._given.put(None)

    def run(self) -> None:
        # What is set last in any thread, torch gives to every new one: the first question takes
        # that up, and the last word puts it right for the threads of others.
        torch.get_num_threads()
        torch.set_num_threads(self._threads)
        with torch.inference_mode():
            self._take_ticks()
        torch.set_num_threads(self._afterwards)

    def _take_ticks(self) -> None:
        while (step := self._given.get()) is not None:
            tick, image = step
            try:
                self._made.put((tick, self._stream.step(tick, image, self._turn)))
            except _StoppedError:
                return
            except BaseException as error:  # whatever it is, the caller must hear of it
                self._made.put(error)
                return
