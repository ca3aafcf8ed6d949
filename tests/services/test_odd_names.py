"""Pictures whose names are no text: what is written of them is still readable."""

import csv
import json
import os

import numpy as np
import pytest
from PIL import Image

from srcli.cli.app import main

NAME = os.fsdecode(b"a\xff")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    levels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        with (tmp_path / place / f"{NAME}.png").open("wb") as file:
            Image.fromarray(levels).save(file, "PNG")
    return tmp_path


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code


def test_recipes_name_them(folder):
    assert run("degrade", "one", "-o", "low", "--preset", "bicubic") == 0
    (line,) = (folder / "low/recipes.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["source"] == f"{NAME}.png"


def test_pages_show_them_and_lead_to_them(folder):
    assert run("compare", "one", "two", "-o", "pages") == 0
    assert 'href="pages/a%FF.html"' in (folder / "pages/index.html").read_text("utf-8")
    assert "a\\udcff" in (folder / f"pages/pages/{NAME}.html").read_text("utf-8")


def test_a_run_in_a_folder_of_such_a_name_has_its_page(folder, tiny_weights):
    options = ("--steps", "1", "--batch", "1", "--patch", "16", "--preset", "psnr", "-d", "cpu")
    begun = ("finetune", "one", "-m", str(tiny_weights), "-o", NAME)
    for seed in range(2):
        noise = np.random.default_rng(seed).integers(0, 256, (48, 48, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"one/{seed}.png")
    assert run(*begun, *options) == 0
    assert run("report", NAME) == 0
    assert "a\\udcff" in (folder / NAME / "report.html").read_text("utf-8")


def test_tables_name_them(folder):
    assert run("evaluate", "one", "two", "--csv", "scores.csv") == 0
    with (folder / "scores.csv").open(encoding="utf-8", newline="") as file:
        assert [row["picture"] for row in csv.DictReader(file)] == ["a\\udcff", "mean"]
