"""The tortures of benchmarks/torture in small, each with the same seed every time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its processes fork")


@pytest.fixture(scope="module")
def report():
    """What `benchmarks/torture/short.py` found; it has a network of its own."""
    environment = {name: value for name, value in os.environ.items() if "OFFLINE" not in name}
    ended = subprocess.run(
        [sys.executable, ROOT / "benchmarks/torture/short.py"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**environment, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert ended.stdout, f"exit code {ended.returncode}: {ended.stderr}"
    found = json.loads(ended.stdout)
    return {torture: (each["cases"], each["faults"]) for torture, each in found.items()}


@pytest.mark.parametrize(
    ("what", "cases"),
    [("picture", 3), ("folder", 3), ("pull", 6), ("pull from the hub", 3), ("training", 3)],
)
def test_after_a_kill_the_next_run_is_as_if_nothing_had_been(report, what, cases):
    assert report[f"kill a {what}"] == (cases, [])


def test_a_disk_that_is_full_at_any_write_is_said_to_be_and_nothing_is_left(report):
    cases, faults = report["full disk"]
    assert cases > 2 and not faults


@pytest.mark.parametrize(("source", "ways"), [("network", 7), ("hub", 2)])
def test_a_server_that_misbehaves_is_gone_on_with_or_given_up(report, source, ways):
    assert report[source] == (ways, [])


def test_of_two_runs_on_one_folder_one_does_it_and_the_other_is_told(report):
    assert report["two processes"] == (1, [])


def test_eight_threads_get_the_bytes_of_one(report):
    assert report["eight threads"] == (1, [])


def test_a_stream_that_fails_or_is_given_up_anywhere_leaves_no_thread_and_no_memory(report):
    assert report["interleavings"] == (8, [])


def test_ctrl_c_in_a_terminal_ends_a_folder_and_leaves_cursor_and_echo(report):
    assert report["terminal"] == (2, [])


@pytest.mark.skipif(getattr(os, "geteuid", int)() != 0, reason="only root can become another user")
def test_where_a_user_may_not_write_that_is_said_and_nothing_is_changed(report):
    assert report["refused"] == (7, [])


def test_where_memory_runs_out_the_picture_is_right_or_the_error_clean(report):
    cases, faults = report["memory"]
    assert cases > 2 and not faults


def test_a_library_that_ends_the_process_for_want_of_memory_leaves_nothing_half_written(report):
    assert report["little memory"] == (3, [])
