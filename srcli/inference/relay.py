"""The lanes of a stream at the same time, each on a thread and a share of the cores of its own.

    reading -> (tick, rows) -> lane -> (tick, rows) -> lane -> (tick, rows) -> writing
      caller                  thread                  thread                   caller

Two threads in one convolution wait for each other at its end, a thousand times a second; where
something else wants the cores too, they spend their time on that. Two lanes wait once a tick. While
the picture has not reached all lanes yet, or has left some, the others take the idle cores.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import pairwise
from queue import SimpleQueue
from threading import Event, Thread

import torch
from torch import Tensor

from srcli.inference.delays import Tick
from srcli.inference.streams import RowStream

MOST_LANES = 8  # beyond that they are hard to make equally long
IN_FLIGHT = 1  # ticks between the lanes, beside one that each of them works on

_Step = tuple[Tick, Tensor]
_Post = SimpleQueue["_Step | BaseException | None"]


def lanes_for(device: torch.device) -> int:
    """How many lanes a stream there should have: one for each thread that torch would use."""
    return min(torch.get_num_threads(), MOST_LANES) if device.type == "cpu" else 1


def relay(stream: RowStream, steps: Iterable[_Step]) -> Generator[_Step, None, None]:
    """The ticks of a stream with the rows of the image, to the ticks with the rows of the output.

    `steps` is drawn from in the caller's thread, a few ticks ahead. What goes wrong in a lane is
    raised here. When the caller has had enough, the lanes finish the tick under way, then stop.
    """
    threads = torch.get_num_threads()  # torch keeps it apart for every thread that asks
    posts: list[_Post] = [SimpleQueue() for _ in range(len(stream.lanes) + 1)]
    stopped = Event()
    workers = [
        Thread(
            target=_work,
            args=(_Place(stream, index, threads), incoming, outgoing, stopped),
            name=f"srcli lane {index}",
            daemon=True,  # a second Ctrl-C need not wait for it
        )
        for index, (incoming, outgoing) in enumerate(pairwise(posts))
    ]
    for worker in workers:
        worker.start()
    waiting = 0
    try:
        for tick, image in steps:
            posts[0].put((tick, image))
            waiting += 1
            if waiting > len(workers) + IN_FLIGHT:
                yield _received(posts[-1])
                waiting -= 1
        for _ in range(waiting):
            yield _received(posts[-1])
    finally:
        stopped.set()
        for post in posts:
            post.put(None)
        for worker in workers:
            worker.join()


def _received(post: _Post) -> _Step:
    received = post.get()
    if isinstance(received, BaseException):
        raise received
    assert received is not None
    return received


@dataclass(slots=True)
class _Place:
    """A lane, and how many cores are its own in a tick."""

    stream: RowStream
    index: int
    threads: int  # of all lanes
    taken: int = 0

    def step(self, tick: Tick, rows: Tensor) -> Tensor:
        busy = sum(not lane.is_idle(tick) for lane in self.stream.lanes)
        share = max(self.threads // max(busy, 1), 1)
        if share != self.taken:
            torch.set_num_threads(share)
            self.taken = share
        return self.stream.step_lane(self.index, tick, rows)


def _work(place: _Place, incoming: _Post, outgoing: _Post, stopped: Event) -> None:
    with torch.inference_mode():
        while (step := incoming.get()) is not None and not stopped.is_set():
            if isinstance(step, BaseException):
                outgoing.put(step)
                continue
            tick, rows = step
            try:
                outgoing.put((tick, place.step(tick, rows)))
            except BaseException as error:  # whatever it is, the caller must hear of it
                outgoing.put(error)
