"""A process of several is lost, or told to stop: the run goes on, or stops as one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file
from test_distributed_training import run_both

from srcli.services.training.folder import RunFolder

ROOT = Path(__file__).parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]


@pytest.fixture
def config(photos, tiny_weights, tmp_path):
    """A run of 30 steps, in two parts each, that saves every 5."""
    file = tmp_path / "run.toml"
    file.write_text(
        f"""
        data.high = "{photos}"
        network.weights = "{tiny_weights}"
        network.kind = "pretrained"
        training = {{ steps = 30, batch = 2, patch_px = 32, accumulation = 2 }}
        validation.every_steps = 15
        checkpoints.every_steps = 5
        log.every_steps = 5
        losses.pixel.kind = "pixel"
        """
    )
    return file


def command(config, output):
    return ["-m", "srcli", "train", config, "-d", "cpu", "-o", output]


def wait_for(condition, process):
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.005)


def worker(launcher, rank):
    """The process of that rank below a launcher."""
    for child in psutil.Process(launcher.pid).children(recursive=True):
        if child.environ().get("RANK") == str(rank) and "srcli" in child.cmdline():
            return child
    raise AssertionError("no such process")


def numbers_of(run):
    """What the run has logged, without the times."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def test_a_run_goes_on_where_a_killed_process_left_it_as_if_nothing_had_been(config, tmp_path):
    codes, printed = run_both(*command(config, tmp_path / "whole"))
    assert codes == [0, 0], printed
    run = tmp_path / "broken"
    launcher = subprocess.Popen(
        [*TORCHRUN, "--standalone", "--max-restarts", "1", *command(config, run)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(RunFolder(run).checkpoint(10).exists, launcher)
    worker(launcher, 1).send_signal(signal.SIGKILL)
    _, told = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, told
    assert "going on from step" in told
    assert numbers_of(run) == numbers_of(tmp_path / "whole")
    one, other = (load_file(each / "last.safetensors") for each in (run, tmp_path / "whole"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
