"""Ctrl-C twice, in a process of its own: the second ends it at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from conftest import draw, files_below

ROOT = Path(__file__).parents[2]


def test_a_second_interrupt_stops_at_once_and_the_next_run_goes_on(tiny_weights, tmp_path, srcli):
    for number in range(4):
        draw(tmp_path / f"in/{number}.png", size=(250, 250), seed=number)
    arguments = ["in", "-o", "out", "-m", tiny_weights, "-d", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "srcli", "upscale", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not files_below(tmp_path / "out"):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert "once more to stop at once" in _until(process, "once more")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert srcli("in", "-o", "out").code == 0
    assert len(files_below(tmp_path / "out")) == 4
    assert not list((tmp_path / "out").glob(".*.partial*"))


def _until(process, phrase):
    told = ""
    while phrase not in told and (line := process.stderr.readline()):
        told += line
    return told
