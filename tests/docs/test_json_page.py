"""The page of the JSON objects names every key that a command prints."""

import json
import re

import numpy as np
import pytest
from pages import ROOT
from PIL import Image

from srcli.cli.app import main

PAGE = (ROOT / "docs/reference/json.md").read_text("utf-8")
EVALUATE = (ROOT / "docs/reference/evaluate.md").read_text("utf-8")
FREE = {"scores", "means", "best", "unavailable", "packages", "facts", "settled", "matrix_gflops"}


@pytest.fixture
def printed(tmp_path, monkeypatch, capsys):
    """The objects that a command prints in a folder with pictures, good and bad."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SRCLI_OFFLINE", "1")
    monkeypatch.setenv("SRCLI_HOME", str(tmp_path / "home"))
    (tmp_path / "photos").mkdir()
    for seed, name in enumerate("abc"):
        levels = np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(levels).save(tmp_path / f"photos/{name}.png")
    (tmp_path / "photos/bad.jpg").write_text("no picture")

    def run(line):
        with pytest.raises(SystemExit):
            main([*line.split(), "--json"])
        return [json.loads(each) for each in capsys.readouterr().out.splitlines()]

    return run


def keys(value):
    """Of an object and of those in its lists, but for those whose keys are names or numbers."""
    if isinstance(value, list):
        return {key for each in value for key in keys(each)}
    if not isinstance(value, dict):
        return set()
    return set(value) | {
        key for name, each in value.items() if name not in FREE for key in keys(each)
    }


def section(command):
    part = re.search(rf"^## [^\n]*srcli {command}\b.*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    if part is not None:
        return part[0] + (EVALUATE if command == "evaluate" else "")
    (row,) = re.findall(rf"^\| `srcli {command}` \|.*$", PAGE, re.MULTILINE)
    return row


@pytest.mark.parametrize(
    "line",
    [
        "upscale photos -o large -m swift -d cpu",
        "upscale photos -o large -m swift -d cpu --dry-run",
        "finetune photos -m swift --preset psnr --steps 1 --batch 1 --patch 32 -d cpu",
        "evaluate -m nearest --target photos",
        "compare photos photos",
        "degrade photos -o low --preset bicubic",
        "doctor",
    ],
)
def test_every_key_that_is_printed_is_on_the_page(printed, line):
    objects = printed(line)
    command = line.split()[0]
    named = set(re.findall(r"`([\w/]+)`", section(command)))
    found = keys(objects) - {"type"}
    found = {key for key in found if not key.startswith(("loss/", "weighted/"))}
    assert objects and found <= named
    assert objects[-1].get("type") != "error"


@pytest.mark.parametrize("line", ["weights list", "weights show swift", "weights path swift"])
def test_so_is_every_key_of_weights(printed, line):
    first, *_ = printed(line)
    command = " ".join(line.split()[:2])
    named = set(re.findall(r"`(\w+)`", section("weights list") + section(command)))
    assert set(first) <= named


def test_imported_weights_are_shown_with_the_keys_of_all(printed, tiny_weights):
    printed(f"weights import {tiny_weights} --name own")
    (own,), (known,) = printed("weights show own"), printed("weights show swift")
    assert own.keys() == known.keys()
