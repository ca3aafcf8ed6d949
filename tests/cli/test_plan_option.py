"""`srcli upscale --plan`."""

import json

import numpy as np
import pytest
from PIL import Image

from srcli.cli.app import main


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(64, 192, (400, 300, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def upscaled(picture, tiny_weights, capsys):
    """Run with options; the JSON of the file, and the pixels."""

    def run(*options):
        out = picture.with_name("out.png")
        arguments = ["upscale", str(picture), "-o", str(out), "-m", str(tiny_weights)]
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "-d", "cpu", "--overwrite", "--json", *options])
        assert ended.value.code == 0
        (report, _) = map(json.loads, capsys.readouterr().out.splitlines())
        return report["plan"], np.asarray(Image.open(out)).astype(int)

    return run


def test_a_large_picture_streams_and_every_plan_gives_the_same_picture(upscaled):
    plan, streamed = upscaled()
    assert plan.startswith("stream, bands of ")
    for kind, words in (("whole", "whole image"), ("tiles", "tiles of 90 px")):
        plan, other = upscaled("--plan", kind, *(["--tile", "90"] if kind == "tiles" else []))
        assert words in plan
        assert np.abs(streamed - other).max() <= 1


@pytest.mark.parametrize(
    "options",
    [
        ("stream", "--tile", "64"),
        ("stream", "--halo", "8"),
        ("whole", "--tile", "64"),
        ("whole", "--tile", "off", "--halo", "8"),
    ],
)
def test_a_plan_without_tiles_takes_no_size_of_them(picture, tiny_weights, capsys, options):
    with pytest.raises(SystemExit) as ended:
        main(["upscale", str(picture), "-m", str(tiny_weights), "--plan", *options])
    assert ended.value.code == 2 and "--plan tiles or auto" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["tiles", "stream"])
def test_the_whole_image_at_once_is_no_other_plan(picture, tiny_weights, capsys, kind):
    with pytest.raises(SystemExit) as ended:
        main(["upscale", str(picture), "-m", str(tiny_weights), "--plan", kind, "--tile", "off"])
    told = capsys.readouterr().err
    assert ended.value.code == 2 and f"--plan {kind} is not" in told and "leave one" in told


def test_a_plan_of_the_whole_image_may_be_asked_for_twice(upscaled):
    assert upscaled("--plan", "whole", "--tile", "off")[0] == "whole image"


def test_a_network_that_cannot_stream_says_so(picture, tiny_weights, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["upscale", str(picture), "-m", str(tiny_weights), "--plan", "stream", "--tta"])
    assert ended.value.code == 2 and "cannot be streamed" in capsys.readouterr().err
