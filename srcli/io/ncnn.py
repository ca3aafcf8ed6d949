"""Reading ncnn's `.param` (text, one layer a line) and `.bin` (numbers) as layers with tensors.

    .param                                             .bin, in the order of the layers
    7767517                                            convolution: tag, weights, fp32 bias
    999 1782                                           PReLU:       fp32 slopes
    Convolution Conv_0 1 1 data 703 0=64 1=3 6=1728

A convolution's weights follow a 4-byte tag that names their storage. Layout and tags as in ncnn's
`modelbin.cpp` and its wiki page on the format (github.com/Tencent/ncnn, BSD-3-Clause).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from srcli.errors import BadWeightsError

MAGIC = "7767517"
FP16_TAG = 0x01306B47
FP32_TAGS = (0, 0x0002C056)
MAX_LAYERS = 100_000
NUMBERED_ARRAY = -23300  # ncnn writes the key of an array parameter k as -23300 - k
# Kinds of layers without numbers in the .bin. Any other would leave us lost in that file.
BARE_KINDS = frozenset(
    ("BinaryOp", "Clip", "Concat", "Crop", "Dropout", "Eltwise", "Flatten", "Input", "Interp")
    + ("Noop", "Padding", "Permute", "PixelShuffle", "Pooling", "ReLU", "Reorg", "Reshape")
    + ("Sigmoid", "Slice", "Softmax", "Split", "Swish", "TanH", "UnaryOp")
)

PAIR = "fetch the .param and the .bin again; both are needed, from the same place"

Parameter = float | tuple[float, ...]


@dataclass(frozen=True, slots=True)
class NcnnLayer:
    """One line of a `.param` file, with its tensors from the `.bin`."""

    kind: str
    parameters: Mapping[int, Parameter]
    tensors: Mapping[str, Tensor]


def read_ncnn(param: Path, binary: Path) -> list[NcnnLayer]:
    """The layers of a network, in order; weights as fp32 tensors (out, in, kernel, kernel).

    Raises BadWeightsError for anything that is not a whole, known pair of files.
    """
    description = _read_param(param)
    try:
        numbers = _Numbers(np.fromfile(binary, dtype=np.uint8), binary)
    except OSError as error:
        raise BadWeightsError(f"{binary} cannot be read: {error.strerror}", hint=PAIR) from None
    layers = [_read_layer(kind, parameters, numbers) for kind, parameters in description]
    numbers.finish()
    return layers


def _read_param(path: Path) -> list[tuple[str, dict[int, Parameter]]]:
    try:
        lines = path.read_text("utf-8").rstrip().splitlines()
        if not lines or lines[0].strip() != MAGIC:
            raise ValueError(f"it does not begin with {MAGIC}")
        layers = int(lines[1].split()[0])
        if not 0 < layers <= MAX_LAYERS or layers != len(lines) - 2:
            raise ValueError(f"{layers} layers announced, {len(lines) - 2} lines")
        return [_read_line(line.split()) for line in lines[2:]]
    except OSError as error:
        raise BadWeightsError(f"{path} cannot be read: {error.strerror}", hint=PAIR) from None
    except (ValueError, IndexError) as error:
        raise BadWeightsError(f"{path} is no ncnn description: {error}", hint=PAIR) from None


def _read_line(words: list[str]) -> tuple[str, dict[int, Parameter]]:
    inputs, outputs = int(words[2]), int(words[3])
    if inputs < 0 or outputs < 0 or len(words) < 4 + inputs + outputs:
        raise ValueError(f"a damaged line: {' '.join(words)[:80]}")
    parameters: dict[int, Parameter] = {}
    for word in words[4 + inputs + outputs :]:
        key, _, value = word.partition("=")
        if int(key) <= NUMBERED_ARRAY:
            count, *values = value.split(",")
            if int(count) != len(values):
                raise ValueError(f"an array of {count} values holds {len(values)}")
            parameters[NUMBERED_ARRAY - int(key)] = tuple(map(float, values))
        else:
            parameters[int(key)] = float(value)
    return words[0], parameters


class _Numbers:
    """The `.bin` file, read from front to back with every length checked before use."""

    def __init__(self, data: np.ndarray[tuple[int], np.dtype[np.uint8]], path: Path) -> None:
        self.data, self.path, self.position = data, path, 0

    def take(self, count: int, dtype: str) -> Tensor:
        """The next `count` numbers as fp32; storage is padded to 4 bytes."""
        length = count * np.dtype(dtype).itemsize
        end = self.position + -(-length // 4) * 4
        if end > len(self.data):
            self._refuse("ends too early")
        chunk = self.data[self.position : self.position + length].view(dtype)
        self.position = end
        return torch.from_numpy(chunk.astype(np.float32))

    def take_tagged(self, count: int) -> Tensor:
        """Numbers behind the tag that names their storage."""
        if self.position + 4 > len(self.data):
            self._refuse("ends too early")
        tag = int.from_bytes(self.data[self.position : self.position + 4].tobytes(), "little")
        self.position += 4
        if tag == FP16_TAG:
            return self.take(count, "<f2")
        if tag in FP32_TAGS:
            return self.take(count, "<f4")
        return self._refuse(f"has weights in a storage we do not read (tag {tag:#010x})")

    def finish(self) -> None:
        if self.position != len(self.data):
            self._refuse(f"has {len(self.data) - self.position} bytes too many")

    def _refuse(self, why: str) -> Tensor:
        raise BadWeightsError(
            f"{self.path} {why}", hint="the .bin and .param must belong together, in fp16 or fp32"
        )


def _read_layer(kind: str, parameters: dict[int, Parameter], numbers: _Numbers) -> NcnnLayer:
    tensors: dict[str, Tensor] = {}
    if kind == "Convolution":
        outputs, kernel = _whole(parameters, 0), _whole(parameters, 1)
        count, has_bias = _whole(parameters, 6), _whole(parameters, 5)
        if min(outputs, kernel, count) < 1 or count % (outputs * kernel * kernel):
            raise BadWeightsError(
                f"{numbers.path}: {count} weights do not make a convolution with {outputs} "
                f"outputs and a kernel of {kernel}",
                hint=PAIR,
            )
        weight = numbers.take_tagged(count)
        tensors["weight"] = weight.view(outputs, -1, kernel, kernel)
        if has_bias:
            tensors["bias"] = numbers.take(outputs, "<f4")
    elif kind == "PReLU":
        tensors["weight"] = numbers.take(max(_whole(parameters, 0), 0), "<f4")
    elif kind not in BARE_KINDS:
        raise BadWeightsError(
            f"{numbers.path}: srcli does not read ncnn layers of the kind {kind}",
            hint="use the .pth or .safetensors file of these weights instead",
        )
    return NcnnLayer(kind, parameters, tensors)


def _whole(parameters: Mapping[int, Parameter], key: int) -> int:
    """A whole-number parameter, 0 where it is not given; -1 for what is no whole number."""
    value = parameters.get(key, 0.0)
    return int(value) if isinstance(value, float) and value.is_integer() else -1
