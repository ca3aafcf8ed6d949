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
WRAPPERS = (
    "params_ema",
    "params-ema",
    "params",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "generator",
)
DEEPEST_WRAPPING = 8  # a file may name itself as its own content
_HALF_A_BLOCK = 15  # tensors
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
        # Detached: a caller's own parameters are neither frozen nor trained along.
        state_dict = {name: tensor.detach().float() for name, tensor in self.state_dict.items()}
        try:
            network.load_state_dict(state_dict, assign=True)
        except RuntimeError as error:
            raise _misfit(self.dialect, " ".join(str(error).split())[:300]) from None
        return network.eval().requires_grad_(False)


def unwrap(checkpoint: Mapping[str, object]) -> dict[str, Tensor]:
    """The bare state dict inside a checkpoint, without wrappers and common prefixes.

    Wrapped in `params_ema`, `params`, `state_dict`, ... and prefixed `module.`, ... as trainers
    leave them. What is not a tensor is dropped. Empty when there is no tensor at all.
    """
    for _ in range(DEEPEST_WRAPPING):
        found = [checkpoint.get(key) for key in WRAPPERS]
        inner = next((each for each in found if isinstance(each, Mapping) and each), None)
        if inner is None:
            return _without_prefixes(checkpoint)
        checkpoint = inner
    return {}


def recognise_rrdb(state_dict: Mapping[str, Tensor]) -> RRDBWeights | None:
    """The RRDB network that a bare state dict describes, or None when it describes another.

    Raises BadWeightsError when it is nearly one.
    """
    for dialect, renaming in _RENAMINGS.items():
        renamed = _rename(state_dict, renaming)
        if not any(name.startswith("body.") for name in renamed):
            continue
        if len(renamed) < len(state_dict):
            raise _misfit(dialect, "two names stand for one tensor")
        tensors = _indexed(renamed, dialect)
        config = _read_config(tensors, dialect)
        return RRDBWeights(dialect=dialect, config=config, state_dict=tensors)
    return None


def _without_prefixes(checkpoint: Mapping[str, object]) -> dict[str, Tensor]:
    tensors = {
        key: value
        for key, value in checkpoint.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }
    for _ in range(DEEPEST_WRAPPING):
        shared = (each for each in PREFIXES if all(key.startswith(each) for key in tensors))
        prefix = next(shared, None)
        if prefix is None:
            break
        tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors


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


def _read_config(tensors: Mapping[str, Tensor], dialect: Dialect) -> RRDBConfig:
    """The shape of the network from the shapes of its tensors."""
    shapes = {name: tuple(t.shape) for name, t in tensors.items() if t.ndim == 4 and t.numel()}
    places = {int(name.split(".")[1]) for name in tensors if name.startswith("body.")}
    if places != set(range(len(places))):
        raise _misfit(dialect, "a block is missing")
    if len(places) > len(tensors) // _HALF_A_BLOCK:
        raise _misfit(dialect, "most of its blocks are missing")
    doublings = sum(bool(re.fullmatch(r"conv_up\d+\.weight", name)) for name in tensors)
    try:
        channels, folded = shapes["conv_first.weight"][:2]
        growth = shapes["body.0.rdb1.conv1.weight"][0]
        out_channels = shapes["conv_last.weight"][0]
        is_shuffle = doublings > 0 and shapes["conv_up1.weight"][0] == 4 * channels
    except KeyError as name:
        raise _misfit(dialect, f"{name} is missing or has an impossible shape") from None
    # conv_first sees u² folded copies of the image's channels (x2plus: 12 = 3·2²).
    fold = next((u for u in (1, 2, 4) if folded == out_channels * u * u), 1)
    if 2**doublings % fold:
        raise _misfit(dialect, f"it folds its input by {fold} and enlarges it by {2**doublings}")
    foreign = dialect == "PyTorch-GAN"
    if foreign and (folded, out_channels) != (3, 3):
        raise _misfit(dialect, "its normalisation is for RGB images")
    return RRDBConfig(
        in_channels=folded // fold**2,
        out_channels=out_channels,
        channels=channels,
        growth=growth,
        blocks=len(places),
        scale=2**doublings // fold,
        unshuffle=fold,
        upsampling="shuffle" if is_shuffle else "nearest",
        slope=0.01 if foreign else 0.2,
        imagenet_normalised=foreign,
    )


def _misfit(dialect: Dialect, problem: str) -> BadWeightsError:
    return BadWeightsError(
        f"the checkpoint looks like an RRDB network ({dialect} naming) but does "
        f"not fit together: {problem}",
        hint="the file may be damaged or of a variant; try another copy of it",
    )
