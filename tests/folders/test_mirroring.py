"""Where each result of a folder goes."""

from pathlib import Path, PureWindowsPath

import pytest
from PIL import Image

from srcli.io.addresses import Remote
from srcli.io.formats import PictureFormat
from srcli.services.folder import Found, WalkRules, survey
from srcli.services.manifest import _roots, read_manifest
from srcli.services.mirror import mirror
from srcli.services.targets import Place, settle

OUT, IN = Path("OUT"), Path("in")


def names(*paths, kind=None, output=OUT, root=IN):
    places = mirror([Found(root / path, root) for path in paths], output, kind)
    return [(place.folder / place.stem).as_posix() for place in places]


@pytest.mark.parametrize(
    ("paths", "kind", "expected"),
    [
        (["a.jpg", "t/b.jpg"], None, ["OUT/a", "OUT/t/b"]),
        (["a.jpg", "a.png"], None, ["OUT/a", "OUT/a"]),  # .jpg and .png differ by themselves
        (["a.jpg", "a.png"], PictureFormat.PNG, ["OUT/a.jpg", "OUT/a.png"]),
        (["a.jpg", "A.jpg"], None, ["OUT/a.jpg", "OUT/A.jpg-2"]),
        (["a.jpg", "t/a.png"], PictureFormat.PNG, ["OUT/a", "OUT/t/a"]),
        (["a.ppm", "a.tga"], None, ["OUT/a.ppm", "OUT/a.tga"]),  # both are written as PNG
        (
            ["a.jpg", "a.png", "a.jpg.gif"],
            PictureFormat.PNG,
            ["OUT/a.jpg", "OUT/a.png"] + ["OUT/a.jpg-2"],
        ),
    ],
)
def test_the_tree_is_mirrored_and_only_names_that_would_collide_change(paths, kind, expected):
    assert names(*paths, kind=kind) == expected


def test_without_an_output_folder_results_lie_beside_their_sources():
    assert names("a.jpg", "t/b.jpg", output=None) == ["in/a", "in/t/b"]


def test_several_input_folders_get_a_folder_each(tmp_path):
    roots = [tmp_path / "x/photos", tmp_path / "y/photos", tmp_path / "z"]
    places = mirror([Found(root / "a.png", root) for root in roots], OUT)
    assert [place.folder for place in places] == [OUT / "photos", OUT / "photos-2", OUT / "z"]


def test_files_of_one_name_from_two_places_stay_apart():
    places = mirror([Found(Path("d1/x.jpg")), Found(Path("d2/x.jpg"))], OUT)
    assert places == [Place(OUT, "x.jpg"), Place(OUT, "x.jpg-2")]


def test_what_a_file_really_is_decides_where_names_are_close(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.png").read_bytes())  # a PNG called .jpg
    found = survey([tmp_path], WalkRules()).found
    assert [place.stem for place in mirror(found, OUT)] == ["a.jpg", "a.png"]


@pytest.mark.parametrize(
    ("target", "source_suffix", "kind", "expected"),
    [
        (Path("x.webp"), ".jpg", None, "x.webp"),
        (Place(OUT, "a"), ".JPEG", None, "OUT/a_x4.JPEG"),
        (Place(OUT, "a"), ".png", None, "OUT/a_x4.jpg"),  # a JPEG called .png
        (Place(OUT, "a"), ".jpg", PictureFormat.TIFF, "OUT/a_x4.tif"),
        (Place(OUT, "stdin"), "", None, "OUT/stdin_x4.jpg"),
    ],
)
def test_the_end_of_a_name_follows_what_is_written(target, source_suffix, kind, expected):
    assert settle(target, source_suffix, kind, "_x4", PictureFormat.JPEG) == Path(expected)


@pytest.mark.parametrize("key", ["bucket//etc/a.png", "bucket/../../etc/a.png"])
def test_no_key_of_a_store_leads_out_of_the_output(key, tmp_path):
    root = Remote("s3", "bucket")
    (place,) = mirror([Found(Remote("s3", key), root)], tmp_path)
    assert ".." not in place.folder.parts and place.folder.is_relative_to(tmp_path)


@pytest.mark.parametrize("lines", ["a.png\n{0}/other/b.png", "a.png\n../other/b.png"])
def test_a_list_may_name_pictures_everywhere_but_no_result_lies_outside(
    tmp_path, monkeypatch, lines
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("list.txt").write_text(lines.format(tmp_path))
    places = mirror(read_manifest(Path("list.txt")), OUT)
    assert [place.folder for place in places] == [OUT / "here", OUT / "other"]


def test_pictures_on_two_drives_have_a_folder_in_common_on_each():
    listed = ["C:/photos/a.png", "C:/photos/trip/b.png", "D:/scans/c.png"]
    roots = _roots(map(PureWindowsPath, listed))  # only Windows has paths of this kind
    assert list(roots) == ["C:", "D:"]
    assert roots["C:"].name == "photos" and roots["D:"].name == "scans"
