"""The tortures of benchmarks/torture in small, each with the same seed every time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="its processes fork"),
    pytest.mark.skipif(
        "SRCLI_TORTURE" not in os.environ, reason="minutes: SRCLI_TORTURE=1 runs it"
    ),
]


@pytest.fixture(scope="module")
def report():
    """What `benchmarks/torture/short.py` found."""
    ended = subprocess.run(
        [sys.executable, ROOT / "benchmarks/torture/short.py"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert ended.stdout, ended.stderr
    found = json.loads(ended.stdout)
    return {torture: (each["cases"], each["faults"]) for torture, each in found.items()}


@pytest.mark.parametrize("torture", ["kill a picture", "kill a pull"])
def test_after_a_kill_the_next_run_is_as_if_nothing_had_been(report, torture):
    assert report[torture] == (4, [])


def test_a_disk_that_is_full_at_any_write_is_said_to_be_and_nothing_is_left(report):
    cases, faults = report["full disk"]
    assert cases > 2 and not faults


def test_a_server_that_misbehaves_is_gone_on_with_or_given_up(report):
    assert report["network"] == (7, [])


def test_a_stream_that_fails_or_is_given_up_anywhere_leaves_no_thread_and_no_memory(report):
    assert report["interleavings"] == (25, [])


def test_where_memory_runs_out_the_picture_is_right_or_the_error_clean(report):
    cases, faults = report["memory"]
    assert cases > 8 and not faults
