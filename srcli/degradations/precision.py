"""Keep picture arithmetic out of autocast: its bfloat16 has 8 bits, no more than a picture."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")


def full_precision(
    function: Callable[Concatenate[Tensor, P], Tensor],
) -> Callable[Concatenate[Tensor, P], Tensor]:
    """Run `function` in float32 at least, whatever surrounds it; its result has the input's dtype.

    Matrix products in TF32 are the caller's to switch off: that setting belongs to the process.
    """

    @wraps(function)
    def wrapped(image: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        working = image if image.dtype == torch.float64 else image.float()
        with torch.autocast(image.device.type, enabled=False):
            return function(working, *args, **kwargs).to(image.dtype)

    return wrapped
