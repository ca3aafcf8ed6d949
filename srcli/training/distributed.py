"""One run on several processes: each takes its part of a joint batch, all have the same weights."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import psutil
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from srcli.errors import SrcliError, TrainingError

PATIENCE = timedelta(hours=3)  # the others wait while the first one validates
_UNNAMED = "none"  # what torchrun calls a run that nobody gave an id
# What the libraries say when another process is gone; they have no exception of its own for it.
_SIGNS_OF_LOSS = ("closed by peer", "reset by peer", "Broken pipe", "NCCL", "gloo")


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

    @contextmanager
    def together(self, device: torch.device) -> Iterator[None]:
        """Let all processes end the block, or none: where one fails in it, all stop.

        For what one does and the others wait for. Raises what the block raised, elsewhere a
        TrainingError.
        """
        failure: SrcliError | None = None
        try:
            yield
        except SrcliError as error:
            failure = error
        has_failed = self.any(torch.tensor(float(failure is not None), device=device))
        if failure is not None:
            raise failure
        if has_failed:
            raise TrainingError(
                "another process of the run has failed", hint="what failed, it says itself"
            )


def launch() -> str | None:
    """What all processes of one torchrun have in common, restarted ones too; None without one."""
    identity = os.environ.get("TORCHELASTIC_RUN_ID")
    if identity is None:
        return None
    if identity != _UNNAMED:
        return identity
    agent = psutil.Process(os.getppid())
    return f"{socket.gethostname()} {agent.pid} {agent.create_time()}"


def is_restarted() -> bool:
    """Whether torchrun started the processes again, because one was lost (`--max-restarts`)."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


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
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=_fresh_store(processes),
        rank=processes.rank,
        world_size=processes.ranks,
        timeout=PATIENCE,
    )
    try:
        with _losses():
            yield processes
    finally:
        dist.destroy_process_group()


def _fresh_store(processes: Processes) -> Store:
    """A store in which nothing is left of processes that were lost.

    torchrun keeps its store over restarts (torch 2.15), with the addresses of the dead in it. So
    the first process makes a name for a new place, and gives it to each of the others that asks by
    a word which nobody used before; who takes the name, lives.
    """
    store: Store
    store, _, _ = next(rendezvous("env://", timeout=PATIENCE))
    if not processes.is_first:
        word = secrets.token_hex(8)
        store.set(f"srcli asks {processes.rank}", word)
        place = store.get(f"srcli answers {word}").decode()
        store.set(f"srcli takes {place} {processes.rank}", "yes")
        return PrefixStore(place, store)
    place = secrets.token_hex(8)
    for rank in range(1, processes.ranks):
        while not store.check([f"srcli takes {place} {rank}"]):
            word = store.get(f"srcli asks {rank}").decode()  # perhaps that of one who is dead
            store.set(f"srcli answers {word}", place)
            time.sleep(0.02)
    return PrefixStore(place, store)


@contextmanager
def _losses() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _SIGNS_OF_LOSS):
            raise
        raise TrainingError(
            "another process of the run is gone",
            hint="resume with --resume; torchrun --max-restarts does so by itself",
        ) from error
