"""Checkpoints of RRDB networks with random numbers, built in each naming of the field.

Written from the published network definitions, without srcli: a list of (role, tensor) in the
order of the forward pass, and a function per naming from role to name.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

State = dict[str, Tensor]


def roles(blocks: int, doublings: int) -> list[str]:
    """conv_first, B.block.unit.convolution, ..., conv_body, up.0, ..., hr, last."""
    dense = [f"B.{b}.{u}.{c}" for b in range(blocks) for u in range(3) for c in range(5)]
    return ["first", *dense, "body", *(f"up.{i}" for i in range(doublings)), "hr", "last"]


def random_tensors(
    *,
    blocks: int = 2,
    channels: int = 8,
    growth: int = 32,
    doublings: int = 2,
    image_channels: int = 3,
    fold: int = 1,
    widening: int = 1,
) -> list[tuple[str, Tensor, Tensor]]:
    """(role, weight, bias) with a gain that lets every convolution be seen in the output."""
    generator = torch.Generator().manual_seed(blocks * 100 + channels + doublings)

    def draw(outputs: int, inputs: int) -> tuple[Tensor, Tensor]:
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator) * (9 * inputs) ** -0.5
        return weight, 0.1 * torch.randn(outputs, generator=generator)

    def shape(role: str) -> tuple[int, int]:
        match role.split("."):
            case ["first"]:
                return channels, image_channels * fold**2
            case ["B", _, _, convolution]:
                place = int(convolution)
                return (growth if place < 4 else channels), channels + place * growth
            case ["up", _]:
                return channels * widening, channels
            case ["last"]:
                return image_channels, channels
        return channels, channels

    return [(role, *draw(*shape(role))) for role in roles(blocks, doublings)]


def body_name(role: str, blocks: int, doublings: int) -> str:
    match role.split("."):
        case ["B", block, unit, convolution]:
            return f"body.{block}.rdb{int(unit) + 1}.conv{int(convolution) + 1}"
        case ["up", index]:
            return f"conv_up{int(index) + 1}"
    return f"conv_{role}"


def trunk_name(role: str, blocks: int, doublings: int) -> str:
    match role.split("."):
        case ["B", block, unit, convolution]:
            return f"RRDB_trunk.{block}.RDB{int(unit) + 1}.conv{int(convolution) + 1}"
        case ["up", index]:
            return f"upconv{int(index) + 1}"
    return {"first": "conv_first", "body": "trunk_conv", "hr": "HRconv", "last": "conv_last"}[role]


def old_name(role: str, blocks: int, doublings: int) -> str:
    # One nn.Sequential: 0 first, 1 shortcut, then (Upsample, Conv, LeakyReLU) per doubling,
    # then Conv, LeakyReLU, Conv.
    match role.split("."):
        case ["B", block, unit, convolution]:
            return f"model.1.sub.{block}.RDB{int(unit) + 1}.conv{int(convolution) + 1}.0"
        case ["up", index]:
            return f"model.{3 + 3 * int(index)}"
    end = 2 + 3 * doublings
    places = {"first": "0", "body": f"1.sub.{blocks}", "hr": f"{end}", "last": f"{end + 2}"}
    return f"model.{places[role]}"


def gan_name(role: str, blocks: int, doublings: int) -> str:
    # upsampling: (Conv, LeakyReLU, PixelShuffle) per doubling.
    match role.split("."):
        case ["B", block, unit, convolution]:
            return f"res_blocks.{block}.dense_blocks.{unit}.b{int(convolution) + 1}.0"
        case ["up", index]:
            return f"upsampling.{3 * int(index)}"
    return {"first": "conv1", "body": "conv2", "hr": "conv3.0", "last": "conv3.2"}[role]


NAMINGS: dict[str, Callable[[str, int, int], str]] = {
    "body": body_name,
    "trunk": trunk_name,
    "old": old_name,
    "PyTorch-GAN": gan_name,
}


def checkpoint(naming: str, *, blocks: int = 2, doublings: int = 2, **sizes: int) -> State:
    """The bare state dict of a random RRDB network in a naming."""
    name = NAMINGS[naming]
    state: State = {}
    for role, weight, bias in random_tensors(blocks=blocks, doublings=doublings, **sizes):
        stem = name(role, blocks, doublings)
        state |= {f"{stem}.weight": weight, f"{stem}.bias": bias}
    return state


def picture(height: int, width: int, *, channels: int = 3, count: int = 1) -> Tensor:
    """Smooth colours with edges and a little noise, (count, channels, height, width) in [0, 1]."""
    generator = torch.Generator().manual_seed(height * 1000 + width)
    rough = torch.rand(count, channels, 1 + height // 4, 1 + width // 4, generator=generator)
    smooth = torch.nn.functional.interpolate(rough, (height, width), mode="bilinear")
    noise = torch.rand(count, channels, height, width, generator=generator)
    return (0.8 * smooth + 0.2 * noise).clamp(0, 1)
