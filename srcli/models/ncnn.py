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
NEAREST = 1  # ncnn's resize_type


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
    # A converter appends a shrinking Interp to make x2 and x3 of the x4 network; the network's
    # own scale is what counts here.
    learned = [layer for layer in layers if layer.tensors]
    kinds = [layer.kind for layer in learned]
    wanted = ["Convolution", "PReLU"] * (len(learned) // 2) + ["Convolution"]
    convolutions = [layer for layer in learned if layer.kind == "Convolution"]
    last = [layer.kind for layer in layers[-4:]]
    is_whole = (
        kinds == wanted
        and all(map(_keeps_size, convolutions))
        and {layer.kind for layer in layers} - set(kinds) <= _COMPACT_KINDS
        and "PixelShuffle" in last
        and "BinaryOp" in last
    )
    if not is_whole:
        raise BadWeightsError(
            f"an ncnn network of {len(convolutions)} convolutions with PReLU is no Compact "
            "network we know",
            hint="use the .pth or .safetensors file of these weights instead",
        )
    return {
        f"body.{index}.{name}": tensor
        for index, layer in enumerate(learned)
        for name, tensor in layer.tensors.items()
    }


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
        and all(map(_keeps_size, convolutions))
        and all(map(_is_leaky, activated))
        and all(map(_doubles, (layer for layer in layers if layer.kind == "Interp")))
        and {layer.kind for layer in layers} <= _RRDB_KINDS
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
    return (
        isinstance(coefficients, tuple)
        and len(coefficients) == 2
        and isclose(coefficients[0], RESIDUAL_SCALE, rel_tol=1e-5)
        and isclose(coefficients[1], 1.0, rel_tol=1e-5)
    )


def _is_leaky(layer: Layer) -> bool:
    slopes = layer.parameters.get(10, ())
    return (
        layer.parameters.get(9) == LEAKY_RELU
        and isinstance(slopes, tuple)
        and len(slopes) == 1
        and isclose(slopes[0], SLOPE, rel_tol=1e-5)
    )


def _keeps_size(convolution: Layer) -> bool:
    """Kernel 3, dilation 1, stride 1, padding 1: what our networks are made of."""
    given = convolution.parameters
    return [given.get(1), given.get(2, 1), given.get(3, 1), given.get(4)] == [3, 1, 1, 1]


def _doubles(interpolation: Layer) -> bool:
    given = interpolation.parameters
    return [given.get(0), given.get(1), given.get(2)] == [NEAREST, 2, 2]


_RRDB_KINDS = {"Input", "Split", "Convolution", "Concat", "Eltwise", "BinaryOp", "Interp"}
_COMPACT_KINDS = {"Input", "Split", "PixelShuffle", "BinaryOp", "Interp"}
