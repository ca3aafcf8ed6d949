"""`srcli compare` as a user types it: pages, sheets, folders, exit codes."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from srcli.cli.app import main
from srcli.services.compare import compare_upscaled


@pytest.fixture
def srcli(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["compare", *map(str, arguments)])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


@pytest.fixture
def picture(tmp_path):
    """Save a picture of that size, the same noise for the same size."""

    def save(name, width=64, height=48, offset=0, **options):
        levels = np.random.default_rng(0).integers(0, 200, (height, width, 3), dtype=np.uint8)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels + np.uint8(offset)).save(path, **options)
        return path

    return save


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text()).group(1))


def test_two_pictures_make_a_page_in_the_working_folder(srcli, picture, tmp_path):
    code, out, err = srcli(picture("a.png"), picture("b.png", offset=2))
    assert (code, out.strip()) == (0, "compare.html")
    assert "mean difference 2.000 levels of 255, largest 2" in err
    (pair,) = data_of(tmp_path / "compare.html")["pairs"]
    assert (pair["mean"], pair["largest"], pair["changed"]) == (2, 2, 1)


def test_the_page_asks_nothing_of_the_network(srcli, picture, tmp_path):
    srcli(picture("a.png"), picture("b.png", offset=2))
    page = (tmp_path / "compare.html").read_text()
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert addresses and all(address.startswith("data:") for address in addresses)
    assert "default-src 'none'" in page and "url(" not in page


def test_names_cannot_break_out_of_the_page(srcli, picture, tmp_path):
    label = '"><script>alert(1)</script>&'
    srcli(picture("a.png"), picture("b.png"), "--label", label, "--label", "plain")
    page = (tmp_path / "compare.html").read_text()
    assert "<script>alert" not in page
    assert data_of(tmp_path / "compare.html")["pictures"][0]["label"] == label


def test_pictures_of_folders_have_a_page_each_whatever_they_are_called(srcli, picture, tmp_path):
    for place in ("one", "two"):
        for name in ("a/b.png", "a__b.png"):
            picture(f"{place}/{name}")
    assert srcli(tmp_path / "one", tmp_path / "two")[0] == 0
    pages = sorted(page.name for page in (tmp_path / "compare/pages").iterdir())
    assert pages == ["a__b-2.html", "a__b.html"]


def test_an_input_and_what_was_made_of_it_are_brought_to_one_size(srcli, picture, tmp_path):
    small, large = picture("low.png", 16, 12), picture("high.png", 64, 48)
    code, _, err = srcli(small, large)
    assert code == 0 and "16 x 12 px and is shown ×4 by nearest" in err
    data = data_of(tmp_path / "compare.html")
    assert (data["width"], data["height"]) == (64, 48)


def test_a_factor_that_is_not_whole_is_told(srcli, picture):
    _, _, err = srcli(picture("low.png", 20, 15), picture("high.png", 64, 48))
    assert "×3.2" in err and "do not line up" in err


def test_pictures_of_two_shapes_are_refused(srcli, picture, tmp_path):
    code, _, err = srcli(picture("wide.png", 64, 48), picture("high.png", 48, 64))
    assert code == 4 and "not of one shape" in err
    assert not (tmp_path / "compare.html").exists()


def test_a_large_picture_is_shrunk_on_the_page_but_measured_whole(srcli, picture, tmp_path):
    pictures = picture("a.png", 200, 100), picture("b.png", 200, 100, offset=3)
    code, _, err = srcli(*pictures, "--limit", "0.01")
    data = data_of(tmp_path / "compare.html")
    assert code == 0 and "shown at 1/2 of 200 x 100 px" in err
    assert (data["width"], data["height"], data["pairs"][0]["largest"]) == (100, 50, 3)


def test_a_part_is_shown_as_it_is(srcli, picture, tmp_path):
    srcli(picture("a.png"), picture("b.png", 16, 12), "--part", "8,4,20,16")
    data = data_of(tmp_path / "compare.html")
    assert [data[key] for key in ("left", "top", "width", "height")] == [8, 4, 20, 16]


def test_a_sheet_alone_makes_no_page(srcli, picture, tmp_path):
    code, out, _ = srcli(
        picture("a.png"), picture("b.png"), "--sheet", "s.png", "--crop", "0,0,20,20"
    )
    assert (code, out.strip()) == (0, "s.png")
    assert Image.open(tmp_path / "s.png").width > 600
    assert not (tmp_path / "compare.html").exists()


def test_folders_make_an_index_of_pages_that_know_each_other(srcli, picture, tmp_path):
    for name in ("a", "b/c", "d"):
        picture(f"one/{name}.png")
        picture(f"two/{name}_x4.png", offset=1)
    code, out, _ = srcli("one", "two")
    index = (tmp_path / "compare" / "index.html").read_text()
    links = re.findall(r'<a href="([^"]*)"', index)
    assert (code, out.strip()) == (0, "compare/index.html")
    assert links == ["pages/a.html", "pages/b__c.html", "pages/d.html"]
    middle = (tmp_path / "compare" / links[1]).read_text()
    assert re.findall(r'<a rel="\w+" href="([^"]*)"', middle) == [
        "../index.html",
        "a.html",
        "d.html",
    ]


def test_a_bad_picture_in_a_folder_is_named_and_the_rest_is_compared(srcli, picture, tmp_path):
    for name in ("a", "b", "c", "lonely"):
        picture(f"one/{name}.png")
    for name in ("a", "b", "c"):
        picture(f"two/{name}.png")
    (tmp_path / "two" / "b.png").write_bytes(b"no picture")
    code, _, err = srcli("one", "two", "-o", "out")
    first = (tmp_path / "out" / "pages" / "a.html").read_text()
    assert code == 1 and "b.png" in err and "lonely.png has no partner" in err
    assert 'rel="next" href="c.html"' in first  # past the one that is not there


def test_json_is_a_line_for_each_set_and_a_summary(srcli, picture):
    code, out, err = srcli(picture("a.png"), picture("b.png", offset=2), "--json")
    record, summary = map(json.loads, out.splitlines())
    assert (code, err, record["page"], summary["exit_code"]) == (0, "", "compare.html", 0)
    assert record["pairs"][0]["mean"] == 2


def test_transparency_and_pages_are_told(srcli, picture, tmp_path):
    frames = [Image.new("RGBA", (64, 48), (n, 0, 0, 128)) for n in (1, 99)]
    frames[0].save(tmp_path / "two.tif", save_all=True, append_images=frames[1:])
    _, _, err = srcli(picture("a.png"), tmp_path / "two.tif")
    assert "first of 2 pages" in err and "transparency is left out" in err


def test_pictures_of_one_name_are_labelled_by_their_folders(srcli, picture, tmp_path):
    srcli(picture("one/a.png"), picture("two/a.png"))
    labels = [each["label"] for each in data_of(tmp_path / "compare.html")["pictures"]]
    assert labels == ["one/a.png", "two/a.png"]


@pytest.mark.parametrize(
    ("arguments", "code", "phrase"),
    [
        (["a.png"], 2, "cannot be compared"),
        (["a.png", "missing.png"], 4, "does not exist"),
        (["a.png", "b.png", "--crop", "0,0,9,9"], 2, "add --sheet FILE"),
        (["a.png", "a.png", "--sheet", "s.png", "--crop", "1,2,3"], 2, "X,Y,WIDTH,HEIGHT"),
        (["a.png", "b.png", "--part", "60,0,20,20"], 2, "no part of 64 x 48"),
        (["a.png", "b.png", "--sheet", "s.png", "--crop", "0,0,0,9"], 2, "no part"),
        (["a.png", "b.png", "--label", "one"], 2, "1 labels for 2"),
        (["a.png", "b.png", "-o", "b.png"], 1, "an input itself"),
        (["a.png", "b.png", "-o", "old.html"], 1, "exists already"),
        (["a.png", "b.png", "-o", "no/such/page.html"], 1, "folder does not exist"),
        ([".", ".", "--sheet", "s.png"], 2, "not folders"),
    ],
)
def test_what_cannot_be_is_told_with_a_remedy(srcli, picture, tmp_path, arguments, code, phrase):
    picture("a.png"), picture("b.png")
    (tmp_path / "old.html").touch()
    got, _, err = srcli(*arguments)
    assert (got, phrase in err) == (code, True)


def test_what_was_upscaled_gets_its_page_beside_it(picture, tmp_path):
    result = compare_upscaled(picture("a.png", 16, 12), picture("a_x4.png", 64, 48))
    assert result.page == tmp_path / "a_x4.html"
    assert [each["label"] for each in data_of(result.page)["pictures"]] == ["a.png", "a_x4.png"]
