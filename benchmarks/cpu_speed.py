"""The network through srcli against plain PyTorch on the same picture, in turn, on the CPU.

    python benchmarks/cpu_speed.py [--model realesrgan-x4plus-anime] [--size 512] [--rounds 3]

Plain is the network called once on the whole picture in channels_last, as a good script does it.
srcli is `Engine.run` with each plan, host rows in and host rows out, so that bands and tiles are
counted with all they cost. The ratio is taken round by round: the machine's speed drifts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
from skimage import data

import srcli
from srcli.inference.rows import TensorSink, TensorSource


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="realesrgan-x4plus-anime")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plans", nargs="+", default=["auto", "whole", "stream", "tiles"])
    arguments = parser.parse_args()
    side = arguments.size
    image = torch.from_numpy(data.astronaut()[:side, :side].copy()).permute(2, 0, 1).float() / 255
    image = image.repeat(1, -(-side // 512), -(-side // 512))[:, :side, :side].contiguous()
    network = srcli.load_network(arguments.model).to(memory_format=torch.channels_last)
    engines = {
        plan: srcli.Upscaler(arguments.model, device="cpu", precision="fp32", plan=plan).engine
        for plan in arguments.plans
    }
    exact = plain(network, image)
    times: dict[str, list[float]] = {name: [] for name in ("plain", *engines)}
    for _ in range(arguments.rounds):
        times["plain"].append(timed(lambda: plain(network, image)))
        for name, engine in engines.items():
            restored = torch.empty_like(exact)
            sink = TensorSink(restored)
            times[name].append(timed(lambda e=engine, s=sink: e.run(TensorSource(image), s)))
            error = (restored - exact).abs().clamp(0, 1).max().item() * 255
            print(f"{name:8} {times[name][-1]:8.2f} s, largest difference {error:.4f} levels")
    print(f"{arguments.model}, {side} x {side}, {torch.get_num_threads()} threads")
    for name, seconds in times.items():
        ratios = [mine / theirs for mine, theirs in zip(seconds, times["plain"], strict=True)]
        print(f"{name:8} median {median(seconds):8.2f} s, {median(ratios):.3f} of plain")


def plain(network: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        batch = image[None].contiguous(memory_format=torch.channels_last)
        restored: torch.Tensor = network(batch)[0]
        return restored


def timed(action: Callable[[], object]) -> float:
    started = perf_counter()
    action()
    return perf_counter() - started


if __name__ == "__main__":
    main()
