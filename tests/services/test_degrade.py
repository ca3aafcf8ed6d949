"""`srcli degrade`, as a service and on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from srcli.cli.app import main
from srcli.data.decode import read_picture
from srcli.degradations.names import Preset
from srcli.degradations.recipe import Recipe, degrade
from srcli.degradations.resize import quantize, rescale
from srcli.errors import ConfigError, OutputError, UsageError
from srcli.services.degrade import DegradeConfig, degrade_folder

BICUBIC = DegradeConfig(preset=Preset.BICUBIC)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    Image.fromarray(data.astronaut()[:90, :101]).save(folder / "a.png")
    Image.fromarray(data.chelsea()[:64, :64]).save(folder / "sub" / "b.jpg")
    return folder


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_folder_is_mirrored_and_cropped_to_the_scale(photos, tmp_path):
    report = degrade_folder(photos, tmp_path / "low", BICUBIC)
    assert [result.size for result in report.done] == [(22, 25), (16, 16)]
    high = read_picture(photos / "a.png")[None, :, :88, :100] / 255
    expected = quantize(rescale(high, 1 / 4))[0].mul(255).round().permute(1, 2, 0)
    np.testing.assert_array_equal(pixels(tmp_path / "low" / "a.png"), expected)
    assert (tmp_path / "low" / "sub" / "b.png").is_file()


def test_the_recipes_tell_how_to_do_it_again(photos, tmp_path):
    report = degrade_folder(photos, tmp_path / "low", DegradeConfig())
    for line in report.recipes.read_text().splitlines():
        record = json.loads(line)
        high = read_picture(photos / record["source"])
        high = high[None, :, : high.shape[1] // 4 * 4, : high.shape[2] // 4 * 4] / 255
        low = degrade(high, [Recipe.from_json(json.dumps(record["recipe"]))])[0].mul(255).round()
        written = torch.from_numpy(pixels(tmp_path / "low" / record["low"]).copy())
        assert torch.equal(low.permute(1, 2, 0).byte(), written)


def test_a_picture_is_degraded_alike_whatever_lies_beside_it(photos, tmp_path):
    degrade_folder(photos, tmp_path / "both", DegradeConfig())
    (photos / "a.png").unlink()
    degrade_folder(photos, tmp_path / "one", DegradeConfig())
    first, second = (tmp_path / folder / "sub" / "b.png" for folder in ("both", "one"))
    assert first.read_bytes() == second.read_bytes()


def test_another_seed_degrades_in_another_way(photos, tmp_path):
    first, second = (
        degrade_folder(photos, tmp_path / str(seed), DegradeConfig(seed=seed)) for seed in (0, 1)
    )
    assert first.done[0].recipe != second.done[0].recipe


def test_a_file_in_the_place_of_the_folder_is_refused(photos, tmp_path):
    (tmp_path / "low").touch()
    with pytest.raises(OutputError, match="a file has that name"):
        degrade_folder(photos, tmp_path / "low", DegradeConfig())


def test_pictures_that_differ_in_their_suffix_do_not_collide(photos, tmp_path):
    Image.fromarray(data.coffee()[:64, :64]).save(photos / "a.jpg")
    report = degrade_folder(photos, tmp_path / "low", BICUBIC)
    assert sorted(result.output.name for result in report.done) == [
        "a.jpg.png",
        "a.png.png",
        "b.png",
    ]


def test_no_low_picture_replaces_another(photos, tmp_path):
    for name in ("a.jpg", "a.jpg.png"):
        Image.fromarray(data.coffee()[:64, :64]).save(photos / name)
    report = degrade_folder(photos, tmp_path / "low", BICUBIC)
    assert len({result.output for result in report.done}) == len(report.done) == 4


def test_a_broken_picture_is_reported_and_the_rest_goes_on(photos, tmp_path):
    (photos / "broken.png").write_text("no picture")
    Image.new("RGB", (3, 50)).save(photos / "thin.png")
    (photos / "notes.txt").write_text("not meant to be one")
    report = degrade_folder(photos, tmp_path / "low", BICUBIC)
    assert [failure.source.name for failure in report.failed] == ["broken.png", "thin.png"]
    assert len(report.done) == 2


def test_an_output_inside_the_folder_is_not_degraded_again(photos):
    config = DegradeConfig(preset=Preset.BICUBIC, has_sheet=True, overwrite=True)
    counts = [len(degrade_folder(photos, photos / "low", config).done) for _ in range(2)]
    assert counts == [2, 2]


def test_an_earlier_result_is_kept_unless_told_otherwise(photos, tmp_path):
    degrade_folder(photos, tmp_path / "low", BICUBIC)
    with pytest.raises(OutputError, match="earlier result"):
        degrade_folder(photos, tmp_path / "low", BICUBIC)


def test_a_folder_without_pictures_is_an_error_of_use(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no picture"):
        degrade_folder(tmp_path / "empty", tmp_path / "low", BICUBIC)


def test_a_run_that_is_stopped_keeps_the_record_of_what_it_wrote(photos, tmp_path):
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        degrade_folder(photos, tmp_path / "low", BICUBIC, on_picture=stop)
    assert len((tmp_path / "low" / "recipes.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("scale", [0, 17])
def test_an_impossible_scale_is_refused(scale):
    with pytest.raises(ConfigError, match="impossible scale"):
        DegradeConfig(scale=scale)


def test_the_sheet_shows_the_same_part_high_and_low(photos, tmp_path):
    config = DegradeConfig(preset=Preset.AREA, has_sheet=True)
    report = degrade_folder(photos, tmp_path / "low", config)
    sheet = pixels(report.sheet).astype(float)
    # Of the second row: the picture is 64 px high, so that its middle is all of it, doubled.
    top = sheet.shape[0] // 2 + 12
    high, low = (sheet[top : top + 128, left : left + 128] for left in (280, 548))
    blocks = [part.reshape(16, 8, 16, 8, 3).mean(axis=(1, 3)) for part in (high, low)]
    np.testing.assert_allclose(*blocks, atol=1)


def run(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["degrade", *map(str, arguments)])
    return (stopped.value.code or 0, *capsys.readouterr())


def test_the_command_says_what_it_did_and_succeeds(photos, tmp_path, capsys):
    code, out, err = run(capsys, photos, "-o", tmp_path / "low", "--preset", "bicubic", "--sheet")
    assert code == 0
    assert "2 done, 0 failed" in out
    assert "low-sheet.png" in out
    assert "b.png  16x16" in err


def test_the_command_fails_softly_and_in_json(photos, tmp_path, capsys):
    (photos / "broken.png").write_text("no picture")
    code, out, _ = run(capsys, photos, "-o", tmp_path / "low", "--preset", "area", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [record.get("status") for record in records] == ["done", "failed", "done", None]
    assert records[1]["hint"]
    assert records[-1]["failed"] == 1


def test_the_command_without_a_folder_is_an_error_of_use(tmp_path, capsys):
    code, _, err = run(capsys, tmp_path / "nowhere", "-o", tmp_path / "low")
    assert code == 2
    assert "no such folder" in err
