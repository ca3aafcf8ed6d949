"""What the README says is so."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.cli.app import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_first_command_ends_with_the_right_picture(real_weights, tmp_path, monkeypatch):
    real_weights("realesrgan-x4plus")
    (command,) = re.findall(r"^pip install \. && srcli (.*)$", README, re.M)
    (tmp_path / "docs" / "pictures").mkdir(parents=True)
    low = Image.open(ROOT / "docs/pictures/cat.png")
    low.save(tmp_path / "docs/pictures/cat.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(command))
    assert ended.value.code == 0
    result = Image.open("docs/pictures/cat_x4.png")
    assert result.size == (4 * low.width, 4 * low.height)
    # Shrunk back it must be the cat again: the network denoises, so not to the last level.
    again = np.asarray(result.resize(low.size, Image.Resampling.BOX), np.float64)
    error = np.square(again - np.asarray(low.convert("RGB"), np.float64)).mean()
    assert 10 * np.log10(255**2 / error) > 28


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150
