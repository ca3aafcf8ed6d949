"""The part of a weights file that is of use: the convolutions of VGG19 are 80 of its 575 MB."""

from __future__ import annotations

from pathlib import Path

from srcli.errors import BadWeightsError
from srcli.io.cache import sha256
from srcli.io.catalogue import WantedFile


def cut(path: Path, target: Path, *, prefix: str, origin: str) -> WantedFile:
    """Write the tensors whose names begin with `prefix` as safetensors; what the file is.

    `origin`, the digest of the whole, goes into its metadata. Raises BadWeightsError where there
    is no such tensor.
    """
    from torch import Tensor  # here: most of what is done with weights needs no torch

    from srcli.io.tensors import read_state_dict, write_safetensors

    tensors = {
        name: value
        for name, value in read_state_dict(path).items()
        if name.startswith(prefix) and isinstance(value, Tensor)
    }
    if not tensors:
        raise BadWeightsError(
            f"{path} has no tensors named {prefix}*", hint="it is another network than it should be"
        )
    # One field: of several, the order is left to chance, and with it the digest.
    write_safetensors(target, tensors, {"part": f"{prefix}* of {origin}"})
    return WantedFile(path=target.name, sha256=sha256(target), size=target.stat().st_size)
