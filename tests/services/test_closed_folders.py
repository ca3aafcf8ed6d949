"""A folder that may not be entered: everything that is asked about it ends in a SrcliError."""

import os
from pathlib import Path

import pytest

from srcli.errors import ImageError, SrcliError
from srcli.io.looks import is_file, is_folder, is_gone, is_there
from srcli.services.compare import compare
from srcli.services.degrade import DegradeConfig, degrade_folder
from srcli.services.folder import survey
from srcli.services.partners import pictures_in
from srcli.services.request import check_sources
from srcli.services.targets import check_place, target_of
from srcli.services.tasks import FolderOptions
from srcli.services.training.folder import RunFolder
from srcli.services.training.page import report_runs
from srcli.services.training.preparation import RunOptions
from srcli.services.training.request import train_file
from srcli.services.weights import obtain
from srcli.services.weights_cache import import_weights

INSIDE = Path("closed/a.png")
EMPTY = Path(os.devnull)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")


@pytest.fixture
def outside(tmp_path):
    """Calls a function as a user who may not enter `closed`: 0 if it ends as it should."""
    tmp_path.chmod(0o777)
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed/a.png").touch()
    (tmp_path / "closed").chmod(0)

    def call(function):
        child = os.fork()
        if not child:
            try:
                os.chdir(tmp_path)  # the folders above it may be closed to others
                os.geteuid() or os.setuid(65534)
                os._exit(function())
            finally:
                os._exit(9)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    return call


def test_nothing_in_it_can_be_seen_but_nothing_is_known_to_be_gone(outside):
    looks = (is_there, is_file, is_folder, is_gone)
    assert outside(lambda: sum(look(INSIDE) for look in looks)) == 0


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda: check_place(None, target_of(INSIDE, str(INSIDE)), overwrite=False), 1),
        (lambda: compare([INSIDE, INSIDE], page=INSIDE), 4),
        (lambda: degrade_folder(Path(), INSIDE, DegradeConfig()), 1),
        (lambda: import_weights(INSIDE), 3),
        (lambda: obtain(str(INSIDE), offline=True), 3),
        (lambda: pictures_in(INSIDE), 4),
        (lambda: report_runs([INSIDE]), 2),
        (lambda: RunFolder(INSIDE).check_unused() or RunFolder(INSIDE).create(), 1),
        (lambda: train_file(EMPTY, INSIDE, RunOptions(resume=True)), 2),
        (lambda: train_file(EMPTY, INSIDE.parent, RunOptions(resume=True)), 2),
    ],
)
def test_what_is_asked_about_it_ends_with_an_error_of_its_own(outside, ask, code):
    def ended():
        try:
            ask()
        except SrcliError as error:
            return error.exit_code
        return 0

    assert outside(ended) == code


@pytest.mark.parametrize("name", ["a\0b.png", "x" * 300, "no/a.png", "file/a.png", "loop"])
def test_what_no_file_can_be_called_or_led_to_is_known_to_be_gone(name, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert is_gone(tmp_path / name)


def test_what_windows_takes_for_no_name_is_known_to_be_gone():
    class Refusing(type(Path())):
        def stat(self, **_):
            error = OSError(22, "The filename, directory name, or volume label syntax is incorrect")
            error.winerror = 123
            raise error

    assert is_gone(Refusing("*.png"))


def test_it_is_no_reason_to_refuse_a_run_before_its_turn(outside):
    def begun():
        check_sources([INSIDE], str(INSIDE), FolderOptions())
        return len(survey([Path()], avoid=INSIDE).found)

    assert outside(begun) == 0


def test_a_source_that_is_not_there_is_still_said_to_be_missing(tmp_path):
    with pytest.raises(ImageError, match="does not exist"):
        check_sources([tmp_path / "none.png"], None, FolderOptions())
