"""200 steps of the esrgan preset: finite, and after SIGKILL the same bits as without it.

python benchmarks/gan.py [OUTPUT]           some minutes on two cores that are free

Once without VGG19, once with it, from a file with random weights under torchvision's names: what is
tested is the run, not the picture. Network and discriminator are small, for the same reason.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from photographs import photographs
from safetensors.torch import load_file, save_file

from srcli.models.vgg import VGG19

CONFIG = """
data.high = "{photographs}"
network = {{ kind = "rrdb", channels = 16, growth = 8, blocks = 1 }}
training = {{ steps = 200, batch = 2, patch_px = 64 }}
validation = {{ every_steps = 100, largest_px = 128 }}
checkpoints.every_steps = 20
log.every_steps = 10
discriminator = {{ kind = "vgg", channels = 16 }}
adversary.warmup_steps = 10
losses.pixel = {{ kind = "pixel", weight = 1e-2 }}
losses.adversarial = {{ kind = "adversarial", formula = "relativistic", halved = true, weight = 5e-3 }}
"""  # noqa: E501
WITH_VGG = 'losses.perceptual = { kind = "perceptual", preset = "esrgan" }\n'
KILLED_AT = 110


def main() -> int:
    output = Path(sys.argv[1] if len(sys.argv) > 1 else "benchmark-gan")
    source = photographs(output / "photographs")
    vgg = output / "vgg19.safetensors"
    save_file(_random_vgg(), vgg)
    results = {"photographs": source, "load": os.getloadavg()[0]}
    for name, more in (("without VGG19", ""), ("with VGG19", WITH_VGG)):
        place = output / name.replace(" ", "-")
        place.mkdir()
        file = place / "run.toml"
        file.write_text(CONFIG.format(photographs=output / "photographs") + more)
        results[name] = _trial(file, place, ["--vgg-weights", str(vgg)] if more else [])
    sys.stdout.write(json.dumps(results, indent=1) + "\n")
    passes = all(each["passes"] for each in results.values() if isinstance(each, dict))
    return 0 if passes else 1


def _trial(file: Path, place: Path, options: list[str]) -> dict[str, object]:
    started = time.perf_counter()
    _run(file, place / "whole", options)
    seconds = time.perf_counter() - started
    _kill(file, place / "killed", options)
    _run(file, place / "killed", [*options, "--resume"])
    lines = (place / "killed" / "metrics.jsonl").read_text().splitlines()
    values = [value for line in map(json.loads, lines) for value in line.values()]
    one, other = (load_file(place / each / "last.safetensors") for each in ("whole", "killed"))
    is_same = all(torch.equal(value, other[name]) for name, value in one.items())
    is_finite = None not in values  # what is not finite is written as null
    return {
        "is_finite": is_finite,
        "is_same_after_sigkill": is_same,
        "seconds_of_a_run": round(seconds),
        "passes": is_finite and is_same,
    }


def _command(file: Path, run: Path, options: list[str]) -> list[str]:
    arguments = ["train", str(file), "-o", str(run), "-d", "cpu", "--json", *options]
    return [sys.executable, "-m", "srcli", *arguments]


def _run(file: Path, run: Path, options: list[str]) -> None:
    subprocess.run(_command(file, run, options), stdout=subprocess.DEVNULL, check=True)


def _kill(file: Path, run: Path, options: list[str]) -> None:
    process = subprocess.Popen(
        _command(file, run, options), stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    for line in process.stdout:
        record = json.loads(line)
        if record["type"] == "train" and record["step"] >= KILLED_AT:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()


def _random_vgg() -> dict[str, torch.Tensor]:
    """Scaled so that deep features stay of order one."""
    generator = torch.Generator().manual_seed(7)
    weights = {}
    for name, value in VGG19(["relu5_4"]).state_dict().items():
        scale = (2 / value[0].numel()) ** 0.5 if value.ndim == 4 else 0.1
        weights[name] = torch.randn(value.shape, generator=generator) * scale
    return weights


if __name__ == "__main__":
    sys.exit(main())
