"""What 8-bit integers in the dense blocks would give on a CPU: their speed, and what they cost.

    python benchmarks/int8.py [--model realesrgan-x4plus-anime] [--side 96]
    ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI python benchmarks/int8.py --side 0     # another processor

Speed: one dense block (64 + 4 · 32 channels) on a band, one thread, milliseconds of the processor,
in turns: as the stream does it in fp32 and bf16, and with oneDNN's integer convolutions through
torch, with all that lies between them. Cost: the network with its dense blocks rounded as integers
round them, on photographs that it was not calibrated on, against fp32; calibrated on srcli/samples.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

import srcli
from srcli.inference.stages import Kernel, activate
from srcli.models.rrdb import RESIDUAL_SCALE, DenseBlock

ROWS, WIDTH, CHANNELS, GROWTH, SLOPE = 16, 512, 64, 32, 0.2
PARTS = [CHANNELS, *[GROWTH] * 4]
ENDS = [sum(PARTS[: index + 1]) for index in range(5)]
HEADROOM, QUIETEST = 1.8, 0.02  # ranges are widened; a channel's is at least this of the widest
SAMPLE_PX = 64  # side of a calibration picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="realesrgan-x4plus-anime")
    parser.add_argument("--side", type=int, default=96, help="of a photograph; 0: speed only")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        found: dict[str, object] = {"dense_block": speed()}
        if arguments.side:
            found["db_from_fp32"] = accuracy(arguments.model, arguments.side)
    print(json.dumps(found, indent=2))


def speed(rounds: int = 9) -> dict[str, float]:
    """Milliseconds for each way."""
    block = DenseBlock(CHANNELS, GROWTH, SLOPE).requires_grad_(False)
    ways = {"fp32": floating(block, torch.float32), "int8": integer(block)}
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        ways["bf16"] = floating(copy.deepcopy(block).to(torch.bfloat16), torch.bfloat16)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            started = process_time()
            way()
            if turn:
                taken[name].append(1e3 * (process_time() - started))
    return {name: round(median(each), 2) for name, each in taken.items()}


def floating(block: DenseBlock, dtype: torch.dtype) -> Callable[[], Tensor]:
    """As `inference.stages.DenseStage` does it."""
    windows = [rows_of(channels, WIDTH, dtype).normal_() for channels in PARTS]
    kernels = [
        Kernel(module.weight.clone(), module.bias, PARTS[: index + 1])
        for index, module in enumerate(convolutions(block))
    ]

    def run() -> Tensor:
        seen = [window[:, :, : ROWS + 2] for window in windows]
        for index in range(4):
            made = kernels[index](*seen[: index + 1])
            activate(made, SLOPE, out=windows[index + 1][:, :, 1 : ROWS + 1])
        residual = kernels[4](*seen)
        return torch.add(seen[0][:, :, 1:-1], residual, alpha=RESIDUAL_SCALE, out=residual)

    return run


def integer(block: DenseBlock) -> Callable[[], Tensor]:
    """One window of bytes for all tensors; a convolution reads a copy of a prefix of its channels.

    Columns of zeros' codes to the left and right, zeros in the biases: oneDNN then has no zero
    points to look after, which halves its time on AMX.
    """
    codes = rows_of(ENDS[-1], WIDTH + 2, torch.uint8).random_(0, 255)
    features = rows_of(CHANNELS, WIDTH, torch.float32).normal_()
    packed = [packed_weights(module) for module in convolutions(block)]
    zeros, steps = torch.rand(1, CHANNELS, 1, 1) * 255, torch.rand(1, CHANNELS, 1, 1)
    half = torch.full((1, GROWTH, 1, 1), 43.5)

    def put(numbers: Tensor, first: int, last: int) -> None:
        place = codes[:, first:last, 1 : ROWS + 1, 1:-1]
        place.copy_(numbers.clamp_(0, 255).to(torch.uint8))

    def convolved(index: int) -> Tensor:
        seen = codes[:, : ENDS[index], : ROWS + 2].contiguous(memory_format=torch.channels_last)
        weight, scale, zero, bias = packed[index]
        made: Tensor = torch.ops.onednn.qconv2d_pointwise(
            *(seen, 1.0, 0, weight, scale, zero, bias, [1, 1], [0, 0], [1, 1], 1),
            *(1.0, 0, torch.float32, "none", [], ""),
        )
        return made

    def run() -> Tensor:
        inside = features[:, :, 1 : ROWS + 1]
        put(torch.addcmul(zeros, inside, steps), 0, CHANNELS)
        for index in range(4):
            made = torch.ops.aten.leaky_relu_(convolved(index), SLOPE)
            put(made.add_(half), *ENDS[index : index + 2])
        residual = convolved(4)
        return torch.add(inside, residual, alpha=RESIDUAL_SCALE, out=residual)

    return run


def packed_weights(module: nn.Conv2d) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    weight, scale = integers(module.weight)
    packed = torch.ops.onednn.qconv_prepack(
        weight.to(torch.int8), scale, 1.0, 0, [1, 1], [0, 0], [1, 1], 1, None
    )
    assert module.bias is not None
    return packed, scale, torch.zeros(len(scale), dtype=torch.int64), module.bias


def integers(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from -127 to 127, and what one of them stands for, by output channel."""
    scale = weight.abs().amax((1, 2, 3)) / 127
    return (weight / scale.view(-1, 1, 1, 1)).round(), scale


def rows_of(channels: int, width: int, dtype: torch.dtype) -> Tensor:
    return torch.zeros(1, ROWS + 6, width, channels, dtype=dtype).permute(0, 3, 1, 2)


def convolutions(block: DenseBlock) -> list[nn.Conv2d]:
    return [block.conv1, block.conv2, block.conv3, block.conv4, block.conv5]


def accuracy(model: str, side: int) -> dict[str, float]:
    """dB from fp32 for each held-out photograph, values clamped to [0, 1]."""
    network = srcli.load_network(model)
    blocks = [part for part in network.modules() if isinstance(part, DenseBlock)]
    ranges: dict[DenseBlock, tuple[Tensor, Tensor]] = {}
    hooks = [block.conv5.register_forward_pre_hook(measuring(ranges, block)) for block in blocks]
    for picture in calibration_pictures():
        network(picture)
    for hook in hooks:
        hook.remove()
    photographs = held_out(side)
    exact = {name: network(picture).clamp(0, 1) for name, picture in photographs.items()}
    for block in blocks:
        round_as_integers(block, *ranges[block])
    return {
        name: round(
            -10 * (network(picture).clamp(0, 1) - exact[name]).square().mean().log10().item(), 1
        )
        for name, picture in photographs.items()
    }


def measuring(
    ranges: dict[DenseBlock, tuple[Tensor, Tensor]], block: DenseBlock
) -> Callable[[nn.Module, tuple[Tensor]], None]:
    """conv5 sees every tensor of the block: the lowest and highest number of each channel."""

    def watch(_: nn.Module, taken: tuple[Tensor]) -> None:
        low, high = taken[0].amin((0, 2, 3)), taken[0].amax((0, 2, 3))
        before = ranges.get(block, (low, high))
        ranges[block] = torch.minimum(low, before[0]), torch.maximum(high, before[1])

    return watch


def round_as_integers(block: DenseBlock, low: Tensor, high: Tensor) -> None:
    """Have the block compute what integers would: activations and weights rounded, sums exact."""
    channels, growth = block.conv1.in_channels, block.conv1.out_channels
    parts = [channels, growth, growth, growth, growth]
    steps, lowest = [], []
    for below, above in zip(low.split(parts), high.split(parts), strict=True):
        middle, half = (below + above) / 2, HEADROOM * (above - below) / 2
        half = half.clamp(min=max(QUIETEST * half.max().item(), 1e-6))
        lowest.append((middle - half).clamp(max=0))
        steps.append(((middle + half).clamp(min=0) - lowest[-1]) / 255)
    weights = []
    for index, module in enumerate(convolutions(block)):
        seen = torch.cat(steps[: index + 1]).view(1, -1, 1, 1)
        whole, scale = integers(module.weight * seen)
        weights.append(whole * scale.view(-1, 1, 1, 1) / seen)

    def rounded(numbers: Tensor, index: int) -> Tensor:
        step, zero = steps[index].view(1, -1, 1, 1), (-lowest[index] / steps[index]).round()
        zero = zero.view(1, -1, 1, 1)
        return ((numbers / step).round() + zero).clamp(0, 255).sub(zero).mul(step)

    def forward(features: Tensor) -> Tensor:
        dense = rounded(features, 0)
        for index, module in enumerate(convolutions(block)[:4]):
            made = F.leaky_relu_(
                F.conv2d(dense, weights[index], module.bias, padding=1), block.slope
            )
            dense = torch.cat((dense, rounded(made, index + 1)), 1)
        residual = F.conv2d(dense, weights[4], block.conv5.bias, padding=1)
        return torch.add(features, residual, alpha=RESIDUAL_SCALE)

    block.forward = forward  # type: ignore[method-assign]


def calibration_pictures() -> list[Tensor]:
    """Places in srcli's samples, some with more contrast, some as negatives."""
    pictures = []
    for path in sorted((Path(srcli.__file__).parent / "samples").glob("*.webp")):
        sample = np.asarray(Image.open(path).convert("RGB"))
        places = (
            ((40, 20), (140, 300), (120, 600))
            if min(sample.shape[:2]) > 2 * SAMPLE_PX
            else ((0, 0),)
        )
        pictures += [tensor(sample[y : y + SAMPLE_PX, x : x + SAMPLE_PX]) for y, x in places]
    contrasty = [(2 * picture - 0.5).clamp(0, 1) for picture in pictures[::3]]
    return [*pictures, *contrasty, *[1 - picture for picture in pictures[1::4]]]


def held_out(side: int) -> dict[str, Tensor]:
    from skimage import data

    found = {}
    for name, y, x in (("astronaut", 60, 170), ("coffee", 150, 250), ("rocket", 200, 280)):
        whole = getattr(data, name)()
        found[name] = tensor(whole[y : y + side, x : x + side])
        small = Image.fromarray(whole).resize(
            (whole.shape[1] // 2, whole.shape[0] // 2), Image.Resampling.LANCZOS
        )
        y, x = y // 2, x // 2
        found[f"{name}, halved"] = tensor(np.asarray(small)[y : y + side, x : x + side])
    return found


def tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255


if __name__ == "__main__":
    main()
