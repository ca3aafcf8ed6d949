"""Running a network on batches in the precision the hardware likes, and noticing when it fails.

fp16 overflows in some networks on some cards; the result is NaN, or black. A batch that comes out
so is run again in fp32, and after a few of them everything is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

import torch
from torch import Tensor

from srcli.errors import BadWeightsError, UsageError, means_no_memory
from srcli.inference.half import has_exact_ends, to_half
from srcli.inference.memory import MemoryExhaustedError
from srcli.models.network import Network

FAILURES_BEFORE_SWITCH = 3
BLACK = 0.5 / 255  # an output no brighter than this ...
NOT_BLACK = 8 / 255  # ... of an input at least this bright is a failure, not a picture


class PrecisionLostError(Exception):
    """A stream's numbers broke down: start over in fp32. Never reaches a user."""


class Precision(StrEnum):
    """The numbers a network computes with."""

    AUTO = "auto"
    FP16 = "fp16"
    BF16 = "bf16"
    FP32 = "fp32"


DTYPES = {
    Precision.FP16: torch.float16,
    Precision.BF16: torch.bfloat16,
    Precision.FP32: torch.float32,
}


def choose_precision(wanted: Precision, network: Network, device: torch.device) -> Precision:
    """`auto` made concrete: fp16 on CUDA, bf16 where fp16 is unsound for the network, else fp32.

    Raises UsageError when the network cannot compute in what is asked for.
    """
    traits = network.traits
    if wanted is Precision.FP16 and not traits.supports_half:
        raise UsageError(
            f"{traits.architecture} overflows in fp16", hint="use --precision bf16 or fp32"
        )
    if wanted is Precision.BF16 and not traits.supports_bfloat16:
        raise UsageError(f"{traits.architecture} does not run in bf16", hint="use --precision fp32")
    if wanted is not Precision.AUTO:
        return wanted
    if device.type == "cuda":
        if traits.supports_half and torch.cuda.get_device_capability(device) >= (7, 0):
            return Precision.FP16
        with torch.cuda.device(device):  # torch knows the current one only, and cards differ
            has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        if traits.supports_bfloat16 and has_bf16:
            return Precision.BF16
    if device.type == "mps" and traits.supports_half and _half_is_sound(network, device):
        return Precision.FP16
    return Precision.FP32


def keep_fp32(device: torch.device) -> None:
    """Let products of float32 on this device have all its bits: for the whole process.

    torch lets NVIDIA's convolutions round to 10 of them (TF32) if nobody objects.
    """
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False


class Pending:
    """A batch under way on the device; `result` waits for it and checks it."""

    def __init__(self, runner: Runner, batch: Tensor) -> None:
        self._runner = runner
        self._batch = batch
        self._precision = runner.precision  # it may be another one when the result is wanted
        self._restored, self._failed = runner._launch(batch)
        self._ready: torch.cuda.Event | None = None
        if runner.device.type == "cuda":  # not on the current device: there may be several
            self._ready = torch.cuda.current_stream(runner.device).record_event()

    def result(self) -> Tensor:
        """(N, 3, s·H, s·W) float32 on the host, finite.

        Raises BadWeightsError when even fp32 gives values that are not numbers.
        """
        with memory_failures():
            if self._ready is not None:
                self._ready.synchronize()
            restored = self._restored.float()
            if not bool(self._failed):
                return restored
            if self._precision is not Precision.FP32:
                return self._runner._again(self._batch, self._precision)
            return _finite(restored)  # black is what the network makes of it


class Runner:
    """A network on a device in a precision, with the guard.

    Takes and gives float32 on the host. On CUDA `submit` returns before the work is done: copies
    go through pinned memory, and nothing waits until `Pending.result`.
    """

    def __init__(
        self,
        network: Network,
        device: torch.device,
        precision: Precision,
        *,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> None:
        self.network = network  # the given weights, in fp32; never changed
        self.device = device
        self.precision = choose_precision(precision, network, device)
        self._on_note = on_note
        self._failures = 0
        self._replicas: dict[torch.dtype, Network] = {}
        keep_fp32(device)

    @property
    def dtype(self) -> torch.dtype:
        """What the network computes in, as of now."""
        return DTYPES[self.precision]

    @property
    def input_dtype(self) -> torch.dtype:
        """What the replica takes."""
        return torch.float32 if has_exact_ends(self.network) else self.dtype

    def switch(self) -> None:
        """Give up the current precision: everything from now on is done in fp32.

        Raises BadWeightsError when it is fp32 already.
        """
        if self.precision is Precision.FP32:
            raise _dead_network()
        self._on_note(f"{self.precision} overflowed: starting over in fp32")
        self.precision = Precision.FP32

    def submit(self, batch: Tensor) -> Pending:
        """Start on (N, 3, H, W) float32 in [0, 1] on the host."""
        with memory_failures():
            return Pending(self, batch)

    def _launch(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        is_cuda = self.device.type == "cuda"
        with torch.inference_mode():
            if is_cuda:
                batch = batch.pin_memory()
            # In two steps: in one, the host would round, into memory that no copy can overlap.
            there = batch.to(self.device, non_blocking=is_cuda).to(self.input_dtype)
            restored = self.replica(there.contiguous(memory_format=torch.channels_last))
            failed = _is_failure(there, restored)
            if not is_cuda:
                return restored.to("cpu"), failed
            return to_host(restored), to_host(failed)

    def _again(self, batch: Tensor, failed_in: Precision) -> Tensor:
        """The same batch in fp32, and everything from now on if this keeps happening."""
        current, self.precision = self.precision, Precision.FP32
        try:
            with torch.inference_mode():
                there = batch.to(self.device)
                exact = self.replica(there.contiguous(memory_format=torch.channels_last))
                is_black = bool(_is_failure(there, exact))
        finally:
            self.precision = current
        restored = _finite(exact.to("cpu"))
        if not is_black:  # black in fp32 too is a picture
            self._count_failure(failed_in)
        return restored

    def _count_failure(self, failed_in: Precision) -> None:
        self._failures += 1
        if self._failures == 1:
            self._on_note(f"{failed_in} overflowed on a part of the image: done in fp32")
        if self._failures == FAILURES_BEFORE_SWITCH:
            self._on_note(f"{failed_in} keeps overflowing: the rest is done in fp32")
            self.precision = Precision.FP32

    @property
    def replica(self) -> Network:
        """The network in the current precision on the device."""
        if self.dtype not in self._replicas:
            replica = copy.deepcopy(self.network) if self._needs_copy() else self.network
            replica = replica.to(self.device)
            if self.dtype is not torch.float32:
                replica = to_half(replica, self.dtype)
            self._replicas[self.dtype] = _channels_last(replica)
        return self._replicas[self.dtype]

    def _needs_copy(self) -> bool:
        return self.device.type != "cpu" or self.dtype is not torch.float32


@contextmanager
def memory_failures() -> Iterator[None]:
    """Every way in which torch says that memory is out, as MemoryExhaustedError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not means_no_memory(error):
            raise
        raise MemoryExhaustedError(str(error)) from None


def _is_failure(batch: Tensor, restored: Tensor) -> Tensor:
    """Whether any image of the batch failed: a boolean of shape (), where the tensors are."""
    image = (1, 2, 3)
    low, high = restored.amin(image), restored.amax(image)
    is_black = (high <= BLACK) & (batch.amax(image) >= NOT_BLACK)
    return (~torch.isfinite(low) | ~torch.isfinite(high) | is_black).any()


def _finite(restored: Tensor) -> Tensor:
    if not torch.isfinite(restored).all():
        raise _dead_network()
    return restored


def _channels_last(network: Network) -> Network:
    # Not Module.to(memory_format=...): it fails on parameters of five dimensions.
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def _dead_network() -> BadWeightsError:
    return BadWeightsError(
        "the network gives values that are not numbers, even in fp32",
        hint="the weights are damaged or not made for photographs; try others",
    )


def to_host(tensor: Tensor) -> Tensor:
    """A copy on its way to pinned memory; an event says when it is there."""
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    return host


def _half_is_sound(network: Network, device: torch.device) -> bool:
    """A small probe: fp16, as it would be run, close to fp32 on a smooth picture."""
    ramp = torch.linspace(0, 1, 64, device=device).expand(1, 3, 64, 64)
    probe = copy.deepcopy(network).to(device)
    with torch.inference_mode():
        exact = probe(ramp)
        taken = ramp if has_exact_ends(network) else ramp.half()
        half = to_half(probe, torch.float16)(taken).float()
    return bool(torch.isfinite(half).all()) and (half - exact).abs().max().item() < 2 / 255
