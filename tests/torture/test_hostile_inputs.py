"""The torture runs of benchmarks/torture in short: pictures, names, weights and parsers."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

TORTURE = Path(__file__).parents[2] / "benchmarks/torture"
sys.path.insert(0, str(TORTURE))

import command  # noqa: E402
import names  # noqa: E402
import picture_makers  # noqa: E402
import pictures  # noqa: E402
import tally  # noqa: E402
import typer.main  # noqa: E402
import weights  # noqa: E402
import weights_makers  # noqa: E402

from srcli.cli import app as argumentsline  # noqa: E402
from srcli.errors import BadWeightsError, ImageError  # noqa: E402
from srcli.io.foreign import heif_module  # noqa: E402
from srcli.io.pictures import open_picture  # noqa: E402
from srcli.io.tensors import read_state_dict  # noqa: E402
from srcli.io.vips import BLOB, from_numpy  # noqa: E402
from srcli.services.upscaler import Upscaler  # noqa: E402


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr(argumentsline, "app", typer.main.get_command(argumentsline.app))
    heif_module().register_heif_opener()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    weights_path = command.make_weights(tmp_path / "tiny.safetensors")
    return pictures.Bench(tmp_path, weights_path, Upscaler(weights_path, device="cpu").engine)


# Numbers of pictures that fell once, and one of each other kind of wound.
FALLEN = (36, 44, 505, 724, 908)


@pytest.mark.parametrize("number", [*FALLEN, *range(2000, 2030)])
def test_a_spoiled_picture_is_enlarged_or_refused_and_leaves_nothing(bench, number):
    assert pictures.attempt(bench, number)


# Numbers of pictures of which Pillow, libtiff or GLib said something on stderr.
NOISY = ("22", "260", "404", "462", "463", "1058", "3326")
READ = """
import sys
from picture_makers import spoiled
from srcli.errors import SrcliError
from srcli.io.pictures import open_picture
for number in sys.argv[1:]:
    try:
        page = open_picture(spoiled(int(number))[1]).page(0)
        page.read_rows(0, 1)
    except SrcliError:
        pass
"""


def test_no_library_says_anything_on_stderr_of_a_damaged_picture():
    paths = os.pathsep.join([str(TORTURE), str(TORTURE.parents[1])])
    arguments = [sys.executable, "-c", READ, *NOISY]
    environment = {**os.environ, "PYTHONPATH": paths}
    read = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    assert read.stderr == ""


def test_spoiled_pictures_are_the_same_every_time():
    assert picture_makers.spoiled(77) == picture_makers.spoiled(77)
    assert len({picture_makers.spoiled(number)[1] for number in range(100)}) > 95


@pytest.mark.parametrize(
    "stem", [*names.TELLING[5:8], "\u2028".encode(), b"\xff\xfe", b"--overwrite", b"z" * 251]
)
@pytest.mark.parametrize("way", names.WAYS, ids=lambda way: way.__name__)
def test_a_name_of_any_bytes_is_a_name(bench, stem, way, monkeypatch):
    monkeypatch.chdir(bench.root)
    assert names.attempt(bench.root, bench.weights, names.Name(stem), way)


SLOW = ("without end", "marks", "lists in lists", "bomb", "a million", "99,999,999")


def test_hostile_weights_are_refused_and_run_nothing(tmp_path, monkeypatch):
    canary = tmp_path / "canary"
    every = weights_makers.all_hostile(canary)
    calls = [one for one in every if "protocol" in one.name][::25]
    others = [one for one in every if "protocol" not in one.name]
    quick = [one for one in others if not any(word in one.name for word in SLOW)]
    assert len(calls) > 60 and len(quick) > 200
    for hostile in calls + quick:
        assert weights.refuse(tmp_path, canary, hostile)


@pytest.mark.parametrize("number", range(12))
def test_wounded_weights_are_refused_or_finite(tmp_path, number):
    assert weights.survive(tmp_path, number)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.pth"
    data = weights_makers.zipped(b"\x80\x02}.", {"data/0": bytes(32 << 20)}, method=8)
    path.write_bytes(data)
    before = tally.forget_peak()
    with pytest.raises(BadWeightsError, match="compressed"):
        read_state_dict(path)
    assert tally.peak_bytes() - before < 16 << 20


def test_a_tiff_that_claims_what_its_bytes_cannot_hold_takes_no_memory():
    _, data = picture_makers.spoiled(908)
    before = tally.forget_peak()
    with pytest.raises(ImageError, match="which no TIFF can hold"):
        open_picture(data).page(0).read_rows(0, 16)
    assert tally.peak_bytes() - before < 16 << 20


def test_a_picture_far_wider_than_high_takes_little_more_memory_than_its_plan_states(bench):
    pixels = np.random.default_rng(0).integers(0, 256, (17, 32_768, 4), np.uint8)
    pixels[:, :, 3] //= 2
    pixels[:, ::2, 3] = 0
    source = bench.root / "wide.png"
    Image.fromarray(pixels).save(source)
    stated = bench.engine.bytes_of(bench.engine.plan(17, 32_768))
    before = tally.forget_peak()
    assert command.run([str(source), "-m", str(bench.weights), "-d", "cpu"]) == 0
    assert tally.peak_bytes() - before < stated + (100 << 20)


def test_frames_take_no_more_memory_the_more_they_are(bench):
    random = np.random.default_rng(0)
    frames = [random.integers(0, 2, (60, 60, 4), np.uint8) * 255 for _ in range(20)]
    first, *others = map(Image.fromarray, frames)
    source = bench.root / "frames.png"
    first.save(source, save_all=True, append_images=others, duration=40)
    before = tally.forget_peak()
    assert command.run([str(source), "-m", str(bench.weights), "-d", "cpu"]) == 0
    assert tally.peak_bytes() - before < 120 << 20


def test_a_picture_in_another_colour_space_is_read_in_little_more_memory_than_its_samples():
    image = from_numpy(np.zeros((1500, 1500, 3), np.uint8)).copy()
    image.set_type(BLOB, "icc-profile-data", bytes(pyvips.Operation.call("profile_load", "p3")))
    page = open_picture(bytes(image.pngsave_buffer())).page(0)
    page.rows()  # and what is held of it
    before = tally.forget_peak()
    samples = page.rows().read(0, 1500)
    assert tally.peak_bytes() - before < samples.nbytes + (100 << 20)


def test_memory_that_was_stated_beforehand_is_no_failure():
    counted = tally.Tally("test")
    taken = 80 << 20

    def attempt(stated):
        return tally.Stated("much" if bytearray(b"x") * taken else "", stated)

    tally.in_children(counted, [taken, 0], attempt, bound_mib=40)
    assert counted.outcomes == {"much": 1, "FAILED": 1}


def test_a_child_that_hangs_dies_or_raises_is_counted_as_a_failure():
    def attempt(case):
        return {
            "dies": lambda: os.kill(os.getpid(), 9),
            "raises": lambda: 1 / 0,
            "waits": lambda: __import__("time").sleep(60),
            "takes": lambda: "much" if bytearray(b"x") * (80 << 20) else "",
            "reads": lambda: "read",
        }[case]()

    counted = tally.Tally("test")
    cases = ["reads", "dies", "raises", "waits", "takes", "reads"]
    tally.in_children(counted, cases, attempt, seconds=0.1, bound_mib=40)
    assert counted.outcomes == {"read": 2, "FAILED": 4}
    assert [failure.partition(":")[0] for failure in counted.failures] == cases[1:5]
