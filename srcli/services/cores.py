"""How the cores of a CPU are divided between the network and the codecs beside it."""

from __future__ import annotations

import os
from threading import Lock

import torch


class Cores:
    """Gives the network as many threads as is its share of the work so far.

    A large network has nearly all of the work and keeps all cores. Beside a small one the codecs
    need a part of them, and torch's threads would stand in their way: they wait for each other by
    spinning, so that one that has to share its core holds up all.
    """

    def __init__(self) -> None:
        self._most = torch.get_num_threads()
        self._network = self._codecs = 0.0  # seconds of one core
        self._mutex = Lock()

    def give(self) -> int:
        """Set torch's threads for the next picture, in the thread that runs it; how many."""
        threads = self._share()
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        return threads

    def count(self, *, network: float, threads: int, codecs: float) -> None:
        """Seconds that a picture took the network with so many threads, and the codecs."""
        with self._mutex:
            self._network += network * threads
            self._codecs += codecs

    def restore(self) -> None:
        """Give torch back what it had."""
        torch.set_num_threads(self._most)

    def _share(self) -> int:
        with self._mutex:
            total = self._network + self._codecs
            if not total:
                return self._most
            return max(round(self._most * self._network / total), 1)


def core_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
