"""`srcli upscale FOLDER` as a user types it."""

import json
import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from conftest import draw, files_below
from PIL import Image

from srcli.errors import DiskFullError
from srcli.services import line, watch
from srcli.services.fingerprint import Settings
from srcli.services.folder import Found, Survey
from srcli.services.journal import JOURNAL_NAME, Journal
from srcli.services.stop import Stop
from srcli.services.tasks import Journals


def test_a_tree_is_mirrored_and_nothing_is_flattened(srcli, photos, tmp_path):
    result = srcli("photos", "-o", "out", "-r")
    assert (result.code, result.out) == (0, "")
    assert files_below(tmp_path / "out") == ["a_x4.png", "b_x4.jpg", "trip/c_x4.png"]
    assert Image.open(tmp_path / "out/trip/c_x4.png").size == (24, 20)
    assert "3 done" in result.err


def test_the_pipeline_gives_the_same_bytes_as_one_after_another(srcli, photos, tmp_path):
    srcli("photos", "-o", "out", "-r")
    for name in ("a.png", "b.jpg", "trip/c.png"):
        srcli(photos / name, "-o", "alone/")
    for name in ("a_x4.png", "b_x4.jpg", "c_x4.png"):
        (mirrored,) = (tmp_path / "out").rglob(name)
        assert mirrored.read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_without_r_only_the_folder_itself_is_done_and_the_rest_is_told(srcli, photos, tmp_path):
    result = srcli("photos", "-o", "out")
    assert files_below(tmp_path / "out") == ["a_x4.png", "b_x4.jpg"]
    assert "1 folders below are left out: add -r" in result.err


def test_a_second_run_skips_redoes_and_retries_what_it_should(srcli, photos, tmp_path):
    (photos / "bad.png").write_bytes(b"no picture")
    assert srcli("photos", "-o", "out", "-r").code == 1
    draw(photos / "a.png", size=(9, 5), seed=7)  # changed
    (tmp_path / "out/trip/c_x4.png").unlink()  # lost
    draw(photos / "bad.png")  # mended
    result = srcli("photos", "-o", "out", "-r", "--json")
    *files, summary = map(json.loads, result.out.splitlines())
    states = {file["source"].rpartition("/")[2]: file["status"] for file in files}
    assert states == {"a.png": "done", "b.jpg": "skipped", "c.png": "done", "bad.png": "done"}
    assert (summary["done"], summary["skipped"], summary["failed"]) == (3, 1, 0)
    assert Image.open(tmp_path / "out/a_x4.png").size == (36, 20)


def test_overwrite_does_all_again_and_no_journal_protects_what_is_there(srcli, photos, tmp_path):
    srcli("photos", "-o", "out", "-r")
    assert "3 done in" in srcli("photos", "-o", "out", "-r", "--overwrite").err
    refused = srcli("photos", "-o", "out", "-r", "--no-journal")
    assert refused.code == 1 and refused.err.count("exists already") == 3
    srcli("photos", "-o", "plain", "-r", "--no-journal")
    assert not (tmp_path / "plain" / JOURNAL_NAME).exists()


def test_results_beside_their_sources_are_not_enlarged_again(srcli, photos):
    srcli("photos", "-r")
    again = srcli("photos", "-r")
    assert "3 done before" in again.err
    assert files_below(photos) == ["a.png", "a_x4.png", "b.jpg", "b_x4.jpg"] + [
        "trip/c.png",
        "trip/c_x4.png",
    ]


def test_an_output_folder_inside_the_input_is_never_an_input(srcli, photos):
    srcli("photos", "-r", "-o", "photos/large")
    srcli("photos", "-r", "-o", "photos/larger", "-s", "5")
    assert files_below(photos / "larger") == ["a_x5.png", "b_x5.jpg", "trip/c_x5.png"]


def test_names_that_would_collide_keep_their_suffix(srcli, tmp_path):
    draw(tmp_path / "in/a.png")
    draw(tmp_path / "in/a.jpg")
    assert srcli("in", "-o", "out", "-f", "webp").code == 0
    assert files_below(tmp_path / "out") == ["a.jpg_x4.webp", "a.png_x4.webp"]


def test_bad_files_fail_alone_each_with_a_line(srcli, photos, tmp_path):
    (photos / "empty.jpg").touch()
    (photos / "text.png").write_text("hello")
    whole = draw(tmp_path / "whole.jpg", size=(200, 200)).read_bytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    result = srcli("photos", "-o", "out", "-r")
    assert result.code == 1 and "3 done, 3 failed" in result.err
    assert result.err.count("error: ") == 3 and "Traceback" not in result.err
    assert len(files_below(tmp_path / "out")) == 3
    for name in ("empty.jpg", "text.png", "cut.jpg"):
        assert f"failed: photos/{name}" in result.err


def test_fail_fast_stops_at_the_first_failure(srcli, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/0.png").touch()
    for number in range(1, 40):
        draw(tmp_path / f"in/{number}.png")
    result = srcli("in", "-o", "out", "--fail-fast", "--json")
    summary = json.loads(result.out.splitlines()[-1])
    assert (result.code, summary["failed"]) == (1, 1)
    assert summary["left"] > 20


def test_a_full_disk_ends_the_run_with_code_5_and_the_rest_is_done_next_time(
    srcli, tmp_path, monkeypatch
):
    for number in range(20):
        draw(tmp_path / f"in/{number}.png")
    finish = line.finish_job

    def run_full(engine, job):
        if job.source.endswith("/3.png"):
            raise DiskFullError("no space left", hint="free some")
        return finish(engine, job)

    monkeypatch.setattr(line, "finish_job", run_full)
    assert srcli("in", "-o", "out").code == 5
    monkeypatch.undo()
    assert srcli(tmp_path / "in", "-o", tmp_path / "out").code == 0
    assert len(files_below(tmp_path / "out")) == 20


def test_a_journal_that_takes_no_more_ends_the_run_and_nobody_waits_for_ever(
    srcli, photos, tmp_path, monkeypatch
):
    def refuse(journal, source, error):
        raise DiskFullError("no space left to write the journal", hint="free some")

    whole = (photos / "a.png").read_bytes()
    (photos / "a.png").write_bytes(whole[:-40])
    monkeypatch.setattr(Journal, "failed", refuse)
    monkeypatch.setattr(line, "gate_limit", lambda: 1)  # what is not freed is in everybody's way
    result = srcli("photos", "-o", "out", "-r")
    assert result.code == 5 and "to write the journal" in result.err
    assert "a.png cannot be read" in result.err


def test_all_journals_are_given_back_though_one_of_them_fails(photos, monkeypatch):
    journals = Journals(None, Settings("{}"), "digest")
    folders = [photos / "trip", photos]
    opened = [journals.of(Found(folder / "a.png", folder)) for folder in folders]

    def refuse():
        raise DiskFullError("no space left", hint="free some")

    monkeypatch.setattr(opened[0], "close", refuse)
    with pytest.raises(DiskFullError):
        journals.close()
    Journal(photos, Settings("{}"), "digest").close()  # nobody holds it any more


def test_a_bug_in_one_picture_lets_the_others_finish_and_is_still_a_bug(
    srcli, photos, tmp_path, monkeypatch
):
    finish = line.finish_job

    def stumble(engine, job):
        return finish(replace(engine), job) if job.source.endswith("a.png") else finish(engine, job)

    monkeypatch.setattr(line, "finish_job", stumble)
    with pytest.raises(TypeError):  # an engine is no dataclass
        srcli("photos", "-o", "out", "-r")
    assert files_below(tmp_path / "out") == ["b_x4.jpg", "trip/c_x4.png"]


def test_a_dry_run_says_what_would_happen_and_writes_nothing(srcli, photos, tmp_path):
    (photos / "bad.png").touch()
    result = srcli("photos", "-o", "out", "-r", "--dry-run")
    assert "photos/trip/c.png  6x5 -> out/trip/c_x4.png  24x20" in result.out
    assert "3 pictures to do" in result.out and "MP/s, measured" in result.out
    summary = json.loads(srcli("photos", "-r", "--dry-run", "--json").out.splitlines()[-1])
    assert (summary["files"], summary["failed"], summary["left"]) == (4, 1, 3)
    assert result.code == 1 and "bad.png is empty" in result.err
    assert "left" not in result.err  # nothing was begun
    assert not (tmp_path / "out").exists()


def test_what_a_list_and_a_folder_name_is_done_once(srcli, photos, tmp_path):
    (tmp_path / "list.txt").write_text(str(photos / "a.png"))
    result = srcli("photos", "list.txt", "-o", "out", "--json")
    assert json.loads(result.out.splitlines()[-1])["done"] == 2


def test_a_folder_may_be_called_as_a_list_is(srcli, photos, tmp_path):
    photos.rename(tmp_path / "photos.txt")
    assert srcli("photos.txt", "-o", "out").code == 0
    assert files_below(tmp_path / "out") == ["a_x4.png", "b_x4.jpg"]


def test_a_dry_run_of_one_picture_names_the_file_that_would_be_written(srcli, photos):
    told = srcli("photos/a.png", "-o", "large.png", "--dry-run").out
    assert "photos/a.png  6x5 -> large.png  24x20" in told


@pytest.mark.parametrize("how", ["--verbose", "--quiet", "--json"])
def test_a_page_that_cannot_be_made_stops_no_run_and_is_told_of(srcli, tmp_path, how):
    draw(tmp_path / "in/flat.png", size=(7, 3))  # rounded to another shape
    draw(tmp_path / "in/square.png", size=(8, 8))
    result = srcli("in", "-o", "out", "-s", "1.5", "--compare", how)
    assert result.code == 0 and "not of one shape" in result.err
    assert files_below(tmp_path / "out") == ["flat_x1.43.png", "square_x1.5.html"] + [
        "square_x1.5.png"
    ]


def test_a_dry_run_after_a_run_has_nothing_to_do(srcli, photos):
    srcli("photos", "-o", "out", "-r")
    result = srcli("photos", "-o", "out", "-r", "--dry-run", "--json")
    *files, forecast, summary = map(json.loads, result.out.splitlines())
    assert {file["status"] for file in files} == {"skipped"}
    assert (forecast["files"], forecast["seconds"], summary["exit_code"]) == (0, 0, 0)
    assert (summary["files"], summary["skipped"], summary["left"]) == (len(files), len(files), 0)


def test_a_dry_run_of_a_pipe_is_refused(srcli, photos):
    result = srcli("photos/a.png", "-o", "-", "--dry-run")
    assert result.code == 2 and "pipe" in result.err


def test_include_and_exclude_reach_the_walk(srcli, photos, tmp_path):
    srcli("photos", "-o", "out", "-r", "--include", "*.png", "--exclude", "trip")
    assert files_below(tmp_path / "out") == ["a_x4.png"]


def test_every_name_that_a_file_can_have_goes_through(srcli, tmp_path):
    names = [b"\xff\xfe.png", "emoji 🌞.png".encode(), b"new\nline.png", b"-o.png", b"[1].png"]
    for name in names:
        draw(tmp_path / "in" / os.fsdecode(name))
    result = srcli("in", "-o", "out", "--json")
    *files, summary = map(json.loads, result.out.splitlines())
    assert summary["done"] == len(names)
    assert {os.fsencode(file["source"]) for file in files} == {b"in/" + name for name in names}
    assert srcli("in", "-o", "out", "-v").err.count("was done before") == len(names)


@pytest.mark.parametrize(
    ("arguments", "code", "phrase"),
    [
        (["photos", "--no-journal"], 2, "would be enlarged again"),
        (["photos", "-o", "photos/a.png"], 2, "is a file"),
        (["photos/a.png", "--watch"], 2, "no folder to watch"),
        (["nothing", "-r"], 4, "no pictures in nothing"),
        (["photos", "-d", "cpu,toaster"], 2, "is no device"),
    ],
)
def test_what_cannot_be_is_said_before_the_work(srcli, photos, tmp_path, arguments, code, phrase):
    (tmp_path / "nothing").mkdir()
    result = srcli(*arguments)
    assert (result.code, phrase in result.err) == (code, True)


def test_files_named_by_themselves_need_no_journal_and_are_done_once(srcli, photos, tmp_path):
    result = srcli(photos / "a.png", photos / "b.jpg", "photos/a.png", "-o", "out/")
    assert "2 done" in result.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a_x4.png", "b_x4.jpg"}


def test_two_devices_share_a_folder(srcli, tmp_path):
    for number in range(12):
        draw(tmp_path / f"in/{number}.png", seed=number)
    assert srcli("in", "-o", "one").code == 0
    assert srcli("in", "-o", "two", "-d", "cpu,cpu").code == 0
    for name in files_below(tmp_path / "one"):
        one, two = (np.asarray(Image.open(tmp_path / side / name)) for side in ("one", "two"))
        assert np.abs(one.astype(int) - two).max() <= 1


@pytest.fixture
def own_signals():
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_cleanly_and_the_next_run_does_the_rest(
    srcli, tmp_path, monkeypatch, own_signals, number
):
    for index in range(30):
        draw(tmp_path / f"in/{index}.png", seed=index)
    finish = line.finish_job

    def interrupt(engine, job):
        if job.source.endswith("/5.png"):
            os.kill(os.getpid(), number)
            time.sleep(0.1)
        return finish(engine, job)

    monkeypatch.setattr(line, "finish_job", interrupt)
    result = srcli("in", "-o", "out")
    assert result.code == 130 and "run the same command again" in result.err
    done = len(files_below(tmp_path / "out"))
    assert 1 <= done < 25 and not list((tmp_path / "out").glob("*.partial*"))
    monkeypatch.setattr(line, "finish_job", finish)
    again = srcli("in", "-o", "out")
    assert again.code == 0 and f"{30 - done} done, {done} done before" in again.err


def test_while_weights_are_fetched_an_interrupt_ends_a_folder_at_once(
    srcli, photos, monkeypatch, own_signals
):
    def fetch(*arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(20)

    monkeypatch.setattr("srcli.services.request.load_network", fetch)
    began = time.monotonic()
    result = srcli("photos", "-o", "out")
    assert result.code == 130 and "interrupted" in result.err and time.monotonic() - began < 10


def test_watching_does_what_arrives_once_it_is_whole(
    srcli, photos, tmp_path, monkeypatch, own_signals
):
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)
    picture = draw(tmp_path / "late.png").read_bytes()

    def arrive():
        wait_for(tmp_path / "out/a_x4.png")
        with (photos / "late.png").open("wb", buffering=0) as file:
            for start in range(0, len(picture), 40):
                file.write(picture[start : start + 40])
                time.sleep(0.04)
        shutil.copy(photos / "a.png", photos / "later.png")
        wait_for(tmp_path / "out/late_x4.png")
        wait_for(tmp_path / "out/later_x4.png")
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=arrive)
    thread.start()
    result = srcli("photos", "-o", "out", "--watch")
    thread.join()
    assert result.code == 0 and "failed" not in result.err
    assert {"late_x4.png", "later_x4.png"} <= set(files_below(tmp_path / "out"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who writes a file")
def test_a_picture_that_somebody_still_writes_is_not_taken_though_it_rests(tmp_path):
    path = draw(tmp_path / "a.png")
    watched = watch.Watch(lambda: Survey(found=(Found(path),), problems=(), passed_over=0), Stop())
    with path.open("r+b"):
        assert not any(watched._is_ready(path) for _ in range(9))
    assert watched._is_ready(path) and path.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who writes a file")
def test_a_picture_that_is_held_open_for_ever_is_taken_in_the_end(tmp_path):
    path = draw(tmp_path / "a.png")
    watched = watch.Watch(lambda: Survey(found=(), problems=(), passed_over=0), Stop())
    with path.open("r+b"):
        looks = [watched._is_ready(path) for _ in range(watch.WRITER_LOOKS + 1)]
    assert looks == [False] * watch.WRITER_LOOKS + [True]


def wait_for(path):
    end = time.monotonic() + 20
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
