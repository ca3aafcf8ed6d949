"""Files appear whole or not at all, and refusals of the system are said plainly."""

import errno
import os
from io import BytesIO
from pathlib import Path

import pytest

from srcli.errors import DiskFullError, OutputError
from srcli.io.files import replacing, write_content
from srcli.services.targets import make_folder
from srcli.services.training.folder import RunFolder


def test_a_file_appears_only_when_the_block_has_succeeded(tmp_path):
    target = tmp_path / "picture.png"
    with replacing(target) as partial:
        partial.write_bytes(b"new")
        assert not target.exists() and partial.suffix == ".png"
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]


@pytest.mark.parametrize("failure", [ValueError("bad"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(type(failure)), replacing(tmp_path / "a") as partial:
        partial.write_bytes(b"half")
        raise failure
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a", b"old")]


def test_two_writers_of_one_name_do_not_share_a_sibling(tmp_path):
    with replacing(tmp_path / "a") as first, replacing(tmp_path / "a") as second:
        first.write_bytes(b"1")
        second.write_bytes(b"2")
        assert first != second
    assert (tmp_path / "a").read_bytes() == b"1"


def test_a_very_long_name_still_has_room_for_its_sibling(tmp_path):
    target = tmp_path / ("é" * 120 + ".tiff")
    with replacing(target) as partial:
        partial.write_bytes(b"x")
    assert target.read_bytes() == b"x"


def test_a_symbolic_link_keeps_pointing_where_it_pointed(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with replacing(tmp_path / "link") as partial:
        partial.write_bytes(b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"


def test_a_link_that_leads_to_itself_is_refused_and_stays(tmp_path):
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OutputError, match="leads in circles"), replacing(tmp_path / "link"):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["link"]


def test_a_link_to_a_file_that_is_not_there_yet_gets_it(tmp_path):
    (tmp_path / "link").symlink_to("later")
    with replacing(tmp_path / "link") as partial:
        partial.write_bytes(b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "later").read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="folders are opened nowhere else")
def test_a_folder_that_takes_files_and_shows_none_takes_a_picture(tmp_path, monkeypatch):
    def opened(path, flags, *mode):
        if Path(path) == tmp_path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, flags, *mode)

    real = os.open
    monkeypatch.setattr(os, "open", opened)  # the tests may run as root, who may open everything
    with replacing(tmp_path / "a") as partial:
        partial.write_bytes(b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_to_be_full(tmp_path, number):
    with pytest.raises(DiskFullError, match="no space left"), replacing(tmp_path / "a"):
        raise OSError(number, os.strerror(number))
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(tmp_path):
    absent = tmp_path / "absent" / "a"
    with pytest.raises(OutputError, match="does not exist"), replacing(absent) as partial:
        partial.write_bytes(b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    target = tmp_path / "a"
    with pytest.raises(OutputError, match="permission denied"), replacing(target) as partial:
        partial.write_bytes(b"x")


def test_what_is_no_file_is_never_replaced(tmp_path):
    with pytest.raises(OutputError, match="not a file"), replacing(tmp_path):
        pytest.fail("the block must not run")


def test_a_failure_to_read_something_else_is_not_blamed_on_the_output(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a"):
        (tmp_path / "input").read_bytes()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_folder_for_which_there_is_no_room_is_a_full_disk(tmp_path, monkeypatch, code):
    def mkdir(self, *_, **__):
        raise OSError(code, os.strerror(code), str(self))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(DiskFullError, match="no space left to write .*out"):
        make_folder(tmp_path / "out")
    with pytest.raises(DiskFullError, match="no space left to write .*run"):
        RunFolder(tmp_path / "run").create()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_error_holds_no_view_of_memory_that_can_still_be_written():
    """CPython 3.12.1 dies of one when it collects garbage; the others do not show it."""
    with pytest.raises(OSError) as caught:
        write_content(Path("/dev/full"), BytesIO(bytes(5000)))
    seen = [value for entry in caught.traceback for value in entry.locals.values()]
    assert all(type(view.obj) is bytes for view in seen if isinstance(view, memoryview))
