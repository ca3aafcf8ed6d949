"""How the cores of a CPU are divided between pictures in the network and the codecs beside them.

Threads of torch that share one picture wait for each other after every operation, by spinning:
one that has to share its core holds up all of them, and small operations are not worth dividing.
So a picture gets one core and many are done at once, as long as each is done soon even so. One
that would take long gets more, up to all of them:

    cores    |  picture 1  |  picture 2  |  picture 3  |  a codec  |      small pictures
             |  picture 4                              |  a codec  |      one that takes long
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from threading import Lock
from time import perf_counter

import torch

from srcli.services.gate import Gate

PATIENCE_SECONDS = 30.0  # that a picture may take so that others are done beside it


class Cores:
    """The cores of one run. Any thread may use it."""

    def __init__(self) -> None:
        self.count = torch.get_num_threads()
        self._gate = Gate(self.count)
        self._codecs = 0  # at work now
        self._wanted = 0  # cores, by the pictures in the network now
        self._spent = self._area = 0.0  # seconds of one core, and megapixels done in them
        self._mutex = Lock()

    @contextmanager
    def picture(self, megapixels: float) -> Iterator[Share]:
        """A picture in the network, in the thread that runs it; waits until it may begin.

        Until the network's speed is known, a picture is alone.
        """
        wanted = self._wish(megapixels)
        self._gate.enter(wanted)
        share = Share(self, wanted)
        self._change(wanted=wanted)
        try:
            yield share
            self._learn(share, megapixels)
        finally:
            self._change(wanted=-wanted)
            self._gate.leave(wanted)

    @contextmanager
    def codec(self) -> Iterator[None]:
        """A picture being decoded or encoded."""
        self._change(codecs=1)
        try:
            yield
        finally:
            self._change(codecs=-1)

    def restore(self) -> None:
        """Give torch back what it had."""
        torch.set_num_threads(self.count)

    def due(self, wanted: int) -> int:
        """Threads for a picture that wanted so many, beside what else is under way now."""
        with self._mutex:
            free = self.count - self._codecs
            return max(free * wanted // max(self._wanted, wanted), 1)

    def _wish(self, megapixels: float) -> int:
        """The fewest cores with which a picture is done soon."""
        with self._mutex:
            if not self._area:
                return self.count
            seconds = megapixels * self._spent / self._area
        return min(max(ceil(seconds / PATIENCE_SECONDS), 1), self.count)

    def _change(self, *, wanted: int = 0, codecs: int = 0) -> None:
        with self._mutex:
            self._wanted += wanted
            self._codecs += codecs

    def _learn(self, share: Share, megapixels: float) -> None:
        with self._mutex:
            self._spent += share.spent
            self._area += megapixels


class Share:
    """The threads of one picture; they become more or fewer as other work ends and begins."""

    def __init__(self, cores: Cores, wanted: int) -> None:
        self.spent = 0.0  # seconds of one core
        self._cores, self._wanted = cores, wanted
        self._threads, self._since = 0, perf_counter()

    def renew(self) -> None:
        """Set torch's threads, in the thread that runs the network, between two tiles."""
        now = perf_counter()
        self.spent += self._threads * (now - self._since)
        self._threads, self._since = self._cores.due(self._wanted), now
        # Asked first: it is the question that makes a new thread take up torch's settings, which
        # would later undo what was set before it.
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)


def core_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
