"""Tensors from and to files: only numbers are read, nothing in a file is ever executed."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from srcli.errors import BadWeightsError
from srcli.io.containers import SUPPORTED, Container, recognise
from srcli.io.files import replacing
from srcli.io.pickle_values import PickleError, is_possible
from srcli.io.pickles import MOST_TENSORS
from srcli.io.quiet import no_warnings
from srcli.io.torch_files import check_torch_file, strangers

StateTree: TypeAlias = "dict[str, Tensor | StateTree]"

# What reading a damaged pickle ends in: its opcodes fetch from empty stacks, build from wrong
# types and ask for storages that are not there. All of it comes from the file.
MALFORMED = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    struct.error,
)
_PIECE_BYTES = 1 << 20
# What safetensors ends in where a header names a type of numbers that this torch has not.
_UNREADABLE = (AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def read_state_dict(path: Path) -> StateTree:
    """All tensors of a `.safetensors` or `.pth` file, nested as they were saved, on the CPU.

    The container is told from the content, not the suffix. Whatever is neither a tensor nor a
    mapping (step counters, options) is left out. Where the container allows it the tensors are
    mapped from the file: they cost memory only when they are used, and must not be written to.

    Raises BadWeightsError if the file is damaged, of another kind, or a pickle that asks for
    anything but tensors: such a file is refused by the name of what it asked for.
    """
    container = recognise(path)
    match container:
        case Container.SAFETENSORS:
            return _read_safetensors(path)
        case Container.TORCH_ZIP | Container.TORCH_PICKLE:
            return _read_torch(path, is_mapped=container is Container.TORCH_ZIP)
        case Container.NCNN_PARAM:
            message = f"{path} describes an ncnn network; its numbers are in the .bin beside it"
            raise BadWeightsError(message, hint="srcli.io.ncnn reads the pair")


def read_metadata(path: Path) -> dict[str, str]:
    """The text fields in the header of a safetensors file; {} for every other container."""
    if recognise(path) is not Container.SAFETENSORS:
        return {}
    _check_header(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise _damaged(path, str(error)) from error


def write_safetensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors of any device and layout; the file appears whole or not at all.

    The same tensors and metadata make the same bytes. Raises DiskFullError or OutputError, as
    `srcli.io.files.replacing`.
    """
    # Copies: the format refuses tensors that share memory, and tied weights do.
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(plain, dict(metadata or {}))
    header, numbers = _ordered(content)
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(header)
        file.write(numbers)


def _ordered(content: bytes) -> tuple[bytes, memoryview]:
    """Header and numbers of a file, the metadata by name: safetensors has another order each time.

    8 bytes of length | the header, JSON with spaces to a multiple of 8 | numbers
    """
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    if metadata := header.get("__metadata__"):
        header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text, memoryview(content)[8 + length :]


def _check_header(path: Path) -> None:
    """Count tensors before the header is parsed, which takes many times its size in memory.

    Each has a brace of its own. Texts in the metadata may have some too, never thousands.
    """
    with path.open("rb") as file:
        (left,) = struct.unpack("<Q", file.read(8))
        braces = 0
        while braces <= MOST_TENSORS and (piece := file.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            braces += piece.count(b"{")
    if braces > MOST_TENSORS:
        raise _damaged(path, f"it holds more than {MOST_TENSORS:,} tensors")


def _read_safetensors(path: Path) -> StateTree:
    _check_header(path)
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            names = list(file.keys())
            if not all(is_possible(file.get_slice(name).get_shape()) for name in names):
                raise _damaged(path, "it holds tensors of an impossible shape")
            return {name: file.get_tensor(name) for name in names}
    except (safetensors.SafetensorError, *_UNREADABLE) as error:
        raise _damaged(path, str(error)) from error


def _read_torch(path: Path, *, is_mapped: bool) -> StateTree:
    refuse_unless_plain(path)
    try:
        with no_warnings():  # about pickle protocols and old storages: not the user's
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=is_mapped)
    except MALFORMED as error:
        raise _damaged(path, str(error).partition("\n")[0]) from error
    if isinstance(loaded, Tensor):
        loaded = {"tensor": loaded}
    tree = _tensors(loaded) if isinstance(loaded, Mapping) else {}
    if not tree:
        raise BadWeightsError(f"{path} holds no tensors by name", hint=SUPPORTED)
    return tree


def refuse_unless_plain(
    path: Path, *, most_tensors: int = MOST_TENSORS, hint: str | None = None
) -> None:
    """Raise BadWeightsError where a PyTorch file is anything but tensors that lie within it.

    Numbers, texts and mappings of them may be there too. `hint` says what to use instead of it.
    """
    try:
        check_torch_file(path, most_tensors=most_tensors)
    except PickleError as problem:
        if asked := strangers(path):
            message = f"{path} asks for {asked[0]}: refused, only tensors are ever loaded"
            instead = "use a .safetensors of these weights, or one saved from a state_dict()"
            raise BadWeightsError(message, hint=hint or instead) from None
        raise _damaged(path, str(problem), hint) from problem


def _tensors(mapping: Mapping[object, object]) -> StateTree:
    tree: StateTree = {}
    for name, value in mapping.items():
        if isinstance(value, Tensor):
            tree[str(name)] = value.detach()
        elif isinstance(value, Mapping) and (branch := _tensors(value)):
            tree[str(name)] = branch
    return tree


def _damaged(path: Path, reason: str, hint: str | None = None) -> BadWeightsError:
    detail = f" ({reason})" if reason else ""
    return BadWeightsError(f"{path} is damaged{detail}", hint=hint or "download it again")
