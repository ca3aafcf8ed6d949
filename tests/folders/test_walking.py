"""Which pictures a folder holds."""

import os
import socket
import sys
from pathlib import Path

import pytest

from srcli.services.folder import WalkRules, natural_key, survey


def make(root, *names):
    for name in names:
        path = root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def found(*inputs, avoid=None, results=(), **rules):
    rules = WalkRules(**{"recursive": True, **rules})
    surveyed = survey(inputs, rules, avoid=avoid, results_in=lambda folder: frozenset(results))
    return [each.path.relative_to(each.root).as_posix() for each in surveyed.found]


def test_pictures_come_in_the_order_in_which_people_count(tmp_path):
    make(tmp_path, "img10.png", "img9.png", "IMG1.png", "img2/b.png", "img2/a.png")
    assert found(tmp_path) == ["IMG1.png", "img2/a.png", "img2/b.png", "img9.png", "img10.png"]


def test_a_tree_may_be_deeper_than_the_stack_of_python(tmp_path):
    folders = "d/" * (sys.getrecursionlimit() // 2)
    (tmp_path / folders).mkdir(parents=True)
    make(tmp_path, f"{folders}a.png")
    assert found(tmp_path) == [f"{folders}a.png"]


@pytest.mark.parametrize(
    "name",
    [".hidden.png", "._a.png", ".git/a.png", "Thumbs.db", ".DS_Store", "desktop.ini"]
    + ["__MACOSX/a.png", "@eaDir/a.jpg", "$RECYCLE.BIN/a.png", "notes.txt", "noname"],
)
def test_hidden_files_litter_and_unknown_suffixes_are_passed_over(tmp_path, name):
    make(tmp_path, "a.png", name)
    assert found(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, ["a.JPG", "b.png", "raw/c.png", "raw/deep/d.png"]),
        ({"include": ("*.jpg",)}, ["a.JPG"]),
        ({"include": ("*.dat",)}, ["x.dat"]),
        ({"include": ("raw/*",)}, ["raw/c.png", "raw/deep/d.png"]),
        ({"exclude": ("raw",)}, ["a.JPG", "b.png"]),
        ({"exclude": ("raw/*",)}, ["a.JPG", "b.png"]),
        ({"exclude": ("deep/",)}, ["a.JPG", "b.png", "raw/c.png"]),
        ({"include": ("*.png",), "exclude": ("b*",)}, ["raw/c.png", "raw/deep/d.png"]),
        ({"recursive": False}, ["a.JPG", "b.png"]),
    ],
)
def test_globs_choose_by_name_or_by_path(tmp_path, rules, expected):
    make(tmp_path, "a.JPG", "b.png", "raw/c.png", "raw/deep/d.png", "x.dat")
    assert found(tmp_path, **rules) == expected


def test_folders_below_are_counted_where_they_are_not_entered(tmp_path):
    make(tmp_path, "a.png", "one/b.png", "two/c.png")
    assert survey([tmp_path]).passed_over == 2


def test_a_linked_folder_is_followed_once_and_loops_end(tmp_path):
    make(tmp_path, "in/sub/a.png", "far/b.png")
    (tmp_path / "in/0-loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/1-again").symlink_to(tmp_path / "in/sub")
    (tmp_path / "in/2-far").symlink_to(tmp_path / "far")
    (tmp_path / "in/3-far-again").symlink_to(tmp_path / "far")
    assert found(tmp_path / "in") == ["2-far/b.png", "sub/a.png"]


def test_a_file_found_twice_is_done_once(tmp_path):
    make(tmp_path, "in/sub/a.png")
    (tmp_path / "in/z.png").symlink_to(tmp_path / "in/sub/a.png")
    inputs = [tmp_path / "in", tmp_path / "in/sub", tmp_path / "in/sub/../sub/a.png"]
    assert [each.path for each in survey(inputs, WalkRules(recursive=True)).found] == [
        tmp_path / "in/sub/a.png"
    ]


def test_files_named_by_themselves_are_taken_whatever_they_are_called(tmp_path):
    make(tmp_path, ".hidden", "x.dat")
    inputs = [tmp_path / ".hidden", tmp_path / "x.dat", tmp_path / "missing.png"]
    assert [each.path for each in survey(inputs).found] == inputs


def test_the_output_folder_inside_the_input_is_not_eaten(tmp_path):
    make(tmp_path, "a.png", "out/a_x4.png")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    assert found(tmp_path, avoid=tmp_path / "out") == ["a.png"]
    assert found(tmp_path, avoid=tmp_path) == ["a.png", "out/a_x4.png"]  # results lie beside


def test_results_of_earlier_runs_are_no_inputs(tmp_path):
    make(tmp_path, "a.png", "a_x4.png")
    assert found(tmp_path, results=[tmp_path / "a_x4.png"]) == ["a.png"]


def test_a_folder_that_cannot_be_read_is_a_problem_and_the_rest_goes_on(tmp_path, monkeypatch):
    make(tmp_path, "a.png", "locked/b.png", "open/c.png")
    scan = os.scandir

    def refuse(path):  # root may read everything, so permissions cannot be tested by chmod
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    surveyed = survey([tmp_path], WalkRules(recursive=True))
    assert [each.path.name for each in surveyed.found] == ["a.png", "c.png"]
    (problem,) = surveyed.problems
    assert "locked" in str(problem.error) and "Permission denied" in str(problem.error)


def test_a_link_that_leads_nowhere_is_a_problem_where_a_picture_was_meant(tmp_path):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere.txt")
    (problem,) = survey([tmp_path]).problems
    assert "gone.png is a link that leads nowhere" in str(problem.error)


def test_pipes_and_sockets_are_passed_over(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "s.png"))
        assert found(tmp_path) == []


def test_names_may_hold_any_bytes(tmp_path):
    names = [b"\xff\xfe.png", "emoji 🌞.png".encode(), b"new\nline.png", b"tab\t'\".png"]
    make(tmp_path, *names)
    assert {os.fsencode(name) for name in found(tmp_path)} == set(names)


def test_natural_order_is_total_whatever_the_names():
    names = ["a1b", "a1", "a01", "1", "a", "A1", "²", "b", "a1b2", "a1b10", ""]
    in_order = sorted(map(Path, names), key=lambda path: (natural_key(path), str(path)))
    assert in_order.index(Path("a1b2")) < in_order.index(Path("a1b10"))
    assert in_order.index(Path("1")) < in_order.index(Path("a"))
