"""What the journal remembers, and what it refuses."""

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from filelock import FileLock

from srcli.errors import ImageError, OutputError, SrcliError
from srcli.io.files import replacing
from srcli.services.fingerprint import Content, Settings
from srcli.services.journal import JOURNAL_NAME, Journal, Status, results_in
from srcli.services.journal_file import partials_of

SETTINGS, MODEL = Settings('{"scale": 4}'), "digest"
UNREADABLE = ImageError("it cannot be read", hint="try again")


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def source(tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    return tmp_path / "a.png"


def finish(out, source, name="a_x4.png", content=b"larger", settings=SETTINGS, model=MODEL):
    """Do one source as a run does; whether anything was left to do."""
    with Journal(out, settings, model) as journal:
        if journal.finished(source) or journal.begin(source, out / name, overwrite=False):
            return False
        (out / name).write_bytes(content)
        journal.done(source, out / name, 1.0)
        return True


def test_what_is_done_is_not_done_again(out, source):
    assert [finish(out, source), finish(out, source)] == [True, False]


def test_a_journal_that_cannot_be_opened_leaves_no_empty_log_beside_it(out):
    (out / f"{JOURNAL_NAME}-shm").mkdir()  # as where there is no room for one more file
    with pytest.raises(OutputError):
        Journal(out, SETTINGS, MODEL)
    assert not (out / f"{JOURNAL_NAME}-wal").exists()


def kill(out, source, name="a_x4.png", content=b""):
    """A run that is killed before it writes down that the result is there, if it is."""
    with Journal(out, SETTINGS, MODEL) as journal:
        journal.begin(source, out / name, overwrite=False)
        if content:
            (out / name).write_bytes(content)


@pytest.mark.parametrize(
    "end", [Journal.stopped, lambda journal, source: journal.failed(source, UNREADABLE)]
)
def test_what_a_kill_left_is_replaced_even_if_the_next_run_ends_early_too(out, source, end):
    kill(out, source, content=b"larger")
    with Journal(out, SETTINGS, MODEL) as journal:
        end(journal, source)
    assert finish(out, source)


def test_a_place_that_a_killed_run_never_wrote_to_is_free(out, source, tmp_path):
    kill(out, source)
    (tmp_path / "b.png").write_bytes(b"another")
    assert finish(out, tmp_path / "b.png")


def test_overwrite_does_a_picture_again_that_only_moved(out, source, tmp_path):
    finish(out, source)
    moved = source.rename(tmp_path / "moved.png")
    with Journal(out, SETTINGS, MODEL) as journal:
        assert journal.begin(moved, out / "a_x4.png", overwrite=True) is None


def test_the_results_are_known_in_a_folder_that_may_not_be_written(out, source, monkeypatch):
    finish(out, source)
    (out / f"{JOURNAL_NAME}-shm").mkdir()  # what SQLite wants to make there cannot be made
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert results_in(out) == {out / "a_x4.png"}
    with Journal.peek(out, SETTINGS, MODEL) as journal:
        assert journal.finished(source)


def test_what_a_run_without_a_journal_is_writing_is_left_alone(out, source):
    kill(out, source)
    with replacing(out / "a_x4.png") as partial:
        Journal(out, SETTINGS, MODEL).close()
        assert partial.exists()


def test_a_result_that_is_taken_away_at_once_is_no_bug(out, source):
    with Journal(out, SETTINGS, MODEL) as journal:
        journal.begin(source, out / "a_x4.png", overwrite=False)
        journal.done(source, out / "a_x4.png", 1.0, 6)
        assert journal.finished(source) is None


def test_a_disk_without_locks_is_an_error_of_its_own(out, monkeypatch):
    def refuse(lock, timeout):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with pytest.raises(OutputError, match="no locks"):
        Journal(out, SETTINGS, MODEL)


@pytest.mark.skipif(os.name != "posix", reason="flock is of POSIX")
@pytest.mark.filterwarnings("ignore:flock not supported")
def test_a_disk_that_knows_no_flock_is_locked_by_a_file(out, monkeypatch):
    """By filelock, from 4.1 on; from 3.24 on both had the lock, and before neither."""

    def unknown(descriptor, operation):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", unknown)
    with Journal(out, SETTINGS, MODEL), pytest.raises(OutputError, match="another srcli"):
        Journal(out, SETTINGS, MODEL)
    Journal(out, SETTINGS, MODEL).close()


def test_a_size_alone_does_not_say_that_nothing_was_written():
    unstamped = Content(bytes=7, stamp=None)
    assert not unstamped.same_file(unstamped)


def test_another_time_alone_is_no_change_but_another_content_is(out, source):
    finish(out, source)
    os.utime(source, (1, 1))
    assert not finish(out, source)
    source.write_bytes(b"PICTURE")  # as long as before
    assert finish(out, source)


def test_an_output_that_is_gone_is_made_again(out, source):
    finish(out, source)
    (out / "a_x4.png").unlink()
    assert finish(out, source)


def test_an_output_that_somebody_changed_is_not_replaced(out, source):
    finish(out, source)
    (out / "a_x4.png").write_bytes(b"retouched by hand")
    with pytest.raises(OutputError, match="was changed since"):
        finish(out, source)


@pytest.mark.parametrize(
    "other", [{"settings": Settings('{"scale": 2}'), "name": "a_x2.png"}, {"model": "other"}]
)
def test_other_settings_or_another_network_are_other_work(out, source, other):
    finish(out, source)
    assert finish(out, source, **other)
    assert not finish(out, source, **other)


def test_two_scales_live_side_by_side(out, source):
    x2 = {"settings": Settings('{"scale": 2}'), "name": "a_x2.png"}
    assert [finish(out, source), finish(out, source, **x2)] == [True, True]
    assert [finish(out, source), finish(out, source, **x2)] == [False, False]


def test_a_killed_run_is_gone_over_again_and_may_replace_what_it_had_begun(out, source):
    with Journal(out, SETTINGS, MODEL) as journal:
        journal.begin(source, out / "a_x4.png", overwrite=False)
        (out / "a_x4.png").write_bytes(b"whole, but nobody wrote that down")
    assert finish(out, source)


def test_a_file_that_the_journal_does_not_know_is_not_replaced(out, source):
    (out / "a_x4.png").write_bytes(b"precious")
    with Journal(out, SETTINGS, MODEL) as journal:
        with pytest.raises(OutputError, match="exists already"):
            journal.begin(source, out / "a_x4.png", overwrite=False)
        assert journal.begin(source, out / "a_x4.png", overwrite=True) is None


def test_a_failed_begin_does_not_make_a_file_ours(out, source):
    with Journal(out, SETTINGS, MODEL) as journal:
        journal.begin(source, out / "a_x4.png", overwrite=False)
        journal.failed(source, ImageError("bad", hint="mend it"))
        (out / "a_x4.png").write_bytes(b"precious")
        with pytest.raises(OutputError, match="exists already"):
            journal.begin(source, out / "a_x4.png", overwrite=False)


def test_a_failure_keeps_its_reason_and_is_tried_again(out, source):
    for _ in range(3):
        with Journal(out, SETTINGS, MODEL) as journal:
            assert journal.finished(source) is None
            journal.failed(source, ImageError("no picture", hint="get another"))
            row = journal.row(source)
    assert (row.status, row.error, row.hint) == (Status.FAILED, "no picture", "get another")
    assert row.tries == 3


def test_a_changed_source_that_gets_another_name_leaves_no_stale_result(out, source):
    finish(out, source, name="a_x2.5.png")
    source.write_bytes(b"a smaller picture")
    finish(out, source, name="a_x3.png")
    assert [path.name for path in out.glob("*.png")] == ["a_x3.png"]


def test_a_stale_result_that_somebody_changed_stays(out, source):
    finish(out, source, name="a_x2.5.png")
    (out / "a_x2.5.png").write_bytes(b"retouched by hand")
    source.write_bytes(b"a smaller picture")
    finish(out, source, name="a_x3.png")
    assert (out / "a_x2.5.png").exists()


def test_a_tree_that_moved_is_known_again_by_its_content(out, source, tmp_path):
    finish(out, source)
    moved = source.rename(tmp_path / "moved.png")
    assert not finish(out, moved)  # the name of the result is the one it would get again
    assert not finish(out, moved)
    out.rename(tmp_path / "results")
    assert not finish(tmp_path / "results", moved)


def test_two_pictures_never_become_one_file(out, source, tmp_path):
    finish(out, source)
    other = tmp_path / "b.png"
    other.write_bytes(b"another picture")
    with Journal(out, SETTINGS, MODEL) as journal, pytest.raises(OutputError, match="another pict"):
        journal.begin(other, out / "a_x4.png", overwrite=False)


def test_a_second_process_is_told_that_the_first_is_at_work(out, source):
    program = (
        "import sys; from pathlib import Path\n"
        "from srcli.services.journal import Journal, Settings\n"
        "try: Journal(Path(sys.argv[1]), Settings('{}'), 'm')\n"
        "except Exception as error: print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with Journal(out, SETTINGS, MODEL):
        told = subprocess.run(
            [sys.executable, "-c", program, str(out)],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
    assert "another srcli is at work on" in told.stdout


def test_what_a_killed_run_left_half_written_is_swept_away_and_nothing_else(out, source):
    long_name = "x" * 60 + " [1].png"
    with Journal(out, SETTINGS, MODEL) as journal:
        journal.begin(source, out / long_name, overwrite=False)
    with replacing(out / long_name) as left:
        left.write_bytes(b"half")
        assert partials_of(out / long_name) == [left]
    left.write_bytes(b"half")
    (out / ".srcli-work").mkdir()
    (out / ".srcli-work/spool").write_bytes(b"half")
    stranger = out / ".other.0123abcd.partial.png"
    stranger.write_bytes(b"somebody else's")
    with Journal(out, SETTINGS, MODEL):
        assert {path.name for path in out.iterdir() if "journal" not in path.name} == {
            *(stranger.name, long_name)
        }


def test_names_of_any_bytes_are_kept(out, tmp_path):
    source = tmp_path / os.fsdecode(b"\xff\n.png")
    source.write_bytes(b"picture")
    name = os.fsdecode(b"\xff\n_x4.png")
    assert [finish(out, source, name), finish(out, source, name)] == [True, False]
    assert results_in(out) == {out / name}


def test_results_of_a_journal_can_be_read_while_it_is_in_use(out, source):
    finish(out, source)
    with Journal(out, SETTINGS, MODEL):
        assert results_in(out) == {out / "a_x4.png"}
    assert results_in(out.parent) == frozenset()


def test_looking_needs_no_lock_and_writes_nothing(out, source):
    assert Journal.peek(out, SETTINGS, MODEL) is None and not list(out.iterdir())
    finish(out, source)
    with Journal(out, SETTINGS, MODEL), Journal.peek(out, SETTINGS, MODEL) as seen:
        assert seen.finished(source) == out / "a_x4.png"


@pytest.mark.parametrize(
    ("content", "phrase"), [(b"not a database at all" * 99, "damaged"), (None, "another version")]
)
def test_a_journal_that_cannot_be_used_is_named(out, content, phrase):
    if content is None:
        sqlite3.connect(out / JOURNAL_NAME).executescript("PRAGMA user_version = 99").close()
    else:
        (out / JOURNAL_NAME).write_bytes(content)
    for look in (Journal, Journal.peek):
        with pytest.raises(OutputError, match=phrase) as told:
            look(out, SETTINGS, MODEL)
        assert told.value.hint


def test_a_journal_whose_making_was_cut_off_is_none(out):
    (out / JOURNAL_NAME).touch()
    assert Journal.peek(out, SETTINGS, MODEL) is None
    assert results_in(out) == frozenset()


def test_a_vanished_source_is_an_error_of_that_source(out, source):
    with Journal(out, SETTINGS, MODEL) as journal:
        source.unlink()
        with pytest.raises(SrcliError, match="cannot be looked at"):
            journal.begin(source, out / "a_x4.png", overwrite=False)


WRONG = ("NULL", "1.5", "x'80'", "CAST(x'61ff' AS TEXT)", "'a' || char(0)", "'nonsense'")


@pytest.mark.parametrize("column", ["source", "status", "bytes", "sha256", "output", "tries"])
@pytest.mark.parametrize("value", WRONG)
def test_a_row_of_wrong_values_is_refused_or_does_no_harm(out, source, column, value):
    finish(out, source)
    with sqlite3.connect(out / JOURNAL_NAME, isolation_level=None) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute(f"UPDATE OR IGNORE pictures SET {column} = {value}")
    database.close()
    assert len(results_in(out)) <= 1
    outcome_of(out, source)


def outcome_of(out, source):
    try:
        finish(out, source)
    except OutputError as error:
        assert error.hint and str(error).isprintable()


def test_a_schema_that_was_changed_is_damage(out, source):
    finish(out, source)
    with sqlite3.connect(out / JOURNAL_NAME, isolation_level=None) as database:
        database.execute("ALTER TABLE pictures RENAME COLUMN hint TO hunt")
    database.close()
    with pytest.raises(OutputError, match="is damaged"):
        finish(out, source)


def test_what_sqlite_quotes_of_a_damaged_schema_stays_on_one_line(out, source):
    finish(out, source)
    path = out / JOURNAL_NAME
    path.write_bytes(path.read_bytes().replace(b"'stopped'))", b"'stopped')*"))
    with pytest.raises(OutputError, match="is damaged: malformed") as refused:
        finish(out, source)
    assert str(refused.value).isprintable()


def test_a_journal_with_wounds_is_refused_or_read_and_never_a_traceback(out, source):
    finish(out, source)
    good, random = (out / JOURNAL_NAME).read_bytes(), Random(7)
    live = [place for place, byte in enumerate(good) if byte]
    for _ in range(200):
        wounded = bytearray(good)
        for _ in range(random.choice((1, 1, 2, 4))):
            wounded[random.choice(live)] = random.choice(
                (0, 0x7F, 0x80, 0xFF, random.randrange(256))
            )
        for old in out.glob(f"{JOURNAL_NAME}*"):
            old.unlink()
        (out / JOURNAL_NAME).write_bytes(wounded)
        results_in(out)
        outcome_of(out, source)
