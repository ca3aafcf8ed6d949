"""The teacher's pictures: made once where the low pictures are always the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from srcli.data.decode import read_header
from srcli.data.pairs import GIBIBYTE, PairedPictures, PairSource, PictureCache
from srcli.inference.precision import Precision
from srcli.inference.rows import TensorSink, TensorSource
from srcli.io.files import replacing
from srcli.models.network import Network
from srcli.services.engine import Engine, EngineOptions
from srcli.services.network import LoadedNetwork
from srcli.services.training.feed import MixedPairs, TaughtPairs
from srcli.services.training.pictures import Example, Pictures, is_fixed, pair_source, whole_pair
from srcli.training.config import TrainingConfig
from srcli.training.defaults import Settled
from srcli.training.distributed import Processes


def taught_source(
    pictures: Pictures,
    config: TrainingConfig,
    settled: Settled,
    teacher: Network,
    folder: Path,
    *,
    device: torch.device,
    processes: Processes,
    on_note: Callable[[str], None] = lambda note: None,
) -> PairSource:
    """Pairs towards the teacher's pictures, by the configured share.

    Where each low picture is always the same, and enlarging all of them is less work than the
    patches of the run would be, it is done beforehand, by each process for its part, and kept as
    PNG in `folder`, in one of its own for each teacher and kind of pair; else patch by patch.
    """
    spec, scale = config.teacher, teacher.scale
    assert spec is not None
    patches = settled.steps * settled.batch * (settled.patch_px // scale) ** 2
    if not is_fixed(config.data) or _low_pixels(pictures, scale) > patches:
        on_note(f"the teacher {spec.weights} enlarges each patch as it comes")
        plain = pair_source(
            pictures, config.data, scale=scale, patch_px=settled.patch_px, seed=config.training.seed
        )
        frozen = teacher.to(device).to(memory_format=torch.channels_last)
        return TaughtPairs(plain, frozen, spec.share, spec.weights)
    on_note(f"the teacher {spec.weights} enlarges {len(pictures.training)} picture(s), once")
    loaded = LoadedNetwork(network=teacher, name=spec.weights, digest="")
    options = EngineOptions(device=str(device), precision=Precision(settled.precision))
    engine = Engine(loaded, options, on_note=on_note)
    folder /= _kind(config, teacher)
    for example in pictures.training[processes.rank :: processes.ranks]:
        _enlarged(example, config, engine, folder)
    processes.wait()  # for the pictures of the others
    made = [_enlarged(example, config, engine, folder) for example in pictures.training]
    taught = _paired([(low, restored) for low, restored, _ in made], config, settled, scale)
    if spec.share == 1:
        return taught
    plain = _paired([(low, high) for low, _, high in made], config, settled, scale)
    return MixedPairs(plain, taught, spec.share)


def _kind(config: TrainingConfig, teacher: Network) -> str:
    """Of what has the same kind, pictures of the same name are the same pictures."""
    data = config.data
    digest = hashlib.sha256(json.dumps([data.high, data.low, data.degradation]).encode())
    for name, value in teacher.state_dict().items():
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _paired(
    pairs: list[tuple[Path, Path]], config: TrainingConfig, settled: Settled, scale: int
) -> PairedPictures:
    return PairedPictures(
        pairs,
        scale=scale,
        patch_px=settled.patch_px,
        seed=config.training.seed,
        is_sharpened=config.data.sharpened_target,
        read=PictureCache(budget=int(config.data.cache_gib * GIBIBYTE)),
    )


def _enlarged(
    example: Example, config: TrainingConfig, engine: Engine, folder: Path
) -> tuple[Path, Path, Path]:
    """The low picture, the teacher's enlargement and the high picture: files of matching size."""
    stem = Path(example.name).with_suffix(".png")
    low_file, restored_file, high_file = (
        folder / kind / stem for kind in ("low", "restored", "high")
    )
    if not high_file.is_file():  # written last: then the others are there
        scale = engine.scale
        pair = whole_pair(
            example, config.data, scale=scale, largest_px=0, seed=config.training.seed
        )
        _write(low_file, pair.low)
        _write(restored_file, enlarged(engine, pair.low))
        _write(high_file, pair.high)
    return low_file, restored_file, high_file


def enlarged(engine: Engine, low: Tensor) -> Tensor:
    """uint8 (3, h, w) through the tiled inference of `srcli upscale`: uint8 (3, s·h, s·w)."""
    height, width = (side * engine.scale for side in low.shape[-2:])
    restored = torch.empty(3, height, width)
    engine.run(TensorSource(low.float() / 255), TensorSink(restored))
    return restored.clamp_(0, 1).mul_(255).round_().byte()


def _write(path: Path, picture: Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.ascontiguousarray(picture.permute(1, 2, 0).numpy()))
    with replacing(path) as partial:
        image.save(partial, compress_level=1)


def _low_pixels(pictures: Pictures, scale: int) -> int:
    headers = [read_header(example.high) for example in pictures.training]
    return sum(header.height * header.width // scale**2 for header in headers)
