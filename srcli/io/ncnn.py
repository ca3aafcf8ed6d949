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
    numbers = _Numbers(np.fromfile(binary, dtype=np.uint8), binary)
    layers = [_read_layer(kind, parameters, numbers) for kind, parameters in _read_param(param)]
    numbers.finish()
    return layers


def _read_param(path: Path) -> list[tuple[str, dict[int, Parameter]]]:
    hint = "fetch the pair of files again; both are needed, from the same place"
    try:
        lines = path.read_text("utf-8").splitlines()
        layer_count = int(lines[1].split()[0]) if lines[0].strip() == MAGIC else 0
        if not 0 < layer_count <= MAX_LAYERS or layer_count != len(lines) - 2:
            raise ValueError(f"{layer_count} layers announced, {len(lines) - 2} lines")
        return [_read_line(line.split()) for line in lines[2:]]
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise BadWeightsError(f"{path} is no ncnn description: {error}", hint=hint) from None


def _read_line(words: list[str]) -> tuple[str, dict[int, Parameter]]:
    inputs, outputs = int(words[2]), int(words[3])
    parameters: dict[int, Parameter] = {}
    for word in words[4 + inputs + outputs :]:
        key, _, value = word.partition("=")
        if int(key) <= NUMBERED_ARRAY:
            count, *values = value.split(",")
            parameters[NUMBERED_ARRAY - int(key)] = tuple(map(float, values[: int(count)]))
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
        if count < 0 or self.position + length > len(self.data):
            self._refuse("ends too early")
        chunk = self.data[self.position : self.position + length].view(dtype)
        self.position += -(-length // 4) * 4
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
        count = _whole(parameters, 6)
        if outputs < 1 or kernel < 1 or count % (outputs * kernel * kernel):
            raise BadWeightsError(
                f"{numbers.path}: a convolution of {count} weights cannot have {outputs} outputs",
                hint="the .param file is damaged; fetch it again",
            )
        weight = numbers.take_tagged(count)
        tensors["weight"] = weight.view(outputs, -1, kernel, kernel)
        if _whole(parameters, 5):
            tensors["bias"] = numbers.take(outputs, "<f4")
    elif kind == "PReLU":
        tensors["weight"] = numbers.take(_whole(parameters, 0), "<f4")
    return NcnnLayer(kind, parameters, tensors)


def _whole(parameters: Mapping[int, Parameter], key: int) -> int:
    value = parameters.get(key, 0)
    return 0 if isinstance(value, tuple) else int(value)
