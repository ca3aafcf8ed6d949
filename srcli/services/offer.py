"""Whether the small network that comes with srcli would spare the user a long wait."""

from __future__ import annotations

from dataclasses import dataclass

from srcli.services.dryrun import measure_rate
from srcli.services.engine import Engine
from srcli.services.network import SHIPPED_MODEL, load_network

LONG_SECONDS = 60.0
# What no machine in use needs a minute for: there even a short measurement is not worth its time.
LEAST_MEGAPIXELS = 0.05
PROBE_PX, PROBE_SECONDS = 32, 0.05
WORTH = 4.0  # times as fast at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A network that takes a fraction of the time; both times are estimates for this machine."""

    model: str
    seconds: float
    faster: str
    faster_seconds: float


def find_offer(engine: Engine, megapixels: float) -> Offer | None:
    """What to offer before `megapixels` of input go through the engine's network; mostly nothing.

    Only on a CPU, where the network takes more than a minute by a measurement of some tenths of
    a second, and only to who gets the same size from the faster one.
    """
    if engine.device.type != "cpu" or megapixels < LEAST_MEGAPIXELS:
        return None
    if engine.loaded.name == SHIPPED_MODEL:
        return None
    seconds = megapixels / _rate(engine)
    if seconds < LONG_SECONDS:
        return None
    other = Engine(load_network(SHIPPED_MODEL, offline=True), engine.options)
    faster = megapixels / _rate(other)
    if other.scale != engine.scale or faster * WORTH > seconds:
        return None
    return Offer(
        model=engine.loaded.name, seconds=seconds, faster=SHIPPED_MODEL, faster_seconds=faster
    )


def _rate(engine: Engine) -> float:
    return measure_rate(engine, side=PROBE_PX, long_enough=PROBE_SECONDS)
