"""How much memory a step takes, found out before step 1, without a trace in the run."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from srcli.inference.memory import MemoryExhaustedError
from srcli.inference.precision import memory_failures
from srcli.losses.balance import alone
from srcli.training.loop import Pair, accumulate, clear_gradients
from srcli.training.state import Training, capture, restore

HEADROOM = 1.3  # gradients on their way, workspaces of convolutions, fragments


@contextmanager
def untouched(training: Training) -> Iterator[None]:
    """Let the block train as it likes; afterwards everything is as it was before.

    Nothing is said to other processes in it: each may try as often as it must, and fail at any
    place, while the others wait for none of its words.
    """
    state = copy.deepcopy(capture(training))
    balance, forward = training.losses.balance, training.forward
    average = balance.average
    training.forward, balance.average = training.network, alone
    try:
        yield
    finally:
        training.forward, balance.average = forward, average
        clear_gradients(training)
        restore(training, state)


def picture_bytes(training: Training, pair: Pair) -> float:
    """What one picture of a step keeps in memory for the way back, measured with a small batch."""
    own = {weights.untyped_storage().data_ptr() for weights in _weights(training)}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with untouched(training), hooks:
        accumulate(training, iter([pair]), 1)
    return HEADROOM * sum(kept.values()) / len(pair.low)


def _weights(training: Training) -> Iterator[Tensor]:
    """Of all networks: they are there anyway, however many pictures there are."""
    yield from training.network.parameters()
    for term in training.losses.terms.values():
        if isinstance(term.loss, nn.Module):
            yield from term.loss.parameters()


def fits(training: Training, pairs: Sequence[Pair]) -> bool:
    """Whether a step with these parts runs on the device: it is tried."""
    try:
        with untouched(training), memory_failures():
            accumulate(training, iter(pairs), len(pairs))
    except MemoryExhaustedError:
        return False
    return True
