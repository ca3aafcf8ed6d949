"""Networks that were converted to ncnn, turned back into the state dict they came from.

ncnn keeps the layers of the forward pass in order and forgets their names. An RRDB network and a
Compact one (SRVGGNetCompact) are recognised by that order; what else a file holds is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose
from typing import Protocol

from torch import Tensor

from srcli.errors import BadWeightsError
from srcli.models.rrdb import RESIDUAL_SCALE

LEAKY_RELU = 2  # ncnn's activation_type
SLOPE = 0.2


class Layer(Protocol):
    """What this module needs of a layer; `srcli.io.ncnn.NcnnLayer` is one."""

    @property
    def kind(self) -> str: ...
    @property
    def parameters(self) -> Mapping[int, float | tuple[float, ...]]: ...
    @property
    def tensors(self) -> Mapping[str, Tensor]: ...


def state_dict_from_ncnn(layers: Sequence[Layer]) -> dict[str, Tensor]:
    """A state dict in the released naming of RRDBNet or SRVGGNetCompact.

    Raises BadWeightsError when the layers are those of neither.
    """
    kinds = [layer.kind for layer in layers]
    if "PixelShuffle" in kinds and "PReLU" in kinds:
        return _compact(layers)
    if "Eltwise" in kinds and "Interp" in kinds:
        return _rrdb(layers)
    raise BadWeightsError(
        f"an ncnn network of {', '.join(sorted(set(kinds)))} layers is of no kind that srcli knows",
        hint="RRDB and Compact networks are read from ncnn; for others use the .pth file",
    )


def _compact(layers: Sequence[Layer]) -> dict[str, Tensor]:
    state_dict: dict[str, Tensor] = {}
    for index, layer in enumerate(each for each in layers if each.tensors):
        for name, tensor in layer.tensors.items():
            state_dict[f"body.{index}.{name}"] = tensor
    return state_dict


def _rrdb(layers: Sequence[Layer]) -> dict[str, Tensor]:
    convolutions = [layer for layer in layers if layer.kind == "Convolution"]
    doublings = sum(layer.kind == "Interp" for layer in layers)
    blocks, left = divmod(len(convolutions) - 4 - doublings, 15)
    sums = [layer.parameters.get(1) for layer in layers if layer.kind == "Eltwise"]
    activated = [layer for layer in convolutions if layer.parameters.get(9, 0)]
    names = _forward_names(blocks, doublings)
    is_whole = (
        left == 0
        and blocks > 0
        and len(sums) == 4 * blocks
        and all(_is_residual(coefficients) for coefficients in sums)
        and len(activated) == 12 * blocks + doublings + 1
        and all(_is_leaky(layer) for layer in activated)
        and all(layer.parameters[1] == 2 for layer in layers if layer.kind == "Interp")
    )
    if not is_whole:
        raise BadWeightsError(
            f"an ncnn network of {len(convolutions)} convolutions is no RRDB network we know",
            hint="use the .pth or .safetensors file of these weights instead",
        )
    return {
        f"{name}.{part}": tensor
        for name, layer in zip(names, convolutions, strict=True)
        for part, tensor in layer.tensors.items()
    }


def _forward_names(blocks: int, doublings: int) -> list[str]:
    dense = [
        f"body.{block}.rdb{unit}.conv{convolution}"
        for block in range(blocks)
        for unit in (1, 2, 3)
        for convolution in (1, 2, 3, 4, 5)
    ]
    ups = [f"conv_up{index + 1}" for index in range(doublings)]
    return ["conv_first", *dense, "conv_body", *ups, "conv_hr", "conv_last"]


def _is_residual(coefficients: float | tuple[float, ...] | None) -> bool:
    return isinstance(coefficients, tuple) and all(
        isclose(given, wanted, rel_tol=1e-5)
        for given, wanted in zip(coefficients, (RESIDUAL_SCALE, 1.0), strict=True)
    )


def _is_leaky(layer: Layer) -> bool:
    slopes = layer.parameters.get(10, ())
    return (
        layer.parameters.get(9) == LEAKY_RELU
        and isinstance(slopes, tuple)
        and len(slopes) == 1
        and isclose(slopes[0], SLOPE, rel_tol=1e-5)
    )
