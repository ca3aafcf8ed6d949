"""`srcli upscale` as a user types it, with a tiny network: files, exit codes, JSON."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.cli.app import main


@pytest.fixture
def picture(tmp_path):
    # Half contrast, so that nothing overshoots: Pillow clips between the two axes of a resize.
    pixels = np.random.default_rng(0).integers(64, 192, (20, 30, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def srcli(tiny_weights, capsys):
    """Run `srcli upscale ... -m tiny`: the exit code and what was printed."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["upscale", "-m", str(tiny_weights), "-d", "cpu", *map(str, arguments)])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


def test_the_default_output_lies_beside_the_input_and_is_four_times_as_large(srcli, picture):
    code, out, err = srcli(picture)
    assert (code, out) == (0, "")
    assert "cpu fp32" in err and "photo_x4.png" in err
    assert Image.open(picture.with_name("photo_x4.png")).size == (120, 80)


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        (["-s", "3"], (90, 60)),
        (["--outscale", "2.5"], (75, 50)),
        (["-s", "9"], (270, 180)),
        (["-s", "0.5"], (15, 10)),
        (["--width", "100"], (100, 67)),
        (["--long-side", "77"], (77, 51)),
        (["--megapixels", "0.0024"], (60, 40)),
        (["--tta"], (120, 80)),
        (["--seamless"], (120, 80)),
        (["--tile", "8", "--halo", "4"], (120, 80)),
        (["--strength", "0.5"], (120, 80)),
    ],
)
def test_size_and_quality_options_give_the_size_they_promise(srcli, picture, arguments, size):
    code, _, _ = srcli(picture, "-o", picture.with_name("out.png"), *arguments)
    assert code == 0
    assert Image.open(picture.with_name("out.png")).size == size


@pytest.mark.parametrize("kind", ["jpeg", "webp", "tiff", "avif", "bmp", "png"])
def test_every_format_is_written_and_read_back(srcli, picture, kind, tmp_path):
    code, _, _ = srcli(picture, "-f", kind, "-o", f"{tmp_path}/out/")
    (written,) = (tmp_path / "out").iterdir()
    assert code == 0
    assert Image.open(written).format == kind.upper()


def test_heic_without_its_package_is_refused_before_the_work(srcli, picture, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr("srcli.services.upscale.run_job", pytest.fail)
    code, _, err = srcli(picture, "--format", "heic")
    assert code == 1 and "srcli[heic]" in err


def test_an_empty_name_is_not_this_folder(srcli, picture, monkeypatch):
    monkeypatch.chdir(picture.parent)
    code, _, err = srcli("")
    assert (code, list(picture.parent.glob("*_x4*"))) == (2, []) and "no name" in err


def test_an_existing_file_is_kept_unless_told_otherwise(srcli, picture):
    target = picture.with_name("photo_x4.png")
    target.write_bytes(b"precious")
    code, _, err = srcli(picture)
    assert code == 1 and "exists already" in err and "--overwrite" in err
    assert target.read_bytes() == b"precious"
    assert srcli(picture, "--overwrite")[0] == 0
    assert Image.open(target).size == (120, 80)


def test_json_is_one_object_a_line_and_nothing_else(srcli, picture):
    code, out, err = srcli(picture, picture.with_name("missing.png"), "--json", "-s", "2")
    *files, summary = map(json.loads, out.splitlines())
    done, failed = sorted(files, key=lambda file: file["status"])  # they come as they end
    assert (code, err) == (1, "")
    assert (done["status"], done["width"], done["height"], done["scale"]) == ("done", 60, 40, 2)
    assert Path(done["output"]).name == "photo_x2.png"
    assert done["plan"] == "whole image" and done["tiles"] == 1 and done["device"] == "cpu"
    assert failed["status"] == "failed" and failed["error"] and failed["hint"]
    assert done.keys() == failed.keys()
    assert (summary["done"], summary["failed"], summary["exit_code"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("empty.png", b"", id="zero-bytes"),
        pytest.param("text.png", b"this is no picture\n" * 20, id="text-named-png"),
        pytest.param("cut.jpg", None, id="truncated"),
    ],
)
def test_a_bad_only_input_is_two_lines_and_exit_code_4(srcli, picture, name, content, tmp_path):
    bad = tmp_path / name
    if content is None:
        Image.open(picture).resize((300, 300)).save(bad, quality=95)
        content = bad.read_bytes()[:4000]
    bad.write_bytes(content)
    before = sorted(tmp_path.iterdir())
    code, out, err = srcli(bad)
    assert (code, out) == (4, "")
    assert "error:" in err and "hint:" in err and "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "code", "phrase"),
    [
        (["-s", "2", "--width", "50"], 2, "contradict"),
        (["-s", "-1"], 2, "is no size"),
        (["-d", "cuda:99"], 2, "cannot be used"),
        (["-d", "toaster"], 2, "is no device"),
        (["-o", "x.docx"], 2, "no kind of picture"),
        (["-o", "x.png", "-f", "jpeg"], 2, "no name for a JPEG"),
        (["--blend", "nonsense"], 2, "not understood"),
    ],
)
def test_options_that_cannot_be_end_in_a_usage_error(srcli, picture, arguments, code, phrase):
    got, _, err = srcli(picture, *arguments)
    assert (got, phrase in err) == (code, True)


def test_a_missing_input_is_named_before_weights_are_fetched(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["upscale", str(tmp_path / "no.png"), "-m", "hf://nobody/nothing/none.pth"])
    assert ended.value.code == 4
    assert "does not exist" in capsys.readouterr().err


def test_a_blend_of_a_network_with_itself_is_the_network(srcli, picture, tiny_weights):
    srcli(picture)
    srcli(picture, "-o", picture.with_name("mix.png"), "--blend", f"{tiny_weights}=0.3")
    plain, mixed = (
        np.asarray(Image.open(picture.with_name(n))) for n in ("photo_x4.png", "mix.png")
    )
    assert np.abs(plain.astype(int) - mixed).max() <= 1


def test_strength_0_is_a_plain_lanczos_enlargement(srcli, picture):
    srcli(picture, "--strength", "0", "--color-fix", "off")
    got = np.asarray(Image.open(picture.with_name("photo_x4.png"))).astype(int)
    plain = np.asarray(Image.open(picture).resize((120, 80), Image.Resampling.LANCZOS))
    assert np.abs(got - plain)[16:-16, 16:-16].max() <= 1  # borders differ


def test_tiles_make_no_visible_difference(srcli, picture):
    srcli(picture, "--color-fix", "off")
    srcli(picture, "-o", picture.with_name("tiles.png"), "-t", "8", "--color-fix", "off")
    a, b = (np.asarray(Image.open(picture.with_name(n))) for n in ("photo_x4.png", "tiles.png"))
    assert np.abs(a.astype(int) - b).max() <= 1


def test_the_command_line_answers_without_torch():
    import subprocess
    import sys

    probe = "import sys, srcli, srcli.cli.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_compare_makes_a_page_beside_the_result(srcli, picture):
    code, _, err = srcli(picture, "--compare")
    page = picture.with_name("photo_x4.html")
    assert code == 0 and str(page) in err
    assert "photo_x4.png" in page.read_text("utf-8")
