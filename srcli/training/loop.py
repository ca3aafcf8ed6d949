"""The optimisation step, and nothing else: the caller logs, validates, saves and stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from srcli.inference.memory import MemoryExhaustedError
from srcli.inference.precision import memory_failures
from srcli.losses.adversarial import DiscriminatorReport
from srcli.losses.stack import LossReport
from srcli.training.guard import Verdict
from srcli.training.report import StepReport, mean_judgements, mean_losses
from srcli.training.schedule import rate_at
from srcli.training.state import Training

SMALLEST_SCALE = 1.0  # below it fp16 does not overflow for want of a smaller scale


class Pair(Protocol):
    """A part of a batch, on the device, in [0, 1].

    low (N, 3, h, w), high and sharpened (N, 3, s·h, s·w); sharpened may be high itself.
    """

    @property
    def low(self) -> Tensor: ...
    @property
    def high(self) -> Tensor: ...
    @property
    def sharpened(self) -> Tensor: ...


class Feed(Protocol):
    """Where the pairs of a step come from."""

    @property
    def parts(self) -> int:
        """How many parts of equal size a step's batch comes in."""
        ...

    def pairs(self) -> Iterator[Pair]:
        """The parts of the next step."""
        ...

    def retry_smaller(self) -> None:
        """Give the last step's pairs again, in more parts; OutOfMemoryError if there is no way."""
        ...


def train(
    training: Training, feed: Feed, *, on_note: Callable[[str], None] = lambda note: None
) -> Iterator[StepReport]:
    """Take steps until `training.plan.steps` are done, from `training.step` on.

    Out of memory, a step starts over with its batch in more parts. A step whose numbers are not
    finite is not taken. On Verdict.ROLLED_BACK the caller is to restore an earlier state before
    it asks for the next step, on Verdict.STOPPED to end the run.
    """
    while training.step < training.plan.steps:
        yield _step(training, feed, on_note)


def _step(training: Training, feed: Feed, on_note: Callable[[str], None]) -> StepReport:
    while True:
        try:
            with memory_failures():
                seen = accumulate(training, feed.pairs(), feed.parts)
                break
        except MemoryExhaustedError:
            clear_gradients(training)
        feed.retry_smaller()
        on_note(f"out of memory: the batch now goes through in {feed.parts} parts")
        if training.device.type == "cuda":
            torch.cuda.empty_cache()
    return _finish(training, seen)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the parts of a batch came to; the gradients are in the networks."""

    losses: LossReport | None
    judged: DiscriminatorReport | None


def accumulate(training: Training, pairs: Iterator[Pair], parts: int) -> _Seen:
    """Add up the gradients of a batch that comes in parts: those of the whole batch.

    Exactly so for terms that are means or sums over pictures. Relativistic losses and batch
    normalisation compare the pictures of a part with each other, not with the whole batch.
    """
    losses: list[LossReport] = []
    judgements: list[DiscriminatorReport] = []
    is_warmup = training.step < training.plan.warmup_steps
    for number, pair in enumerate(pairs, start=1):
        low = pair.low.contiguous(memory_format=torch.channels_last)
        high = pair.high.contiguous(memory_format=torch.channels_last)
        target = pair.sharpened
        target = high if target is pair.high else _channels_last(target)
        if is_warmup:
            with torch.no_grad(), _autocast(training):
                restored = training.forward(low)
        else:
            with _unsynchronised(training, is_last=number == parts):
                restored, report = _generator_part(training, low, high, target, parts)
            losses.append(report)
        judged = None
        if training.adversary is not None:
            judged = _discriminator_part(training, restored, high, parts)
            judgements.append(judged)
        training.watch.observe(restored, target, judged)
    return _Seen(mean_losses(losses), mean_judgements(judgements))


def _generator_part(
    training: Training, low: Tensor, high: Tensor, target: Tensor, parts: int
) -> tuple[Tensor, LossReport]:
    # Gradients are averaged over the processes as well as over the parts.
    shares = parts * training.processes.ranks
    with _autocast(training):
        restored = training.forward(low)
        report = training.losses(
            restored, target, real=high, step=training.step, micro_batches=shares
        )
    training.scaler.scale(report.total / parts).backward()
    return restored.detach(), LossReport(report.total.detach(), report.terms)


def _discriminator_part(
    training: Training, restored: Tensor, high: Tensor, parts: int
) -> DiscriminatorReport:
    assert training.adversary is not None
    # A block of its own: autocast keeps the half-precision copies of weights that it made, and
    # those made without gradient, for the generator's side, would be taken for ours.
    with _autocast(training):
        judged = training.adversary.judge(restored, high)
    training.scaler.scale(judged.total / parts).backward()
    return DiscriminatorReport(judged.total.detach(), judged.real_logit, judged.restored_logit)


def _finish(training: Training, seen: _Seen) -> StepReport:
    """Clip, judge and take the step that the accumulated gradients make."""
    adversary, plan = training.adversary, training.plan
    rate = _set_rates(training)
    norm = torch.zeros((), device=training.device)
    norms: list[Tensor] = []
    if seen.losses is not None:
        for optimizer in training.losses.optimizers():
            training.processes.average_gradients(_parameters(optimizer))
        norm = _clipped(training, training.optimizer)
        norms += [norm, seen.losses.total.float()]
    if adversary is not None:
        training.processes.average_gradients(adversary.discriminator.parameters())
        norms.append(_clipped(training, adversary.optimizer))
    bad = training.processes.any((~torch.stack(norms).isfinite()).float())
    verdict = _judge(training, bad.tolist())
    if verdict is Verdict.TAKEN:
        _take(training, is_warmup=seen.losses is None)
    elif training.scaler.is_enabled():
        training.scaler.update()
    clear_gradients(training)
    training.step += 1
    return StepReport(
        step=training.step,
        losses=seen.losses,
        judged=seen.judged,
        gradient_norm=norm,
        rate=rate if training.step > plan.warmup_steps else 0.0,
        verdict=verdict,
    )


def _judge(training: Training, bad: list[float]) -> Verdict:
    """`bad` says of gradient norms and losses which are not finite."""
    scaler = training.scaler
    loss_is_finite = len(bad) < 2 or not bad[1]
    can_rescale = scaler.is_enabled() and scaler.get_scale() > SMALLEST_SCALE
    if any(bad) and loss_is_finite and can_rescale:
        return Verdict.RESCALED
    return training.guard.judge(is_finite=not any(bad))


def _take(training: Training, *, is_warmup: bool) -> None:
    scaler = training.scaler
    if not is_warmup:
        scaler.step(training.optimizer)
        for optimizer in training.losses.optimizers():
            scaler.step(optimizer)
    if training.adversary is not None:
        scaler.step(training.adversary.optimizer)
    scaler.update()
    if not is_warmup:
        training.average.update()


def _set_rates(training: Training) -> float:
    plan, step, factor = training.plan, training.step, training.guard.rate_factor
    rate = factor * rate_at(
        plan.schedule, step, steps=plan.steps, rate=plan.rate, first=plan.warmup_steps
    )
    _set_rate(training.optimizer, rate)
    if training.adversary is not None:
        # Its warm-up is its start, so its schedule runs over the whole of the run.
        own = rate_at(plan.schedule, step, steps=plan.steps, rate=plan.adversary_rate)
        _set_rate(training.adversary.optimizer, factor * own)
    return rate


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _clipped(training: Training, optimizer: torch.optim.Optimizer) -> Tensor:
    """The norm of an optimiser's gradients before they were clipped, ()."""
    training.scaler.unscale_(optimizer)
    limit = training.plan.gradient_clip or float("inf")
    return nn.utils.clip_grad_norm_(_parameters(optimizer), limit)


def clear_gradients(training: Training) -> None:
    """Forget all gradients, and what a step that failed has left for them."""
    training.optimizer.zero_grad(set_to_none=True)
    for optimizer in training.losses.optimizers():
        optimizer.zero_grad(set_to_none=True)
    if training.adversary is not None:
        training.adversary.optimizer.zero_grad(set_to_none=True)
        training.adversary.loss.forget()


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _autocast(training: Training) -> AbstractContextManager[object]:
    dtype = training.plan.dtype
    if dtype is torch.float32:
        return nullcontext()
    return torch.autocast(training.device.type, dtype)


def _unsynchronised(training: Training, *, is_last: bool) -> AbstractContextManager[object]:
    """Distributed gradients are exchanged once, with the last part."""
    forward = training.forward
    if isinstance(forward, DistributedDataParallel) and not is_last:
        no_sync: AbstractContextManager[object] = forward.no_sync()
        return no_sync
    return nullcontext()


def _channels_last(picture: Tensor) -> Tensor:
    return picture.contiguous(memory_format=torch.channels_last)
