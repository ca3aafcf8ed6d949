"""The state-dict namings of the field, turned into RRDBNet's, and the shape read from the shapes.

| dialect     | first block                              | found in                              |
| ----------- | ---------------------------------------- | ------------------------------------- |
| body        | body.0.rdb1.conv1.weight                 | Real-ESRGAN, BasicSR, traiNNer, neosr |
| trunk       | RRDB_trunk.0.RDB1.conv1.weight           | ESRGAN, KAIR, BSRGAN, RealSR          |
| old         | model.1.sub.0.RDB1.conv1.0.weight        | ESRGAN of 2018, most community models |
| PyTorch-GAN | res_blocks.0.dense_blocks.0.b1.0.weight  | eriklindernoren/PyTorch-GAN           |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from srcli.errors import BadWeightsError
from srcli.models.rrdb import RRDBConfig, RRDBNet

Dialect = Literal["body", "trunk", "old", "PyTorch-GAN"]
# Averaged weights first: they are what the authors publish results with.
WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "generator")
PREFIXES = ("module.", "_orig_mod.", "generator.", "netG.", "net_g.")

_BODY = [
    (r"(conv_first|conv_body|conv_up\d+|conv_hr|conv_last)\.(weight|bias)", r"\1.\2"),
    (r"body\.(\d+)\.rdb([123])\.conv([1-5])\.(weight|bias)", r"body.\1.rdb\2.conv\3.\4"),
]
_TRUNK = [
    (r"(conv_first|conv_last)\.(weight|bias)", r"\1.\2"),
    (r"trunk_conv\.(weight|bias)", r"conv_body.\1"),
    (r"HRconv\.(weight|bias)", r"conv_hr.\1"),
    (r"upconv(\d+)\.(weight|bias)", r"conv_up\1.\2"),
    (r"RRDB_trunk\.(\d+)\.RDB([123])\.conv([1-5])\.(weight|bias)", r"body.\1.rdb\2.conv\3.\4"),
]
_OLD = [
    (r"model\.0\.(weight|bias)", r"conv_first.\1"),
    (
        r"model\.1\.sub\.(\d+)\.RDB([123])\.conv([1-5])\.0\.(weight|bias)",
        r"body.\1.rdb\2.conv\3.\4",
    ),
    (r"model\.1\.sub\.\d+\.(weight|bias)", r"conv_body.\1"),
    (r"model\.(\d+)\.(weight|bias)", r"tail.\1.\2"),
]
_PYTORCH_GAN = [
    (r"conv1\.(weight|bias)", r"conv_first.\1"),
    (r"conv2\.(weight|bias)", r"conv_body.\1"),
    (r"conv3\.0\.(weight|bias)", r"conv_hr.\1"),
    (r"conv3\.2\.(weight|bias)", r"conv_last.\1"),
    (r"upsampling\.(\d+)\.(weight|bias)", r"upsampling.\1.\2"),
    (
        r"res_blocks\.(\d+)\.dense_blocks\.([012])\.b([1-5])\.0\.(weight|bias)",
        r"body.\1.rdb\2.conv\3.\4",
    ),
]
_RENAMINGS: dict[Dialect, list[tuple[str, str]]] = {
    "body": _BODY,
    "trunk": _TRUNK,
    "old": _OLD,
    "PyTorch-GAN": _PYTORCH_GAN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RRDBWeights:
    """A recognised checkpoint: its dialect, the shape it implies, and its tensors our way."""

    dialect: Dialect
    config: RRDBConfig
    state_dict: dict[str, Tensor]

    def build(self) -> RRDBNet:
        """The network with these weights in fp32, in evaluation mode.

        Raises BadWeightsError when a tensor is missing, superfluous or of the wrong shape.
        """
        with torch.device("meta"):
            network = RRDBNet(self.config)
        state_dict = {name: tensor.float() for name, tensor in self.state_dict.items()}
        try:
            network.load_state_dict(state_dict, assign=True)
        except RuntimeError as error:
            problem = " ".join(str(error).split())[:300]
            raise BadWeightsError(
                f"the checkpoint looks like an RRDB network ({self.dialect} naming) but does "
                f"not fit together: {problem}",
                hint="the file may be damaged or of a variant; try another copy of it",
            ) from None
        return network.eval().requires_grad_(False)


def unwrap(checkpoint: Mapping[str, object]) -> dict[str, Tensor]:
    """The bare state dict inside a checkpoint, without wrappers and common prefixes.

    Wrapped in `params_ema`, `params`, `state_dict`, ... and prefixed `module.`, ... as trainers
    leave them. What is not a tensor is dropped. Empty when there is no tensor at all.
    """
    for key in WRAPPERS:
        inner = checkpoint.get(key)
        if isinstance(inner, Mapping):
            return unwrap(inner)
    tensors = {key: value for key, value in checkpoint.items() if isinstance(value, Tensor)}
    for prefix in PREFIXES:
        if tensors and all(key.startswith(prefix) for key in tensors):
            return unwrap({key.removeprefix(prefix): value for key, value in tensors.items()})
    return tensors


def recognise_rrdb(state_dict: Mapping[str, Tensor]) -> RRDBWeights | None:
    """The RRDB network that a bare state dict describes, or None when it describes another."""
    for dialect, renaming in _RENAMINGS.items():
        tensors = _indexed(_rename(state_dict, renaming), dialect)
        config = _read_config(tensors, dialect)
        if config is not None:
            return RRDBWeights(dialect=dialect, config=config, state_dict=tensors)
    return None


def _rename(state_dict: Mapping[str, Tensor], renaming: list[tuple[str, str]]) -> dict[str, Tensor]:
    """All keys renamed; nothing as soon as one key is foreign to the dialect."""
    renamed = {}
    for key, tensor in state_dict.items():
        for pattern, replacement in renaming:
            match = re.fullmatch(pattern, key)
            if match:
                renamed[match.expand(replacement)] = tensor
                break
        else:
            return {}
    return renamed


def _indexed(renamed: Mapping[str, Tensor], dialect: Dialect) -> dict[str, Tensor]:
    """Names for the convolutions whose place in an nn.Sequential depends on the scale."""
    if dialect == "old":
        order = _positions(renamed, "tail")
        names = [f"conv_up{i + 1}" for i in range(len(order) - 2)] + ["conv_hr", "conv_last"]
        places = dict(zip(order, names, strict=False))
        return {_place(key, "tail", places): tensor for key, tensor in renamed.items()}
    if dialect == "PyTorch-GAN":
        order = _positions(renamed, "upsampling")
        places = {position: f"conv_up{i + 1}" for i, position in enumerate(order)}
        renamed = {_place(key, "upsampling", places): value for key, value in renamed.items()}
        return {re.sub(r"rdb(\d)", _from_one, key): value for key, value in renamed.items()}
    return dict(renamed)


def _from_one(match: re.Match[str]) -> str:
    return f"rdb{int(match[1]) + 1}"


def _positions(names: Mapping[str, Tensor], stem: str) -> list[int]:
    return sorted({int(name.split(".")[1]) for name in names if name.startswith(f"{stem}.")})


def _place(key: str, stem: str, places: Mapping[int, str]) -> str:
    if not key.startswith(f"{stem}."):
        return key
    _, position, kind = key.split(".")
    return f"{places[int(position)]}.{kind}"


def _read_config(tensors: Mapping[str, Tensor], dialect: Dialect) -> RRDBConfig | None:
    """The shape of the network from the shapes of its tensors; None when they make no sense."""
    try:
        channels, folded = tensors["conv_first.weight"].shape[:2]
        growth = tensors["body.0.rdb1.conv1.weight"].shape[0]
        out_channels = tensors["conv_last.weight"].shape[0]
    except (KeyError, ValueError):
        return None
    blocks = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("body."))
    doublings = sum(bool(re.fullmatch(r"conv_up\d+\.weight", name)) for name in tensors)
    # conv_first sees u² folded copies of the image's channels (x2plus: 12 = 3·2²).
    fold = next((u for u in (1, 2, 4) if folded == out_channels * u * u), 1)
    is_shuffle = doublings > 0 and tensors["conv_up1.weight"].shape[0] == 4 * channels
    foreign = dialect == "PyTorch-GAN"
    if 2**doublings % fold:
        return None
    return RRDBConfig(
        in_channels=folded // fold**2,
        out_channels=out_channels,
        channels=channels,
        growth=growth,
        blocks=blocks,
        scale=2**doublings // fold,
        unshuffle=fold,
        upsampling="shuffle" if is_shuffle else "nearest",
        slope=0.01 if foreign else 0.2,
        imagenet_normalised=foreign,
    )
