"""`srcli.finetune`: what the command does, as a function."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import srcli
from srcli.errors import UsageError

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "finetune.md"


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for seed, name in enumerate(("cat", "dog", "emu")):
        coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
        Image.fromarray(coarse).resize((96, 80), 3).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path / "photos"


def tiny(folder, weights, **options):
    small = {"steps": 3, "batch": 1, "patch_px": 32, "preset": "psnr", "device": "cpu"}
    return srcli.finetune(folder, model=weights, **{**small, **options})


def test_the_weights_of_the_report_enlarge_pictures(photos, tiny_weights):
    report = tiny(photos, tiny_weights, losses={"frequency": 0.1})
    assert (report.steps, report.is_stopped) == (3, False)
    assert report.best.scores.psnr >= report.before.psnr - 1
    larger = srcli.Upscaler(report.weights, device="cpu")(np.zeros((6, 5, 3), np.uint8))
    assert larger.shape == (24, 20, 3)
    assert "frequency" in (report.folder / "config.toml").read_text()


def test_an_observer_may_stop_it_and_it_goes_on(photos, tiny_weights):
    stop = srcli.Stop()

    class OneStep(srcli.TrainingObserver):
        def advanced(self, step):
            stop.set()

    first = tiny(photos, tiny_weights, observer=OneStep(), stop=stop)
    assert (first.steps, first.is_stopped) == (1, True)
    assert tiny(photos, tiny_weights, output=first.folder, resume=True).steps == 3


@pytest.mark.parametrize("options", [{"preset": "best"}, {"low": "absent"}, {"losses": {"x": 1.0}}])
def test_what_cannot_be_is_refused_before_anything_is_written(photos, tiny_weights, options):
    with pytest.raises(UsageError):
        tiny(photos, tiny_weights, **options)
    assert not Path("runs").exists()


def test_the_example_of_the_page_runs(photos, tiny_weights, monkeypatch):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    whole = srcli.finetune
    fast = {"model": tiny_weights, "steps": 2, "batch": 1, "patch_px": 32, "device": "cpu"}
    monkeypatch.setattr(
        srcli, "finetune", lambda *a, **k: whole(*a, **{**k, **fast}), raising=False
    )
    exec(example, {})
    assert Image.open(photos / "cat_x4.png").size == (384, 320)
