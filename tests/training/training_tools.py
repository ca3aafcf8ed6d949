"""Tiny runs: networks of a few channels, patches of a few pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from srcli.data.pairs import Batch
from srcli.losses.build import build_discriminator
from srcli.losses.tables import with_weight
from srcli.models.network import wrap_rrdb
from srcli.models.rrdb import RRDBConfig, RRDBNet
from srcli.services.training.assembly import Helpers, assemble
from srcli.training.config import parse_config
from srcli.training.defaults import Machine, settle
from srcli.training.document import preset_tables

CPU = torch.device("cpu")
MACHINE = Machine(is_accelerated=False, precisions=("fp32", "bf16"), cores=1)
# Not L1: its gradient is a sign, which the last bit of a sum may turn.
PIXEL = {"kind": "pixel", "criterion": "mse"}
GAN = {
    "losses": {"pixel": PIXEL, "realism": {"kind": "adversarial", "formula": "bce"}},
    "discriminator": {"kind": "unet", "channels": 4},
    "adversary": {"warmup_steps": 0},
}
PLAIN = {"losses": {"pixel": PIXEL}}


def tables_of(preset: str) -> dict:
    """A preset with a small discriminator that takes small patches."""
    tables = preset_tables(preset)
    if "discriminator" in tables:
        tables["discriminator"] |= {"channels": 4}
        tables["discriminator"].pop("input_px", None)  # any size of patch
        tables.pop("training", None)
        tables["adversary"] = {"warmup_steps": 0}
    return tables


def tiny(tables: dict, *, vgg=None, scale: int = 4, processes=None, **training):
    """A `Training` of a one-block network; `training` are keys of its table."""
    torch.manual_seed(0)
    training = {"steps": 20, "batch": 4, "patch_px": 64, "gradient_clip": 0.0, **training}
    given = {
        **tables,
        "data": {"high": "x"},
        "training": {**tables.get("training", {}), **training},
    }
    config = parse_config(given, source="test")
    network = wrap_rrdb(RRDBNet(RRDBConfig(channels=8, growth=4, blocks=1, scale=scale)))
    discriminator = build_discriminator(config.discriminator) if config.discriminator else None
    helpers = Helpers(discriminator=discriminator, vgg=vgg)
    settled = settle(config, MACHINE, scale=scale)
    return assemble(config, settled, network, helpers, device=CPU, processes=processes)


def louder(tables: dict, term: str) -> dict:
    """The tables with twice the weight of a term."""
    return with_weight(tables, term, 2 * tables["losses"][term]["weight"])


@dataclass
class FixedFeed:
    """The same random pictures in every step, in `parts` parts; `spoiled` are steps with a NaN."""

    batch: int = 4
    parts: int = 1
    patch_px: int = 64
    scale: int = 4
    spoiled: frozenset[int] = frozenset()
    step: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(5)
        side = self.patch_px // self.scale
        self.low = torch.rand(self.batch, 3, side, side, generator=generator)
        self.high = torch.rand(self.batch, 3, self.patch_px, self.patch_px, generator=generator)

    def pairs(self) -> Iterator[Batch]:
        self.step += 1
        low = self.low.clone()
        if self.step in self.spoiled:
            low[0, 0, 0, 0] = torch.nan
        for part, high in zip(low.chunk(self.parts), self.high.chunk(self.parts), strict=True):
            yield Batch(low=part, high=high, sharpened=high)

    def retry_smaller(self) -> None:
        self.parts *= 2
        self.step -= 1


def gradients(module: torch.nn.Module) -> Tensor:
    """All gradients of a network in one vector."""
    return torch.cat([parameter.grad.flatten() for parameter in module.parameters()])


def weights(module: torch.nn.Module) -> Tensor:
    """All weights of a network in one vector."""
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


# A learned balance too, whose gradient must be averaged as the networks' are; and a sum over the
# batch, of which each process has a part.
DISTRIBUTED = {
    **GAN,
    "losses": {
        **GAN["losses"],
        "luma": {**PIXEL, "channels": "luma"},
        "realism": {"kind": "adversarial", "formula": "srgan"},
    },
    "balance": {"kind": "uncertainty"},
}
