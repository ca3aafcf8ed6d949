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


def test_the_python_example_runs(real_weights, tmp_path, monkeypatch):
    real_weights("realesrgan-x4plus")
    (example,) = re.findall(r"```python\n(.*?)```", README, re.S)
    monkeypatch.chdir(tmp_path)
    exec(example, {"picture": Image.new("RGB", (12, 8), "teal")})  # the reader's own picture
    assert Image.open("larger.png").size == (48, 32)


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")) + [ROOT / "README.md"], ids=str)
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150
