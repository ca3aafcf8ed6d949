"""How long a million photographs take on many GPUs, and where they wait: a simulation.

    python benchmarks/scale_simulation.py            the curve of docs/explanation/scale.md
    python benchmarks/scale_validation.py            its rates, and whether it predicts real runs

Pictures go through the stages that `srcli upscale --engine ray` gives them: a slot of a worker,
the object fetched, decoded, the network, encoded, stored. Cores, GPUs and network cards are
servers with a queue (simpy); a time is a size over a rate. Rates of codecs are measured, those of
GPUs are assumptions that `GPUS` states.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import simpy

PICTURES = 1_000_000
INPUT_MP, SCALE = 12.0, 4
# Of one input pixel: docs/explanation/architecture.md, counted from the layers.
MFLOP_PER_PX = {"x4plus, 23 blocks": 35.9, "6 blocks": 11.4}


@dataclass(frozen=True, slots=True)
class Gpu:
    """An assumption: what a card does of what its maker publishes, and what an hour costs."""

    tflops: float  # dense fp16 matrix rate, published
    share: float  # of it that the network reaches
    dollars: float  # an hour of one card with its share of the machine, on demand

    def rate(self, mflop_per_px: float) -> float:
        """Megapixels of input a second."""
        return self.tflops * self.share / mflop_per_px


GPUS = {
    "H100 SXM": Gpu(tflops=989, share=0.4, dollars=4.0),
    "A100": Gpu(tflops=312, share=0.45, dollars=2.5),
    "L4": Gpu(tflops=121, share=0.4, dollars=0.8),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One node: what its parts do in a second."""

    workers: int  # a GPU each, or cores
    cores: int
    slots: int  # pictures that a worker has at once
    network_mps: float  # megapixels of input a second, in one worker
    decode_mps: float  # of one core, megapixels of the source
    encode_mps: float  # of one core, megapixels of the result
    network_on_cores: bool = False  # no GPU: the network takes a core for its time
    card_mbs: float = 3000.0  # megabytes a second to and from the store
    request_s: float = 0.05  # until a store begins to answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The pictures: all alike but for their share of detail."""

    pictures: int
    input_mp: float
    output_mp: float
    input_mb: float
    output_mb: float
    spread: float = 0.2  # of times, as a share (log-normal)


def simulate(machine: Machine, machines: int, load: Load, seed: int = 0) -> dict[str, float]:
    """Pictures a second in the steady middle of a run, and how busy each part is."""
    world = simpy.Environment()
    random = np.random.default_rng(seed)
    nodes = [_Node(world, machine) for _ in range(machines)]
    queue = iter(range(load.pictures))
    ended: list[float] = []
    for node in nodes:
        for worker in range(machine.workers):
            for _ in range(machine.slots):
                world.process(_slot(world, node, worker, queue, load, random, ended))
    world.run()
    # The first and last pictures of each slot find an empty or an ending machine.
    edge = min(machines * machine.workers * machine.slots, load.pictures // 4)
    middle = ended[edge:-edge] if edge else ended
    rate = (len(middle) - 1) / (middle[-1] - middle[0])
    busy = {name: sum(node.busy[name] for node in nodes) / world.now for name in _Node.PARTS}
    size = {"cores": machine.cores, "network": machine.workers, "card": 1}
    shares = {name: busy[name] / (machines * size[name]) for name in _Node.PARTS}
    return {"pictures_per_second": rate, **shares}


class _Node:
    PARTS = ("cores", "network", "card")

    def __init__(self, world: simpy.Environment, machine: Machine) -> None:
        self.machine = machine
        self.cores = simpy.Resource(world, machine.cores)
        self.networks = [simpy.Resource(world, 1) for _ in range(machine.workers)]
        self.card = simpy.Resource(world, 1)
        self.busy = dict.fromkeys(self.PARTS, 0.0)


def _slot(
    world: simpy.Environment,
    node: _Node,
    worker: int,
    queue: Iterator[int],
    load: Load,
    random: np.random.Generator,
    ended: list[float],
) -> Iterator[simpy.Event]:
    """One place in a worker: a picture after another, each from its store to its store."""
    machine = node.machine

    def work(part: str, resource: simpy.Resource, seconds: float) -> Iterator[simpy.Event]:
        seconds *= float(np.exp(random.normal(-(load.spread**2) / 2, load.spread)))
        with resource.request() as turn:
            yield turn
            yield world.timeout(seconds)
        node.busy[part] += seconds

    for _ in queue:
        yield world.timeout(machine.request_s)
        yield from work("card", node.card, load.input_mb / machine.card_mbs)
        yield from work("cores", node.cores, load.input_mp / machine.decode_mps)
        network = node.networks[worker]
        with network.request() as turn:
            yield turn
            place = node.cores if machine.network_on_cores else simpy.Resource(world, 1)
            started = world.now
            yield from work("network", place, load.input_mp / machine.network_mps)
            if machine.network_on_cores:
                node.busy["cores"] += world.now - started
        yield from work("cores", node.cores, load.output_mp / machine.encode_mps)
        yield world.timeout(machine.request_s)
        yield from work("card", node.card, load.output_mb / machine.card_mbs)
        ended.append(world.now)


# Of one core, megapixels a second; of the files, megabytes a megapixel: scale_validation.py.
DECODE_MPS, SOURCE_MB = 93.0, 0.234
ENCODE = {"jpeg": (11.3, 0.194), "webp": (6.6, 0.052), "png": (6.2, 0.65)}
SIMULATED = 300  # pictures for each card: enough for a steady middle, whose rate is sought


def scenario(
    gpu: Gpu, mflop: float, cores_per_gpu: int, kind: str, cards: int
) -> tuple[Machine, Load]:
    """A node of up to eight cards of a kind, each with so many cores, and what all are given."""
    encode_mps, result_mb = ENCODE[kind]
    output_mp = INPUT_MP * SCALE**2
    machine = Machine(
        workers=min(cards, 8),
        cores=min(cards, 8) * cores_per_gpu,
        slots=2 + cores_per_gpu,
        network_mps=gpu.rate(mflop),
        decode_mps=DECODE_MPS,
        encode_mps=encode_mps,
    )
    load = Load(
        pictures=SIMULATED * cards,
        input_mp=INPUT_MP,
        output_mp=output_mp,
        input_mb=INPUT_MP * SOURCE_MB,
        output_mb=output_mp * result_mb,
    )
    return machine, load


def outlook(
    name: str, network: str, cores_per_gpu: int, kind: str, cards: int
) -> dict[str, object]:
    """Hours and dollars for a million pictures, and the part that is busiest."""
    gpu = GPUS[name]
    machine, load = scenario(gpu, MFLOP_PER_PX[network], cores_per_gpu, kind, cards)
    found = simulate(machine, max(cards // 8, 1), load)
    hours = PICTURES / found["pictures_per_second"] / 3600
    parts = {part: found[part] for part in ("cores", "network", "card")}
    return {
        "gpu": name,
        "network": network,
        "cores_per_gpu": cores_per_gpu,
        "format": kind,
        "cards": cards,
        "pictures_per_second": round(found["pictures_per_second"], 3),
        "hours": round(hours, 1),
        "dollars": round(hours * cards * gpu.dollars),
        "busiest": max(parts, key=lambda part: parts[part]),
        **{f"{part}_busy": round(share, 2) for part, share in parts.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--format", default="jpeg", choices=sorted(ENCODE))
    options = parser.parse_args()
    for name in GPUS:
        for network in MFLOP_PER_PX:
            for cores in (4, 8, 16, 26):
                for cards in (1, 8, 64):
                    found = outlook(name, network, cores, options.format, cards)
                    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
