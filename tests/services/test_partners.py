"""Partners by name: folders as other programs leave them."""

import pytest

from srcli.errors import ImageError, UsageError
from srcli.services.partners import match


@pytest.fixture
def folders(tmp_path):
    def make(**contents):
        for folder, names in contents.items():
            for name in names:
                path = tmp_path / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        return [tmp_path / folder for folder in contents]

    return make


@pytest.mark.parametrize(
    "restored",
    ["baby.png", "baby.jpg", "baby_x4.png", "baby-x2.5.png", "baby_bicubic.png", "baby_x4_SR.webp"],
)
def test_a_partner_may_be_called_a_little_differently(folders, restored):
    target, other = folders(target=["baby.png", "bird.png"], other=[restored])
    ((name, files),) = match(target, other).rows
    assert (name, files) == ("baby", (target / "baby.png", other / restored))


def test_the_exact_name_wins_over_a_longer_one(folders):
    places = folders(target=["a.png", "a_x4.png"], other=["a_x4.png", "a.png"])
    names = [[file.name for file in files] for _, files in match(*places).rows]
    assert names == [["a.png", "a.png"], ["a_x4.png", "a_x4.png"]]


def test_two_possible_partners_are_none(folders):
    target, other = folders(target=["a.png", "b.png"], other=["a_one.png", "a_two.png", "b.png"])
    partners = match(target, other)
    assert [name for name, _ in partners.rows] == ["b"]
    assert {path.name for path in partners.lonely} == {"a.png", "a_one.png", "a_two.png"}


def test_folders_inside_folders_are_part_of_the_name(folders):
    places = folders(target=["x/a.png", "y/a.png"], other=["y/a_x4.png", "x/a_x4.png"])
    assert [name for name, _ in match(*places).rows] == ["x/a", "y/a"]


def test_two_files_are_partners_whatever_they_are_called(folders):
    one, two = folders(one=["a.png"], two=["z.jpg"])
    assert match(one / "a.png", two / "z.jpg").rows == (("a", (one / "a.png", two / "z.jpg")),)


def test_nothing_in_common_names_what_each_place_has(folders):
    places = folders(target=["a.png"], other=["z.png"])
    with pytest.raises(UsageError, match=r"target has a\.png; .*other has z\.png"):
        match(*places)


@pytest.mark.parametrize(
    ("names", "error", "phrase"),
    [
        ([], ImageError, "does not exist"),
        (["notes.txt"], UsageError, "no picture in it"),
        (["a.png", "a.jpg"], UsageError, "have one name"),
    ],
)
def test_a_place_that_cannot_be_used_says_why(folders, names, error, phrase):
    (target,) = folders(target=["a.png"])
    folders(other=names)
    with pytest.raises(error, match=phrase):
        match(target, target.parent / "other")
