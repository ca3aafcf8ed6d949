"""What would spare the user a long wait: fewer digits, or the small network of srcli."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from srcli.inference.precision import Precision
from srcli.services.dryrun import measure_rate
from srcli.services.engine import Engine
from srcli.services.network import SHIPPED_MODEL, load_network

LONG_SECONDS = 60.0
# What no machine in use needs a minute for: there even a short measurement is not worth its time.
LEAST_MEGAPIXELS = 0.05
PROBE_PX, PROBE_SECONDS = 32, 0.05
WORTH_A_NETWORK, WORTH_A_PRECISION = 4.0, 1.5  # times as fast at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An option that takes a fraction of the time; both times are estimates for this machine."""

    model: str
    seconds: float
    option: str
    faster_seconds: float


def find_offers(engine: Engine, megapixels: float) -> list[Offer]:
    """What to offer before `megapixels` of input go through the engine's network; mostly nothing.

    Only on a CPU, where the network takes more than a minute by a measurement of some tenths of
    a second; bf16 to who left the precision to us, where the processor is faster in it; the small
    network to who gets the same size from it.
    """
    if engine.device.type != "cpu" or megapixels < LEAST_MEGAPIXELS:
        return []
    if engine.loaded.name == SHIPPED_MODEL:
        return []
    seconds = megapixels / _rate(engine)
    if seconds < LONG_SECONDS:
        return []
    return [
        Offer(
            model=engine.loaded.name,
            seconds=seconds,
            option=option,
            faster_seconds=megapixels / rate,
        )
        for option, rate, worth in _faster(engine)
        if rate * seconds >= worth * megapixels
    ]


def _faster(engine: Engine) -> Iterator[tuple[str, float, float]]:
    """Options, their megapixels a second, and how many times as fast they must be."""
    options = engine.options
    if options.precision is Precision.AUTO and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        in_half = Engine(engine.loaded, replace(options, precision=Precision.BF16))
        yield "--precision bf16", _rate(in_half), WORTH_A_PRECISION
    small = Engine(load_network(SHIPPED_MODEL, offline=True), options)
    if small.scale == engine.scale:
        yield f"-m {SHIPPED_MODEL}", _rate(small), WORTH_A_NETWORK


def _rate(engine: Engine) -> float:
    return measure_rate(engine, side=PROBE_PX, long_enough=PROBE_SECONDS)
