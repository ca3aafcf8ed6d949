"""Numbers under torture, in short: benchmarks/torture/numeric.py is the long version."""

import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from srcli.cli.app import main
from srcli.errors import ImageError
from srcli.services.network import load_network
from srcli.services.upscaler import Upscaler

sys.path.append(str(Path(__file__).parents[2] / "benchmarks" / "torture"))

import numeric_faults
import numeric_plans
from numeric_bytes import ENDINGS

CAT = Path(__file__).parents[2] / "docs" / "pictures" / "cat.png"
NOT_NUMBERS = [float("nan"), float("inf"), -float("inf")]


@pytest.fixture(scope="module")
def swift():
    return load_network("swift", offline=True)


def test_every_way_in_every_precision_is_within_its_stated_bound(swift):
    trial = numeric_plans.Trial("swift", 40, 40, tile=20, eight=24)
    records = list(numeric_plans.distances(swift, trial, numeric_plans.piece(CAT, 40, 40)))
    lines, is_kept = numeric_plans.table(records)
    assert len(records) == 12 and is_kept, "\n".join(lines)


def test_the_page_states_a_bound_for_every_trial():
    trials = product((t.model for t in numeric_plans.TRIALS), numeric_plans.WAYS)
    expected = {(*each, str(name)) for each in trials for name in numeric_plans.PRECISIONS}
    assert set(numeric_plans.bounds()) == expected


@pytest.mark.parametrize("plan", ["whole", "stream", "tiles"])
@pytest.mark.parametrize("precision", numeric_plans.PRECISIONS)
@pytest.mark.parametrize("fault", numeric_faults.FAULTS)
def test_a_poisoned_network_never_reaches_a_picture(swift, fault, precision, plan, tmp_path):
    Image.open(CAT).convert("RGB").resize((14, 13)).save(tmp_path / "a.png")
    options = numeric_faults.replace(numeric_faults.PLANS[plan], precision=precision)
    value = numeric_faults.FAULTS[fault]
    outcome = numeric_faults.poisoned(swift, options, tmp_path / "a.png", value, "end")
    assert not outcome.startswith("WRONG")


@pytest.mark.parametrize("plan", ["whole", "stream", "tiles"])
@pytest.mark.parametrize("power", [9, 24, 132])
def test_a_network_that_overflows_gives_its_picture_or_none(swift, plan, power):
    """2^9 times as large inside: fp16 overflows in parts; 2^132: fp32 too."""
    options = numeric_faults.replace(numeric_faults.PLANS[plan], precision="fp16")
    image = numeric_plans.piece(CAT, 13, 14)
    assert not numeric_faults.overflowing(swift, options, image, power).startswith("WRONG")


def pictures(value, folder):
    """A picture with one such sample, as each kind that can hold it."""
    pixels = np.full((9, 8, 3), 0.5, np.float32)
    pixels[4, 5, 1] = value
    tifffile.imwrite(folder / "a.tif", pixels, photometric="rgb")
    gray, alpha = pixels[:, :, 1].copy(), np.dstack([np.full_like(pixels, 0.5), pixels[:, :, 1]])
    return {
        "array": pixels,
        "gray array": gray,
        "alpha": alpha,
        "Pillow": Image.fromarray(gray),
        "tensor": torch.from_numpy(pixels).permute(2, 0, 1),
        "TIFF": folder / "a.tif",
    }


@pytest.mark.parametrize("value", NOT_NUMBERS)
@pytest.mark.parametrize("kind", ["array", "gray array", "alpha", "Pillow", "tensor", "TIFF"])
def test_a_sample_that_is_no_number_is_the_fault_of_the_picture(kind, value, tmp_path):
    picture = pictures(value, tmp_path)[kind]
    with pytest.raises(ImageError, match="not numbers"):
        Upscaler("swift", device="cpu", offline=True)(picture)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_a_command_run_twice_writes_the_same_bytes(tmp_path):
    Image.open(CAT).convert("RGB").crop((80, 60, 110, 85)).save(tmp_path / "a.png")
    for folder in ("one", "two"):
        for ending in ENDINGS:
            output = tmp_path / folder / f"a.{ending}"
            line = [
                "upscale",
                str(tmp_path / "a.png"),
                "-o",
                str(output),
                "-m",
                "swift",
                "-d",
                "cpu",
            ]
            with pytest.raises(SystemExit) as ended:
                main(line)
            assert ended.value.code == 0
        time.sleep(1.1)  # so that a time that gets into a file shows
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name
