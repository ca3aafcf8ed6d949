"""The pairs of each step, in as many parts as memory asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import torch

from srcli.data.pairs import Batch, PairSource, PairStream, StreamState
from srcli.errors import OutOfMemoryError
from srcli.models.network import Network
from srcli.training.distributed import Processes


class TrainingFeed:
    """Batches of `batch` pairs, each in `parts` parts; the state is a position in the stream."""

    def __init__(
        self,
        source: PairSource,
        *,
        batch: int,
        parts: int,
        device: torch.device,
        workers: int = 0,
        processes: Processes | None = None,
    ) -> None:
        self._source = source
        self._batch = batch
        self._parts = parts
        self._device = device
        self._workers = workers
        self._processes = processes or Processes()
        self._start = StreamState(position=0, fingerprint=source.fingerprint)
        self._stream, self._batches = self._open(self._start)

    @property
    def parts(self) -> int:
        """How many parts a step's batch comes in."""
        return self._parts

    @property
    def part_pictures(self) -> int:
        """Pairs that go through the network at once."""
        return self._batch // self._parts

    def pairs(self) -> Iterator[Batch]:
        """The parts of the next step."""
        self._start = self._stream.state()
        for _ in range(self._parts):
            yield next(self._batches)

    def retry_smaller(self) -> None:
        """Go back to the start of the step, in more parts."""
        if self._processes.ranks > 1:
            raise OutOfMemoryError(
                "out of memory in one of several processes",
                hint="give a larger training.accumulation, or a smaller training.patch_px",
            )
        self.set_parts(next_parts(self._batch, self._parts))

    def set_parts(self, parts: int) -> None:
        """Cut the batches in other parts, from the start of the last step on."""
        self._parts = parts
        self.close()
        self._stream, self._batches = self._open(self._start)

    def state(self) -> dict[str, Any]:
        """The place in the stream and the parts, for a checkpoint."""
        return {**asdict(self._stream.state()), "parts": self._parts}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; ConfigError if the pictures are others now."""
        self._start = StreamState(position=state["position"], fingerprint=state["fingerprint"])
        if self._batch % state["parts"] == 0:
            self._parts = max(self._parts, state["parts"])
        self.close()
        self._stream, self._batches = self._open(self._start)

    def close(self) -> None:
        """End the threads that prepare pairs."""
        self._batches.close()

    def _open(self, start: StreamState) -> tuple[PairStream, Any]:
        stream = PairStream(
            self._source,
            batch_size=self.part_pictures,
            device=self._device,
            workers=self._workers,
            rank=self._processes.rank,
            ranks=self._processes.ranks,
        )
        stream.restore(start)
        return stream, iter(stream)


def next_parts(batch: int, parts: int) -> int:
    """The next larger number of equal parts, at least twice as many if there is one.

    >>> [next_parts(12, parts) for parts in (1, 2, 4)]
    [2, 4, 12]

    Raises OutOfMemoryError when each picture is a part of its own already.
    """
    larger = [each for each in range(parts + 1, batch + 1) if batch % each == 0]
    if not larger:
        raise OutOfMemoryError(
            "not even one pair at a time fits in memory",
            hint="use a smaller --patch, a smaller network, or another --device",
        )
    return next((each for each in larger if each >= 2 * parts), larger[-1])


class TaughtPairs:
    """Pairs whose target is, by a share, what a teacher makes of the low picture."""

    def __init__(self, source: PairSource, teacher: Network, share: float, tag: str) -> None:
        self._source = source
        self._teacher = teacher
        self._share = share
        self._tag = tag  # names the teacher in the fingerprint

    @property
    def fingerprint(self) -> str:
        """Changes with the pairs and the teacher."""
        return f"{self._source.fingerprint}+{self._tag}={self._share:g}"

    def batch(self, positions: Sequence[int], device: torch.device) -> Batch:
        """The samples at these positions."""
        batch = self._source.batch(positions, device)
        with torch.no_grad():
            taught = self._teacher(batch.low.contiguous(memory_format=torch.channels_last))
            taught = taught.float().clamp(0, 1)
            high = torch.lerp(batch.high, taught, self._share)
            is_plain = batch.sharpened is batch.high
            sharpened = high if is_plain else torch.lerp(batch.sharpened, taught, self._share)
        return Batch(low=batch.low, high=high, sharpened=sharpened)


class MixedPairs:
    """The same pairs from two sources, the targets mixed: `share` of the second."""

    def __init__(self, first: PairSource, second: PairSource, share: float) -> None:
        self._first = first
        self._second = second
        self._share = share

    @property
    def fingerprint(self) -> str:
        """Changes with either source."""
        return f"{self._first.fingerprint}+{self._second.fingerprint}={self._share:g}"

    def batch(self, positions: Sequence[int], device: torch.device) -> Batch:
        """The samples at these positions."""
        first = self._first.batch(positions, device)
        second = self._second.batch(positions, device)
        high = torch.lerp(first.high, second.high, self._share)
        is_plain = first.sharpened is first.high
        return Batch(
            low=second.low,
            high=high,
            sharpened=high if is_plain else torch.lerp(first.sharpened, second.high, self._share),
        )
