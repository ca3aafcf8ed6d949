"""Which device a network runs on, and why another one does not."""

from __future__ import annotations

import platform
from dataclasses import dataclass

import psutil
import torch

from srcli.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """One device of this machine, usable or refused."""

    name: str  # as --device takes it
    description: str
    memory_bytes: int
    free_bytes: int
    precisions: tuple[str, ...]
    refused: str | None = None  # why it is not used


def choose_device(wanted: str) -> torch.device:
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps` as a device that exists here.

    Raises UsageError that says what is missing and what there is.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise UsageError(
            f"{wanted!r} is no device", hint="say auto, cpu, cuda, cuda:1 or mps"
        ) from None
    refused = _why_refused(device)
    if refused is not None:
        raise UsageError(
            f"{wanted} cannot be used: {refused}", hint="run `srcli doctor` to see what there is"
        )
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def expand_devices(wanted: str) -> list[str]:
    """`cuda:0,cuda:1` as a list; `all` is every CUDA card, or what `auto` is without one.

    >>> expand_devices("cpu"), expand_devices("cuda:0, cuda:1")
    (['cpu'], ['cuda:0', 'cuda:1'])
    """
    if wanted == "all":
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["auto"]
    names = [name.strip() for name in wanted.split(",")]
    if not all(names):
        raise UsageError(f"{wanted!r} names no devices", hint="write them as cuda:0,cuda:1")
    return names


def list_devices() -> list[DeviceFacts]:
    """Every kind of device srcli can use, present or refused with the reason."""
    memory = psutil.virtual_memory()
    processor = platform.processor() or platform.machine()
    cpu = DeviceFacts(
        name="cpu",
        description=f"{processor}, {torch.get_num_threads()} threads",
        memory_bytes=memory.total,
        free_bytes=memory.available,
        precisions=("fp32", "bf16"),
    )
    return [cpu, *_cuda_devices(), _mps_device()]


def _cuda_devices() -> list[DeviceFacts]:
    refused = _why_refused(torch.device("cuda"))
    if refused is not None:
        return [_refused("cuda", refused)]
    found = []
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        half = ("fp16",) if facts.major >= 7 else ()
        bfloat = ("bf16",) if facts.major >= 8 else ()
        found.append(
            DeviceFacts(
                name=f"cuda:{index}",
                description=f"{facts.name}, compute capability {facts.major}.{facts.minor}",
                memory_bytes=total,
                free_bytes=free,
                precisions=("fp32", *half, *bfloat),
            )
        )
    return found


def _mps_device() -> DeviceFacts:
    refused = _why_refused(torch.device("mps"))
    if refused is not None:
        return _refused("mps", refused)
    memory = psutil.virtual_memory()  # shared with the CPU
    return DeviceFacts(
        name="mps",
        description="Apple GPU",
        memory_bytes=memory.total,
        free_bytes=memory.available,
        precisions=("fp32", "fp16"),
    )


def _refused(name: str, why: str) -> DeviceFacts:
    return DeviceFacts(
        name=name, description="", memory_bytes=0, free_bytes=0, precisions=(), refused=why
    )


def _why_refused(device: torch.device) -> str | None:
    if device.type == "cpu":
        return None
    if device.type == "cuda":
        if torch.version.cuda is None and torch.version.hip is None:
            return "this torch was built without CUDA"
        if not torch.cuda.is_available():
            return "no NVIDIA driver or card was found"
        if device.index is not None and device.index >= torch.cuda.device_count():
            return f"there are only {torch.cuda.device_count()} cards"
        return None
    if device.type == "mps":
        if not torch.backends.mps.is_built():
            return "this torch was built without Apple's Metal"
        return None if torch.backends.mps.is_available() else "macOS 12.3 or newer is needed"
    return f"srcli does not run on {device.type}"
