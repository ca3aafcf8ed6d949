"""Steps per second of the loop against a plain one, with the same networks and losses.

python benchmarks/speed.py [ROUNDS]         some minutes on two cores that are free

The plain loop is written as the field's trainers are: fp32, NCHW, the discriminator run anew each
time its answer is needed, one optimiser kernel and one average per parameter. ESRGAN's losses, the
6-block network, VGG19 and discriminator of full size (random weights: they cost the same), on
patches of 128 px. The loops take turns, so that other work on the machine hits all of them.
"""

from __future__ import annotations

import copy
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srcli.data.pairs import Batch
from srcli.models.discriminators import VGGDiscriminator
from srcli.models.network import wrap_rrdb
from srcli.models.rrdb import RRDBConfig, RRDBNet
from srcli.models.vgg import VGG19
from srcli.services.training.assembly import Helpers, assemble
from srcli.services.training.preparation import machine_of
from srcli.training.config import parse_config
from srcli.training.defaults import settle
from srcli.training.document import preset_tables
from srcli.training.loop import train

BATCH, PATCH_PX, SCALE = 2, 128, 4
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Feed:
    """The same random pair in every step."""

    parts = 1

    def __init__(self) -> None:
        side = PATCH_PX // SCALE
        low = torch.rand(BATCH, 3, side, side, device=DEVICE)
        high = torch.rand(BATCH, 3, PATCH_PX, PATCH_PX, device=DEVICE)
        self.pair = Batch(low=low, high=high, sharpened=high)

    def pairs(self) -> Iterator[Batch]:
        yield self.pair

    def retry_smaller(self) -> None:
        raise MemoryError


def our_step(
    network: nn.Module, discriminator: nn.Module, vgg: dict[str, Tensor], precision: str, pair: Feed
) -> Callable[[], None]:
    """A step of srcli's loop."""
    tables = preset_tables("esrgan")
    tables |= {
        "data": {"high": "-"},
        "training": {"steps": 10_000, "batch": BATCH, "patch_px": PATCH_PX, "precision": precision},
        "adversary": {"warmup_steps": 0},
    }
    config = parse_config(tables, source="benchmark")
    training = assemble(
        config,
        settle(config, machine_of(DEVICE), scale=SCALE),
        wrap_rrdb(copy.deepcopy(network)),
        Helpers(discriminator=copy.deepcopy(discriminator), vgg=vgg),
        device=DEVICE,
    )
    steps = train(training, pair)
    return lambda: next(steps) and None


class PlainLoop:
    """A step as trainers of the field write it."""

    def __init__(
        self, network: nn.Module, discriminator: nn.Module, vgg: dict[str, Tensor], pair: Feed
    ) -> None:
        self.generator = copy.deepcopy(network).to(DEVICE)
        self.judge = copy.deepcopy(discriminator).to(DEVICE)
        self.features = VGG19.from_weights(vgg, ["conv5_4"]).to(DEVICE)
        self.average = copy.deepcopy(self.generator)
        self.own, self.its = (
            torch.optim.Adam(each.parameters(), lr=1e-4, betas=(0.9, 0.99), foreach=False)
            for each in (self.generator, self.judge)
        )
        self.low, self.high = pair.pair.low, pair.pair.high

    def __call__(self) -> None:
        restored = self._generator_step()
        self._discriminator_step(restored)
        pairs = zip(self.average.parameters(), self.generator.parameters(), strict=True)
        with torch.no_grad():
            for mean, now in pairs:
                mean.mul_(0.999).add_(now, alpha=0.001)

    def _generator_step(self) -> Tensor:
        self.judge.requires_grad_(False)
        self.own.zero_grad()
        restored: Tensor = self.generator(self.low)
        total = 1e-2 * F.l1_loss(restored, self.high)
        ours, theirs = self.features(restored), self.features(self.high.detach())
        total = total + F.l1_loss(ours["conv5_4"], theirs["conv5_4"])
        real = self.judge(self.high).detach()
        fake = self.judge(restored)
        relativistic = cross_entropy(real - fake.mean(), is_real=False)
        relativistic = relativistic + cross_entropy(fake - real.mean(), is_real=True)
        (total + 5e-3 * relativistic / 2).backward()
        self.own.step()
        return restored

    def _discriminator_step(self, restored: Tensor) -> None:
        self.judge.requires_grad_(True)
        self.its.zero_grad()
        fake = self.judge(restored).detach()
        real = self.judge(self.high)
        (cross_entropy(real - fake.mean(), is_real=True) / 2).backward()
        fake = self.judge(restored.detach())
        (cross_entropy(fake - real.mean().detach(), is_real=False) / 2).backward()
        self.its.step()


def cross_entropy(logits: Tensor, *, is_real: bool) -> Tensor:
    label = torch.full_like(logits, float(is_real))
    return F.binary_cross_entropy_with_logits(logits, label)


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    torch.manual_seed(0)
    network = RRDBNet(RRDBConfig(blocks=6))
    discriminator, feed = VGGDiscriminator(input_px=PATCH_PX), Feed()
    vgg = VGG19(["conv5_4"]).state_dict()
    half = "bf16"
    loops = {
        "plain": PlainLoop(network, discriminator, vgg, feed),
        "srcli fp32": our_step(network, discriminator, vgg, "fp32", feed),
        f"srcli {half}": our_step(network, discriminator, vgg, half, feed),
    }
    seconds = _take_turns(loops, rounds)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    result = {
        "device": str(DEVICE),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "seconds_per_step": {name: round(value, 3) for name, value in medians.items()},
        "times_as_fast": {
            name: round(medians["plain"] / value, 2) for name, value in medians.items()
        },
    }
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 0 if max(result["times_as_fast"].values()) >= 1.5 else 1


def _take_turns(loops: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(rounds + 1):
        for name, step in loops.items():
            started = time.perf_counter()
            step()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            if turn:  # the first one warms up
                seconds[name].append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
