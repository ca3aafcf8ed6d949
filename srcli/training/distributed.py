"""One run on several processes: each takes its part of a joint batch, all have the same weights."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

PATIENCE = timedelta(hours=3)  # the others wait while the first one validates


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """Which process this is, of how many; with one, nothing is communicated."""

    rank: int = 0
    ranks: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process validates, writes and talks."""
        return self.rank == 0

    def average(self, values: Tensor) -> Tensor:
        """The mean of a tensor over the processes."""
        if self.ranks > 1:
            values = values.clone()
            dist.all_reduce(values)
            values /= self.ranks
        return values

    def any(self, flags: Tensor) -> Tensor:
        """Where any process has a value other than zero."""
        if self.ranks > 1:
            flags = flags.clone()
            dist.all_reduce(flags, op=dist.ReduceOp.MAX)
        return flags

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the mean gradients, in one message."""
        gradients = [each.grad for each in parameters if each.grad is not None]
        if self.ranks == 1 or not gradients:
            return
        joint = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(joint)
        joint /= self.ranks
        parts = joint.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def wait(self) -> None:
        """Let all processes arrive here."""
        if self.ranks > 1:
            dist.barrier()


def launched() -> Processes:
    """What torchrun says of this process; one process where nothing launched it."""
    return Processes(
        rank=int(os.environ.get("RANK", "0")), ranks=int(os.environ.get("WORLD_SIZE", "1"))
    )


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Be one of the processes that torchrun started, on this device, while the block lasts."""
    processes = launched()
    if processes.ranks == 1:
        yield processes
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield processes
    finally:
        dist.destroy_process_group()
