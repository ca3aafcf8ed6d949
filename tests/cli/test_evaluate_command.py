"""`srcli evaluate` as a user types it: the table, JSON, CSV, exit codes, the published row."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.cli.app import main

SHARED = Path(os.environ.get("SRCLI_SHARED", Path(__file__).parents[2].parent / "shared"))
SET5 = SHARED / "testsets" / "Set5"


@pytest.fixture
def srcli(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", *map(str, arguments)])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


@pytest.fixture
def folders(tmp_path):
    """Targets and restored pictures that are one level off."""
    for place in ("target", "restored"):
        (tmp_path / place).mkdir()
    for number, name in enumerate(("a", "b")):
        levels = np.random.default_rng(number).integers(0, 255, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(levels).save(tmp_path / "target" / f"{name}.png")
        Image.fromarray(levels + 1).save(tmp_path / "restored" / f"{name}_x4.png")
    return tmp_path / "restored", tmp_path / "target"


@pytest.mark.skipif(not SET5.is_dir(), reason="the shared test set Set5 is not here")
def test_the_published_bicubic_row_of_set5_comes_out(srcli):
    code, out, _ = srcli("-m", "bicubic", "--target", SET5, "--scale", "4", "--json")
    means = json.loads(out.splitlines()[-2])["means"]
    assert code == 0
    assert means["psnr-y"] == pytest.approx(28.42, abs=0.005)
    assert means["ssim-y"] == pytest.approx(0.8104, abs=0.0005)


def test_two_folders_give_a_table_with_the_protocol(srcli, folders):
    code, out, err = srcli(*folders, "--channels", "rgb", "--crop", "0")
    assert code == 0 and "error" not in err
    psnr = f"{10 * np.log10(255**2):.3f}"
    rows = [line.split()[:2] for line in out.splitlines() if psnr in line]
    assert rows == [["a", psnr], ["b", psnr], ["mean", psnr]]
    assert "psnr-rgb: RGB, 8 bits, peak 255, 0 px cropped at each side" in out


def test_several_candidates_stand_side_by_side_with_the_best_marked(
    srcli, folders, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, out, _ = srcli("restored", "-m", "nearest", "-m", "bicubic", "--target", "target")
    marked = [line for line in out.splitlines() if "*" in line.partition("best")[0]]
    assert code == 0
    assert sum("restored" in line for line in marked) == 3  # two pictures and the mean


def test_json_is_a_line_for_each_picture_each_candidate_and_a_summary(srcli, folders):
    code, out, err = srcli(*folders, "--json")
    *pictures, candidate, summary = map(json.loads, out.splitlines())
    assert (code, err) == (0, "")
    assert [(each["picture"], each["status"]) for each in pictures] == [
        ("a", "done"),
        ("b", "done"),
    ]
    assert candidate["means"]["psnr-y"] > 40 and candidate["failed"] == 0
    assert summary["exit_code"] == 0 and "4 px cropped" in summary["protocol"][0]


def test_csv_has_a_row_for_each_picture_and_the_mean(srcli, folders, tmp_path):
    srcli(*folders, "--csv", tmp_path / "scores.csv", "--quiet")
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["picture"] for row in rows] == ["a", "b", "mean"]
    each = [float(row["psnr-y"]) for row in rows]
    assert each[2] == pytest.approx((each[0] + each[1]) / 2)


def test_equal_pictures_are_infinite_in_json_without_breaking_it(srcli, folders):
    _, target = folders
    _, out, _ = srcli(target, target, "--json")
    assert json.loads(out.splitlines()[0])["scores"] == {"psnr-y": "inf", "ssim-y": 1.0}


def test_a_missing_partner_makes_the_exit_code_1(srcli, folders):
    restored, target = folders
    (restored / "b_x4.png").unlink()
    code, out, err = srcli(restored, target)
    assert code == 1 and "b has no partner" in err and "(1 of 2)" in out


@pytest.mark.parametrize(
    ("arguments", "code", "phrase"),
    [
        (["TARGET"], 2, "no target"),
        (["--target", "TARGET"], 2, "nothing to judge"),
        (["TARGET", "missing/"], 4, "does not exist"),
        (["TARGET", "TARGET", "--metrics", "beauty"], 2, "no metric is named 'beauty'"),
        (["TARGET", "TARGET", "--channels", "hsv"], 2, "not understood"),
        (["-m", "no-such-model", "--target", "TARGET"], 3, "no weights"),
    ],
)
def test_what_cannot_be_is_told_with_a_remedy(srcli, folders, arguments, code, phrase):
    given = [str(folders[1]) if word == "TARGET" else word for word in arguments]
    got, _, err = srcli(*given)
    assert (got, phrase in err, "hint:" in err) == (code, True, True)


def test_a_failure_in_json_is_a_summary(srcli, folders):
    code, out, _ = srcli("-m", "no-such-model", "--target", folders[1], "--json")
    record = json.loads(out)
    assert (code, record["type"], record["exit_code"]) == (3, "summary", 3)
