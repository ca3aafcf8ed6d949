"""What killed processes leave is removed by the next one, and what is still in use is not."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from srcli.io import leftovers
from srcli.io.files import replacing, scratch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")
by_descriptors = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="Linux tells what is open"
)

DESCRIPTORS = Path("/proc/self/fd")
KILLED = """
import os, signal, sys
from pathlib import Path
from srcli.io.files import replacing, scratch
with replacing(Path("a.png")) as partial, scratch(Path.cwd()) as folder:
    partial.write_bytes(b"half")
    (folder / "spool").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def place(tmp_path):
    """A folder in which a process was killed while it wrote a.png."""
    leftovers._partials_in.cache_clear()  # as in a new process
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=tmp_path, env=environment, check=False
    )
    assert killed.returncode == -signal.SIGKILL and len(list(tmp_path.iterdir())) == 2
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_who_writes_the_same_file_removes_what_a_killed_process_left_of_it(place):
    with replacing(place / "a.png") as partial:
        partial.write_bytes(b"whole")
    assert [name for name in names(place) if "partial" in name or name == "a.png"] == ["a.png"]


def test_what_was_left_of_another_file_is_somebody_elses(place):
    with replacing(place / "b.png") as partial:
        partial.write_bytes(b"whole")
    assert sum("partial" in name for name in names(place)) == 1


def test_who_needs_a_folder_on_the_way_removes_those_of_killed_processes(place):
    with scratch(place) as folder:
        assert [name for name in names(place) if name.startswith(".srcli-")] == [folder.name]
    assert not any(name.startswith(".srcli-") for name in names(place))


def test_what_is_being_written_is_left_alone(tmp_path):
    with replacing(tmp_path / "a.png") as ours, scratch(tmp_path) as folder:
        ours.write_bytes(b"ours")
        leftovers._partials_in.cache_clear()  # another process looks
        with replacing(tmp_path / "a.png") as theirs, scratch(tmp_path):
            theirs.write_bytes(b"theirs")
        assert ours.read_bytes() == b"ours" and folder.is_dir()
    assert (tmp_path / "a.png").read_bytes() == b"ours"  # whoever is last


@pytest.mark.parametrize("is_early", [True, False])
def test_a_folder_that_is_locked_while_somebody_looks_at_it_is_left_alone(
    tmp_path, monkeypatch, is_early
):
    folder, listed = tmp_path / ".srcli-01234567", leftovers._listed
    folder.mkdir()

    def look(place):
        before = listed(place)
        if place == folder and not (folder / "lock").exists():
            held = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)
            leftovers.fcntl.flock(held, leftovers.fcntl.LOCK_EX)
        return listed(place) if is_early else before

    monkeypatch.setattr(leftovers, "_listed", look)
    with scratch(tmp_path):
        assert (folder / "lock").exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root becomes another")
def test_a_folder_of_another_user_is_in_nobodys_way(tmp_path):
    folder = tmp_path / ".srcli-01234567"
    folder.mkdir(mode=0o700)
    (folder / "lock").touch()
    tmp_path.chmod(0o777)
    other = os.fork()
    if not other:
        os.chdir(tmp_path)  # the folders above it may be closed to others
        os.setuid(65534)
        try:
            with scratch(Path()) as ours:
                os._exit(not ours.is_dir())
        finally:
            os._exit(2)
    assert os.waitpid(other, 0)[1] == 0 and (folder / "lock").exists()


def test_a_folder_is_listed_once_however_many_files_are_written(tmp_path, monkeypatch):
    listed = []
    monkeypatch.setattr(leftovers, "_listed", lambda folder: listed.append(folder) or [])
    for number in range(5):
        with replacing(tmp_path / f"{number}.png") as partial:
            partial.write_bytes(b"whole")
    assert len(listed) == 1


def test_a_server_that_makes_a_folder_for_each_picture_does_not_remember_them_all(tmp_path):
    before = leftovers._partials_in.cache_info().currsize
    for number in range(300):
        (tmp_path / f"{number}").mkdir()
        with replacing(tmp_path / f"{number}/a.png"):
            pass
    assert leftovers._partials_in.cache_info().currsize <= max(before, 256)


def test_a_folder_whose_process_was_killed_while_it_made_or_removed_it_goes_too(tmp_path):
    (tmp_path / ".srcli-0123abcd").mkdir()
    (tmp_path / ".srcli-4567cdef").mkdir()
    (tmp_path / ".srcli-4567cdef/spool").touch()
    with scratch(tmp_path):
        pass
    assert not names(tmp_path)


@by_descriptors
def test_no_descriptor_stays_open(tmp_path):
    before = len(list(DESCRIPTORS.iterdir()))
    for _ in range(3):
        with replacing(tmp_path / "a.png") as partial, scratch(tmp_path):
            partial.write_bytes(b"whole")
    assert len(list(DESCRIPTORS.iterdir())) == before


@by_descriptors
@pytest.mark.parametrize("why", ["Windows", "a file system without locks"])
def test_where_nothing_can_be_locked_nothing_is_held_open(tmp_path, monkeypatch, why):
    """Windows renames and removes no file that somebody has open, not even who opened it."""
    if why == "Windows":
        monkeypatch.setattr(leftovers.sys, "platform", "win32")
    else:
        monkeypatch.setattr(leftovers.fcntl, "flock", refused)
    with replacing(tmp_path / "a.png"), scratch(tmp_path) as folder:
        open_files = {os.path.realpath(link) for link in DESCRIPTORS.iterdir()}
        assert not [path for path in open_files if path.startswith(str(tmp_path))]
    assert (tmp_path / "a.png").is_file() and not folder.exists()


def refused(*_):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
