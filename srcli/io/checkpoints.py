"""The state of a training run in a file: whole or not at all, and never code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from srcli.errors import BadWeightsError
from srcli.io.files import is_full, replacing
from srcli.io.pickles import MOST_TENSORS
from srcli.io.tensors import MALFORMED, refuse_unless_plain

# A run has its weights, their average and three tensors of the optimizer for each; and a
# discriminator with the same.
_TENSORS_PER_WEIGHT = 10


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, texts, lists and mappings of them.

    Raises DiskFullError or OutputError; then an older file of that name is still whole.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:
            # torch reports a failed write as an error of its own, the system's comes with it.
            cause = error.__context__ or error.__cause__
            if isinstance(cause, OSError) and is_full(cause):
                raise cause from None
            raise


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `write_checkpoint` wrote, on the CPU; BadWeightsError if it is damaged or no checkpoint.

    Only plain values and tensors are read: a file that asks for anything else is refused by the
    name of what it asked for, before torch sees it.
    """
    hint = "resume from another checkpoint of the run, or start a new one"
    try:
        refuse_unless_plain(path, most_tensors=_TENSORS_PER_WEIGHT * MOST_TENSORS, hint=hint)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise BadWeightsError(f"there is no checkpoint {path}", hint=hint) from None
    except (*MALFORMED, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise BadWeightsError(f"{path} is damaged ({reason})", hint=hint) from error
    if not isinstance(state, dict):
        raise BadWeightsError(f"{path} is no checkpoint of a run", hint=hint)
    return state
