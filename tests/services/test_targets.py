"""Where results go, and what is refused before the work."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from srcli.errors import DiskFullError, OutputError, UsageError
from srcli.io.formats import PictureFormat
from srcli.services.targets import check_place, check_room, choose_format, settle, target_of

PNG, JPEG = PictureFormat.PNG, PictureFormat.JPEG


@pytest.mark.parametrize(
    ("source", "output", "kind", "read", "expected"),
    [
        pytest.param("d/a.png", None, None, PNG, "d/a_x4.png", id="beside-the-input"),
        pytest.param("d/a.JPEG", None, None, JPEG, "d/a_x4.JPEG", id="spelling-kept"),
        pytest.param("d/a.png", None, None, JPEG, "d/a_x4.jpg", id="suffix-that-lies"),
        pytest.param("d/a.jpg", None, PNG, JPEG, "d/a_x4.png", id="another-format"),
        pytest.param("d/a.jpg", "out/", None, JPEG, "out/a_x4.jpg", id="slash-is-a-folder"),
        pytest.param("d/a.jpg", "out", None, JPEG, "out/a_x4.jpg", id="no-suffix-is-a-folder"),
        pytest.param("d/a.jpg", "v1.5/", None, JPEG, "v1.5/a_x4.jpg", id="dotted-folder"),
        pytest.param("d/a.jpg", "b.png", None, JPEG, "b.png", id="a-file"),
    ],
)
def test_the_result_goes_where_its_name_says(source, output, kind, read, expected):
    target = target_of(Path(source), output)
    assert settle(target, Path(source).suffix, kind, "_x4", read) == Path(expected)


@pytest.mark.parametrize(
    ("target", "kind", "expected"),
    [("b.webp", None, PictureFormat.WEBP), ("b.jpg", JPEG, JPEG), (None, None, PNG)],
)
def test_the_format_is_the_asked_one_else_the_name_s_else_the_input_s(target, kind, expected):
    assert choose_format(target and Path(target), kind, PNG) is expected


@pytest.mark.parametrize(("target", "kind"), [("b.png", JPEG), ("b.xyz", None)])
def test_a_name_that_contradicts_the_format_or_means_none_is_refused(target, kind):
    with pytest.raises(UsageError):
        choose_format(Path(target), kind, PNG)


def test_an_output_that_is_the_input_is_refused_even_with_overwrite(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(OutputError, match="the input itself"):
        check_place(tmp_path / "a.png", tmp_path / "." / "a.png", overwrite=True)


def test_a_disk_that_is_too_small_is_noticed_before_the_work(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 0, 500_000))
    check_room(tmp_path / "new" / "a.jpg", 1_000_000, JPEG)
    with pytest.raises(DiskFullError, match="0.00 GB free"):
        check_room(tmp_path / "new" / "a.png", 1_000_000, PNG)
