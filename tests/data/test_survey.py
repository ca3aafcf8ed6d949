"""The survey finds each planted problem, all at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from srcli.data.alignment import find_shift
from srcli.data.decode import read_header, read_picture
from srcli.data.survey import Trouble, survey_folder, survey_pairs
from srcli.degradations.resize import quantize, rescale
from srcli.errors import ImageError, UsageError


def found(survey) -> set[tuple[str, Trouble]]:
    return {(problem.path.name, problem.trouble) for problem in survey.problems}


def test_every_problem_is_found_at_once(save, tmp_path):
    good = save("sub/good.png")
    save("small.png", height=20)
    Image.new("RGBA", (48, 40), (9, 9, 9, 99)).save(tmp_path / "clear.png")
    frames = [Image.new("L", (48, 40), level) for level in (0, 255)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "twin.png").write_bytes(good.read_bytes())
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    whole = save("cut.jpg", height=200, width=200).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "notes.txt").write_text("no picture, and never claimed to be")
    (tmp_path / ".DS_Store").write_bytes(b"hidden")
    survey = survey_folder(tmp_path, patch_px=32)
    assert found(survey) == {
        ("small.png", Trouble.TOO_SMALL),
        ("clear.png", Trouble.WRONG_MODE),
        ("moving.gif", Trouble.WRONG_MODE),
        ("twin.png", Trouble.DUPLICATE),
        ("text.jpg", Trouble.UNREADABLE),
        ("empty.png", Trouble.UNREADABLE),
        ("cut.jpg", Trouble.UNREADABLE),
    }
    assert [header.path for header in survey.pictures] == [good]
    assert survey.others == 1


def test_one_picture_can_have_two_problems(save, tmp_path):
    frames = [Image.new("L", (8, 8), level) for level in (0, 255)]
    frames[0].save(tmp_path / "both.gif", save_all=True, append_images=frames[1:])
    survey = survey_folder(tmp_path, patch_px=32)
    assert found(survey) == {("both.gif", Trouble.TOO_SMALL), ("both.gif", Trouble.WRONG_MODE)}


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "I;16"])
def test_gray_palette_ink_deep_and_opaque_pictures_are_good(save, tmp_path, mode):
    save("fine.tif", mode=mode)
    assert not survey_folder(tmp_path, patch_px=32).problems


def test_a_palette_with_a_transparent_colour_is_not(save, tmp_path):
    image = Image.open(save("palette.png", mode="P"))
    image.save(tmp_path / "palette.png", transparency=0)
    assert found(survey_folder(tmp_path, patch_px=32)) == {("palette.png", Trouble.WRONG_MODE)}


def test_a_quick_survey_reads_no_pixels(save, tmp_path):
    whole = save("cut.jpg", height=200, width=200).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    assert not survey_folder(tmp_path, patch_px=32, is_thorough=False).problems


def test_no_such_folder_is_an_error_of_use(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        survey_folder(tmp_path / "nowhere", patch_px=32)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_a_picture_taken_sideways_is_measured_and_read_upright(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right to see it upright
    path = tmp_path / f"sideways.{suffix}"
    Image.new("RGB", (40, 30)).save(path, exif=exif)
    header = read_header(path)
    assert (header.height, header.width) == (40, 30)
    assert read_picture(path).shape == (3, 40, 30)


def test_reading_what_is_no_picture_is_an_image_error(tmp_path):
    path = tmp_path / "text.png"
    path.write_text("text")
    with pytest.raises(ImageError, match="no picture"):
        read_picture(path)


def paired(save, tmp_path, name, *, shift=0, low_name=None):
    """A high picture and its low one, cut `shift` high pixels further down."""
    picture = read_picture(save(f"source/{name}", height=200, width=240))
    high, moved = picture[:, : 192 - 8], picture[:, shift : shift + 192 - 8]
    low = quantize(rescale(moved.unsqueeze(0) / 255, 1 / 4))[0] * 255
    for folder, pixels, file in (("high", high, name), ("low", low, low_name or name)):
        path = tmp_path / folder / file
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.round().byte().permute(1, 2, 0).numpy()).save(path)


def pairs_of(tmp_path):
    return survey_pairs(tmp_path / "low", tmp_path / "high", scale=4, patch_px=64)


def test_pairs_are_matched_by_name_and_by_the_names_of_div2k(save, tmp_path):
    paired(save, tmp_path, "a.png")
    paired(save, tmp_path, "b.png", low_name="bx4.png")
    paired(save, tmp_path, "c.png", low_name="c_x4.webp")
    survey = pairs_of(tmp_path)
    assert not survey.problems
    names = [(pair.low.path.name, pair.high.path.name) for pair in survey.pairs]
    assert names == [("a.png", "a.png"), ("bx4.png", "b.png"), ("c_x4.webp", "c.png")]


def test_a_high_picture_may_have_several_low_ones(save, tmp_path):
    paired(save, tmp_path, "good.png")
    low = Image.open(tmp_path / "low" / "good.png")
    low.save(tmp_path / "low" / "again.webp", quality=60)
    (tmp_path / "high" / "again.png").write_bytes((tmp_path / "high" / "good.png").read_bytes())
    survey = pairs_of(tmp_path)
    assert not survey.problems and len(survey.pairs) == 2


def test_every_problem_of_pairs_is_found_at_once(save, tmp_path):
    paired(save, tmp_path, "good.png")
    paired(save, tmp_path, "shifted.png", shift=8)
    paired(save, tmp_path, "cropped.png")
    high = tmp_path / "high" / "cropped.png"
    Image.open(high).crop((0, 0, 239, 184)).save(high)
    save("low/only-low.png")
    save("high/only-high.png", height=100, width=100)
    survey = pairs_of(tmp_path)
    assert found(survey) == {
        ("shifted.png", Trouble.MISALIGNED),
        ("cropped.png", Trouble.WRONG_SIZE),
        ("only-low.png", Trouble.NO_PARTNER),
        ("only-high.png", Trouble.NO_PARTNER),
    }
    assert [pair.low.path.name for pair in survey.pairs] == ["good.png"]
    assert any("-2.0 px down" in problem.detail for problem in survey.problems)


def test_a_partner_that_is_itself_broken_is_not_called_missing(save, tmp_path):
    paired(save, tmp_path, "a.png")
    (tmp_path / "high" / "a.png").write_text("broken")
    survey = pairs_of(tmp_path)
    assert found(survey) == {("a.png", Trouble.UNREADABLE)}
    assert not survey.pairs


@pytest.mark.parametrize("shift", [(0, 0), (3, -5), (-7, 2)])
def test_a_shift_is_found_to_a_tenth_of_a_pixel(save, shift):
    plane = read_picture(save("a.png", height=200, width=200))[0].float()
    down, right = shift
    moved = plane[20 - down : 180 - down, 20 - right : 180 - right]
    result = find_shift(plane[20:180, 20:180], moved)
    assert (result.down, result.right) == pytest.approx(shift, abs=0.1)
    assert result.confidence > 0.3


def test_half_a_pixel_is_seen(save):
    plane = read_picture(save("a.png", height=400, width=400))[0].float()
    first, second = plane[0:320, 0:320], plane[2:322, 0:320]
    shrunk = [rescale(part, 1 / 4) for part in (first, second)]
    assert find_shift(*shrunk).down == pytest.approx(-0.5, abs=0.15)


def test_there_is_no_confidence_in_flat_or_unrelated_pictures():
    chance = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 128, 128)))
    assert find_shift(chance[0], chance[1]).confidence < 0.1
    assert find_shift(torch.ones(64, 64), torch.ones(64, 64)).confidence == 0
