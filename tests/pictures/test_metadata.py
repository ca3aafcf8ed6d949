"""EXIF, XMP, IPTC and comments: copied, and made true for the upright, enlarged picture."""

import io
import json
import shutil
import subprocess
import zlib

import numpy as np
import pytest
import tifffile
from picture_tools import encoded, enlarge, noise, smooth
from PIL import Image, ImageOps, IptcImagePlugin, PngImagePlugin
from png_files import RGB, png

from srcli.io.exif import Exif, corrected_xmp, iptc_records, photoshop_block, read_exif
from srcli.io.formats import PictureFormat
from srcli.io.pictures import open_picture
from srcli.io.tiff import Entry, TiffError

KINDS = ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"]
CAMERA, PLACE = 0x8769, 0x8825


def photograph(orientation=6):
    """A JPEG with the tags of a camera and a thumbnail."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x0131], exif[0x8298] = "Maker", orientation, "Camera 1", "me"
    exif.get_ifd(CAMERA).update({0xA002: 50, 0xA003: 40, 0x9003: "2020:01:02 03:04:05"})
    exif.get_ifd(PLACE).update({1: "N", 2: (48.0, 30.0, 0.0)})
    return encoded(smooth(40, 50), "JPEG", exif=exif, dpi=(300, 300), comment="a comment")


def written(data, kind="JPEG", **options):
    target = io.BytesIO()
    enlarge(data, target, scale=2, format=PictureFormat(kind.lower()), **options)
    return target.getvalue()


def opened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("kind", KINDS)
def test_the_tags_of_the_camera_stay_and_the_others_become_true(kind):
    image = opened(written(photograph(), kind, software="srcli 1"))
    exif = image.getexif()
    assert image.size == (80, 100)
    assert (exif[0x010F], exif[0x8298], exif[0x0131]) == ("Maker", "me", "srcli 1")
    assert exif.get(0x0112, 1) == 1
    camera = exif.get_ifd(CAMERA)
    assert (camera[0xA002], camera[0xA003], camera[0x9003]) == (80, 100, "2020:01:02 03:04:05")
    assert exif.get_ifd(PLACE)[2] == (48.0, 30.0, 0.0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("held_bytes", [0, 1 << 26])
def test_every_orientation_is_applied_once(orientation, held_bytes, monkeypatch):
    monkeypatch.setattr("srcli.io.pictures._HELD_BYTES", held_bytes)
    data = photograph(orientation)
    upright = np.asarray(ImageOps.exif_transpose(opened(data)))
    page = open_picture(data).page(0)
    assert (page.height, page.width) == upright.shape[:2]
    rows = np.concatenate([page.read_rows(y, y + 10) for y in range(0, page.height, 10)])
    np.testing.assert_array_equal(np.rint(rows * 255), upright)


@pytest.mark.parametrize("source", KINDS)
def test_exif_goes_from_every_kind_to_every_other(source):
    exif = opened(photograph(1)).getexif()
    data = written(encoded(smooth(40, 50), source, exif=exif), source)
    for kind in KINDS:
        assert opened(written(data, kind)).getexif()[0x8298] == "me"


def test_tags_of_the_main_directory_of_a_tiff_stay():
    buffer = io.BytesIO()
    tags = [(315, 2, 0, "An Artist", True), (306, 2, 0, "2020:01:02 03:04:05", True)]
    tifffile.imwrite(buffer, smooth(40, 50), photometric="rgb", extratags=tags, resolution=(99, 99))
    exif = opened(written(buffer.getvalue(), "TIFF")).getexif()
    assert (exif[315], exif[306]) == ("An Artist", "2020:01:02 03:04:05")
    assert opened(written(buffer.getvalue(), "JPEG")).getexif()[315] == "An Artist"


def test_the_note_of_tifffile_about_the_shape_is_dropped(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(40, 50, 3), photometric="rgb")
    enlarge(tmp_path / "a.tif", tmp_path / "b.tif", scale=2)
    assert tifffile.imread(tmp_path / "b.tif").shape == (80, 100, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_no_metadata_leaves_nothing_but_the_pixels(kind):
    image = opened(written(photograph(), kind, metadata=False))
    assert 0x010F not in image.getexif()
    assert image.info.get("comment") is None
    assert image.size == (80, 100)


def test_comments_stay():
    assert opened(written(photograph())).info["comment"] == b"a comment"
    assert opened(written(photograph(), "PNG")).info["Comment"] == "a comment"


def test_the_comment_of_a_program_does_not_replace_the_description_of_a_photographer():
    exif = Image.Exif()
    exif[0x010E] = "Sunset at Mt. Fuji"
    pixels, options = Image.fromarray(smooth(40, 50)), {"comment": b"made by a program"}
    for block, expected in ((exif.tobytes(), "Sunset at Mt. Fuji"), (b"", "made by a program")):
        data = encoded(pixels, "JPEG", exif=block, **options)
        assert opened(written(data, "TIFF")).tag_v2[0x010E] == expected


def described(*texts):
    """A picture with texts, each (keyword, text) or more, as Pillow takes them."""
    info = PngImagePlugin.PngInfo()
    for keyword, text, *more in texts:
        (info.add_itxt if more and more[0] == "iTXt" else info.add_text)(
            keyword, text, zip="zip" in more
        )
    return encoded(smooth(40, 50), "PNG", pnginfo=info)


TEXTS = {
    "Comment": "caf\xe9 \xa9",
    "Creation Time": "f\xe9vrier",
    "Cl\xe9": "a key beyond ASCII",
    "Title": "na\xefve \u56fe\u7247",
    "Zipped": "\xe9" * 500,
}


def test_texts_of_a_png_stay_as_they_are_in_every_kind_of_chunk():
    ways = {"Title": ["iTXt", "zip"], "Zipped": ["zip"]}
    data = described(*((keyword, text, *ways.get(keyword, [])) for keyword, text in TEXTS.items()))
    assert opened(written(data, "PNG")).text == TEXTS
    assert opened(written(written(data, "PNG"), "PNG")).text == TEXTS


def test_texts_behind_the_pixels_and_beside_frames_stay():
    still = described(("Author", "J\xf6rg"))
    end = still.index(b"IEND") - 4
    place = still.index(b"tEXt") - 4
    size = 12 + int.from_bytes(still[place : place + 4], "big")
    moved = still[:place] + still[place + size : end] + still[place : place + size] + still[end:]
    assert opened(written(moved, "PNG")).text == {"Author": "J\xf6rg"}
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "J\xf6rg")
    frames = [Image.fromarray(pixels) for pixels in noise(2, 9, 9, 3)]
    moving = encoded(
        frames[0], "PNG", save_all=True, append_images=frames[1:], pnginfo=info, duration=40
    )
    result = opened(written(moving, "PNG"))
    assert (result.n_frames, result.text) == (2, {"Author": "J\xf6rg"})


def test_a_comment_that_is_not_latin_is_one_in_a_png_and_comes_back():
    jpeg = encoded(smooth(40, 50), "JPEG", comment="\u56fe \xe9".encode())
    result = written(jpeg, "PNG")
    assert opened(result).text == {"Comment": "\u56fe \xe9"}
    assert opened(written(result, "JPEG")).info["comment"] == "Comment: \u56fe \xe9".encode()


def test_texts_that_are_bombs_or_damaged_are_left_out():
    bomb = b"Bomb\0\0" + zlib.compress(bytes(32 << 20))
    extra = ((b"zTXt", bomb), (b"zTXt", b"Cut\0\0" + zlib.compress(b"text")[:6]), (b"tEXt", b"\0x"))
    data = png(smooth(40, 50), RGB, 8, extra=(*extra, (b"tEXt", b"Good\0text")))
    assert open_picture(data).metadata.comments == (("Good", "text"),)


@pytest.mark.parametrize("cut", [0, 3, 7, 9, 20, 40, 60])
def test_damaged_exif_is_left_out_and_the_picture_written(cut):
    exif = Exif(main={0x010F: Entry.text(0x010F, "Maker" * 9)}).to_bytes()
    data = encoded(smooth(40, 50), "PNG", exif=exif[6 : 6 + cut])
    assert opened(written(data, "PNG")).size == (100, 80)


@pytest.mark.parametrize("cut", range(14))
def test_exif_without_a_header_or_directory_is_refused(cut):
    with pytest.raises(TiffError):
        read_exif(b"Exif\0\0" + b"MM\0*\0\0\0\x08\0\x01\x01\x0f\0\x02"[:cut])


def test_exif_of_either_byte_order_reads_alike():
    little = Exif(main={0x0112: Entry.numbers(0x0112, 3, [6])}).to_bytes()
    big = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    assert read_exif(big).main == read_exif(little).main


def test_xmp_is_made_true():
    packet = (
        b"<r tiff:Orientation=\"6\" exif:PixelXDimension = '50'>"
        b"<tiff:ImageWidth>50</tiff:ImageWidth><xmp:Thumbnails>old</xmp:Thumbnails><dc:title>mine</dc:title></r>"
    )
    true = corrected_xmp(packet, 100, 80)
    assert b'tiff:Orientation="1"' in true
    assert b"exif:PixelXDimension = '80'" in true
    assert b"<tiff:ImageWidth>80</tiff:ImageWidth>" in true
    assert b"Thumbnails" not in true
    assert b"mine" in true


def test_iptc_goes_into_a_photoshop_block_and_out_again():
    records = b"\x1c\x02\x78\x00\x03cap"
    assert iptc_records(photoshop_block(records)) == records
    assert iptc_records(records) == records
    assert iptc_records(b"Photoshop 3.0\x00") is None


def test_iptc_goes_from_jpeg_to_tiff_and_back():
    block = photoshop_block(b"\x1c\x02\x78\x00\x07caption")
    plain = encoded(smooth(40, 50), "JPEG")
    segment = b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block
    tiff = written(plain[:2] + segment + plain[2:], "TIFF")
    for data in (tiff, written(tiff, "JPEG")):
        info = IptcImagePlugin.getiptcinfo(opened(data))
        assert info is not None
        assert info[(2, 120)] == b"caption"


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize("kind", KINDS)
def test_exiftool_reads_the_same_tags_as_before(kind, tmp_path):
    source, target = tmp_path / "in.jpg", tmp_path / f"out.{kind.lower()}"
    source.write_bytes(encoded(smooth(40, 50), "JPEG"))
    tags = {"Make": "Maker", "LensModel": "50mm", "UserComment": "Grüße", "GPSLatitude": "48.5"}
    tags |= {"GPSLatitudeRef": "N", "XMP:Title": "A title", "Artist": "Ünï", "OffsetTime": "+02:00"}
    options = [f"-{name}={value}" for name, value in tags.items()]
    subprocess.run(["exiftool", "-q", "-overwrite_original", *options, source], check=True)
    subprocess.run(["exiftool", "-q", "-overwrite_original", f"-ThumbnailImage<={source}", source])
    enlarge(source, target, scale=2)
    before, after = (exiftool(path) for path in (source, target))
    names = ("Make", "LensModel", "UserComment", "GPSLatitude", "Title", "Artist", "OffsetTime")
    assert {name: after.get(name) for name in names} == {name: before[name] for name in names}
    assert "ThumbnailImage" in before
    assert "ThumbnailImage" not in after
    assert "[minor]" in after.get("Warning", "[minor]")  # libvips prefixes EXIF in a WebP


def exiftool(path):
    done = subprocess.run(
        ["exiftool", "-j", "-n", path], capture_output=True, check=True, text=True
    )
    return json.loads(done.stdout)[0]
