"""What cannot be read or written: one clear error with a hint, and never half a file."""

import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from picture_tools import encoded, enlarge, noise, smooth
from PIL import Image
from png_files import RGB, SIGNATURE, chunk, png

from srcli.errors import DiskFullError, ImageError, OutOfMemoryError, OutputError
from srcli.io.foreign import heif_module
from srcli.io.formats import PictureFormat, check_target
from srcli.io.pictures import open_picture

WHOLE = {
    kind: encoded(noise(200, 200, 3), kind)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF", "GIF", "BMP")
}


PIXELS = noise(300, 300, 3)


def tiff(**options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, PIXELS, photometric="rgb", **options)
    return buffer.getvalue()


def read_all(source):
    page = open_picture(source).page(0)
    for top in range(0, page.height, 16):
        page.read_rows(top, min(top + 16, page.height))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("kind", WHOLE)
def test_a_picture_cut_off_is_an_error(kind, part):
    with pytest.raises(ImageError, match="the input") as caught:
        read_all(WHOLE[kind][: int(len(WHOLE[kind]) * part)])
    assert "\n" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tiled_tiff_cut_off_is_an_error(compression):
    whole = tiff(tile=(64, 64), compression=compression)
    with pytest.raises(ImageError):
        read_all(whole[: len(whole) // 2])


@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_a_tiff_with_damaged_pixels_is_an_error(tile):
    whole = tiff(tile=tile, compression="zlib")
    middle = len(whole) // 2
    with pytest.raises(ImageError):
        read_all(whole[:middle] + bytes(200) + whole[middle + 200 :])


@pytest.mark.parametrize(("mode", "compression"), [("1", "group3"), ("RGB", "jpeg")])
def test_a_tiff_whose_damage_libtiff_only_warns_of_is_an_error_too(mode, compression):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(buffer, "TIFF", compression=compression)
    whole = buffer.getvalue()
    read_all(whole)
    with Image.open(buffer) as image:
        start, size = image.tag_v2[273][0], image.tag_v2[279][0]
    middle = start + size // 2
    with pytest.raises(ImageError):
        read_all(whole[:middle] + bytes([77] * 9) + whole[middle + 9 :])


def test_a_tiff_whose_fields_repeat_is_read():
    # tifffile writes the shape as a second description, which libtiff remarks on.
    file = tiff(description="a scan", software="scanner")
    with tifffile.TiffFile(io.BytesIO(file)) as opened:
        assert [tag.code for tag in opened.pages[0].tags].count(270) == 2
    rows = open_picture(file).page(0).read_rows(0, 300)
    np.testing.assert_allclose(rows * 255, PIXELS, atol=1e-3)


def test_a_picture_cut_off_leaves_no_output(tmp_path):
    with pytest.raises(ImageError):
        enlarge(WHOLE["PNG"][:5000], tmp_path / "out.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "is empty"), (b"only text\n" * 20, "is no picture"), (bytes(1000), "is no picture")],
)
def test_what_is_no_picture_is_named(tmp_path, data, words):
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=words) as caught:
        open_picture(path)
    assert str(path) in str(caught.value)


def test_a_folder_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(ImageError, match="is a folder"):
        open_picture(tmp_path)
    with pytest.raises(ImageError, match="does not exist"):
        open_picture(tmp_path / "none.jpg")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(WHOLE["PNG"])
    path.chmod(0)
    with pytest.raises(ImageError, match="cannot be opened"):
        open_picture(path)


def claiming(width, height, data=WHOLE["PNG"]):
    start = data.index(b"IHDR")
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + data[start + 12 : start + 17]
    return data[: start - 4] + chunk(b"IHDR", header) + data[start + 21 :]


def test_more_pixels_than_the_limit_are_refused_before_decoding():
    with pytest.raises(ImageError, match="more than the limit of 2 gigapixels"):
        open_picture(claiming(60_000, 60_000))
    with pytest.raises(ImageError, match="limit of 1e-05 gigapixels"):
        open_picture(WHOLE["JPEG"], pixel_limit=10_000)


@pytest.mark.parametrize("side", [7000, 40_000])
def test_a_header_that_its_bytes_cannot_fill_is_refused(side):
    assert side**2 * 3 > len(WHOLE["PNG"]) * 1032  # the most that deflate makes of them
    with pytest.raises(ImageError, match="which no PNG can hold"):
        open_picture(claiming(side, side))


def test_the_header_of_an_animated_png_is_held_to_its_bytes_too():
    frames = {"save_all": True, "append_images": [Image.fromarray(noise(9, 8, 3)[::-1])]}
    animated = encoded(noise(9, 8, 3), "PNG", **frames)
    assert open_picture(animated).pages == 2
    with pytest.raises(ImageError, match="which no PNG can hold"):
        open_picture(claiming(3000, 3000, animated))


def test_a_large_plain_png_is_no_bomb():
    assert open_picture(png(np.zeros((3000, 3000, 1), np.uint8), 0, 1)).width == 3000


def test_frames_count_against_the_limit():
    frames = [WHOLE["GIF"]]
    animated = encoded_animation(frames * 4)
    with pytest.raises(ImageError, match="limit"):
        open_picture(animated, pixel_limit=4 * 200 * 200 - 1)


def encoded_animation(frames):
    pictures = [Image.fromarray(np.roll(noise(200, 200, 3), i, 0)) for i in range(len(frames))]
    return encoded(pictures[0], "GIF", save_all=True, append_images=pictures[1:])


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.int8])
def test_samples_that_are_no_pictures_are_refused(dtype):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((9, 8), dtype), photometric="minisblack")
    with pytest.raises(ImageError, match=r"samples|cannot be read"):
        read_all(buffer.getvalue())


LIMITS = [
    ("jpeg", (65_536, 10), "--format png"),
    ("webp", (10, 16_384), "--format png or --format tiff or --format jpeg"),
    ("avif", (16_385, 10), "--format png"),
    ("gif", (65_536, 10), "--format png"),
    ("bmp", (60_000, 60_000), "--format png"),
]


@pytest.mark.parametrize(("kind", "size", "hint"), LIMITS)
def test_what_a_format_cannot_hold_is_refused_with_one_that_can(kind, size, hint):
    with pytest.raises(OutputError, match="too large") as caught:
        check_target(PictureFormat(kind), size, "uint8", has_alpha=False, pages=1)
    assert hint in caught.value.hint


@pytest.mark.parametrize("kind", list(PictureFormat))
def test_ordinary_pictures_fit_everywhere(kind):
    assert check_target(kind, (1000, 1000), "uint8", has_alpha=False, pages=1) == ()


@pytest.mark.parametrize(
    ("kind", "dtype", "has_alpha", "pages", "words"),
    [
        ("jpeg", "uint16", False, 1, "written with uint8"),
        ("png", "float32", False, 1, "written with uint16"),
        ("jpeg", "uint8", True, 1, "laid on white"),
        ("avif", "uint8", False, 3, "only the first of 3"),
    ],
)
def test_what_is_lost_is_noted(kind, dtype, has_alpha, pages, words):
    notes = check_target(PictureFormat(kind), (9, 9), dtype, has_alpha=has_alpha, pages=pages)
    assert words in notes[0]


def test_a_target_that_refuses_leaves_nothing(tmp_path):
    with pytest.raises(OutputError, match="folder does not exist"):
        enlarge(WHOLE["PNG"], tmp_path / "none" / "out.png")


def test_a_failure_while_encoding_leaves_the_old_file(tmp_path):
    target = tmp_path / "out.png"
    target.write_bytes(b"old")

    def failing(rows):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        enlarge(WHOLE["PNG"], target, network=failing)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_as_such(monkeypatch, tmp_path):

    def save(pages, path, kind, options):
        pages[0].pngsave("/dev/full")

    monkeypatch.setattr("srcli.io.encode.save", save)
    with pytest.raises(DiskFullError, match="no space left"):
        enlarge(encoded(noise(2000, 300, 3), "PNG"), tmp_path / "out.png")
    assert not list(tmp_path.iterdir())


def test_without_libvips_the_error_says_how_to_get_it(tmp_path):
    (tmp_path / "pyvips.py").write_text("raise OSError('libvips.so.42: not found')")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import srcli\n"
        "from srcli.errors import SrcliError\n"
        "try:\n    import srcli.io.pictures\n"
        "except SrcliError as error:\n    print(error, '|', error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert "libvips" in done.stdout
    assert "pip install" in done.stdout


def test_heic_without_its_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError) as caught:
        open_picture(b"\0\0\0\x1cftypheic" + bytes(100))
    assert "srcli[heic]" in caught.value.hint


def test_names_with_brackets_and_other_scripts_are_plain_names(tmp_path):
    source, target = tmp_path / "снимок [1].png", tmp_path / "結果[Q=1].png"
    source.write_bytes(encoded(smooth(20, 30), "PNG"))
    enlarge(source, target)
    assert open_picture(target).width == 30
    assert target.read_bytes()[:8] == SIGNATURE


SHORT_OF_SPACE = """
import resource, sys
from pathlib import Path
from PIL import Image
from srcli.errors import DiskFullError
from srcli.io.files import replacing
from srcli.io.foreign_save import save_whole
noise = Image.effect_noise((90, 40), 80).convert("RGB")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    with replacing(Path(sys.argv[1])) as partial:
        save_whole(noise, partial)
except DiskFullError:
    sys.exit(5)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="files have no limits there")
@pytest.mark.parametrize("name", ["a.bmp", "a.jpg", "a.png"])
def test_a_picture_of_pillow_that_a_full_disk_cuts_short_is_no_picture(tmp_path, name):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    # -B: files of bytecode would be cut short, too.
    command = [sys.executable, "-B", "-c", SHORT_OF_SPACE, tmp_path / name]
    assert subprocess.run(command, env=environment, check=False).returncode == 5
    assert not list(tmp_path.iterdir())


WHOLE_KINDS = ("JPEG", "GIF", "WEBP", "AVIF", "BMP", "TGA")


@pytest.mark.parametrize("kind", WHOLE_KINDS)
def test_a_picture_that_is_decoded_whole_is_refused_where_that_takes_more_than_is_free(
    kind, monkeypatch
):
    options = {"progressive": True} if kind == "JPEG" else {}
    data = encoded(noise(200, 200, 3), kind, **options)
    assert open_picture(data).decoder_bytes >= 200 * 200 * 4
    leave_free(monkeypatch, 1000)
    with pytest.raises(OutOfMemoryError, match="to be decoded, and 0.0 GB are free"):
        open_picture(data)


def leave_free(monkeypatch, nbytes):
    monkeypatch.setattr("srcli.io.decoded._NEVER_MUCH", 0)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=nbytes))


@pytest.mark.parametrize(("mode", "pixel_bytes"), [("RGB", 10), ("RGB;16", 22)])
def test_a_heic_is_refused_before_it_is_decoded_where_that_takes_more_than_is_free(
    mode, pixel_bytes, monkeypatch
):
    samples = noise(200, 200, 3).astype(np.uint16 if ";" in mode else np.uint8)
    buffer = io.BytesIO()
    heif_module().from_bytes(mode, (200, 200), samples.tobytes()).save(buffer)
    assert open_picture(buffer.getvalue()).decoder_bytes == 200 * 200 * pixel_bytes
    leave_free(monkeypatch, 200 * 200 * pixel_bytes - 1)
    monkeypatch.setattr("pillow_heif.HeifImage.load", pytest.fail)
    with pytest.raises(OutOfMemoryError, match="to be decoded, and 0.0 GB are free"):
        open_picture(buffer.getvalue())


def test_an_interlaced_png_is_decoded_whole():
    assert open_picture(png(noise(20, 30, 3), RGB, 8, interlaced=True)).decoder_bytes == 1800


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_picture_that_is_read_by_rows_needs_no_memory_for_the_whole(kind):
    assert open_picture(encoded(noise(200, 200, 3), kind)).decoder_bytes == 0


@pytest.mark.parametrize("marker", [0xE1, 0xE5, 0xFE])
def test_a_jpeg_of_nothing_but_segments_is_refused_before_memory_is_taken_for_them(marker):
    whole = encoded(smooth(20, 30), "JPEG")
    segments = bytes([0xFF, marker, 0, 2])
    with pytest.raises(ImageError, match="over 100,000 segments"):
        open_picture(whole[:2] + segments * 100_001 + whole[2:])
    assert open_picture(whole[:2] + segments * 1000 + whole[2:]).width == 30
