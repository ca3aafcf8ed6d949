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
from test_distributed_training import run_both, start_both

from srcli.errors import DiskFullError, OutputError, TrainingError, UsageError
from srcli.services.training.folder import RunFolder
from srcli.services.training.observer import TrainingObserver
from srcli.services.training.preparation import RunOptions
from srcli.services.training.request import train_file
from srcli.training.distributed import Processes

ON_CPU = RunOptions(device="cpu")
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
    """What the run has measured, without the times."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    measured = [line for line in lines if line["type"] in ("train", "validation")]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in measured]


def test_a_run_goes_on_where_a_killed_process_left_it_as_if_nothing_had_been(config, tmp_path):
    codes, ((first, _), (second, quiet)) = run_both(*command(config, tmp_path / "whole"))
    assert codes == [0, 0]
    assert first.startswith("srcli upscale -m") and (second, quiet) == ("", "")  # one talks
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


def test_a_signal_to_one_process_stops_and_saves_the_run_of_all(config, tmp_path):
    run = tmp_path / "run"
    processes = start_both(*command(config, run))
    wait_for(RunFolder(run).checkpoint(5).exists, processes[0])
    processes[1].send_signal(signal.SIGTERM)
    assert [process.wait(60) for process in processes] == [130, 130]
    step, _ = RunFolder(run).newest()
    stopped = int(step.stem.removeprefix("step-"))
    assert 5 <= stopped < 30 and numbers_of(run)[-1]["step"] <= stopped


@pytest.fixture
def torchrun(monkeypatch):
    """What torchrun tells its processes, at the first start or another."""

    def set_up(restarts):
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "7")
        monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restarts))

    return set_up


def test_a_run_that_may_be_restarted_must_have_a_folder_that_can_be_found(config, torchrun):
    torchrun(0)
    with pytest.raises(UsageError, match="find its folder"):
        train_file(config, None, ON_CPU)


def test_a_restart_goes_on_with_its_own_run_and_with_no_other(
    config, torchrun, tmp_path, monkeypatch
):
    run = tmp_path / "run"
    torchrun(0)
    assert train_file(config, run, ON_CPU).steps == 30
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "another")
    for restarts in (0, 1):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restarts))
        with pytest.raises(OutputError, match="holds a run already"):
            train_file(config, run, ON_CPU)
    torchrun(1)
    noted = Notes()
    train_file(config, run, ON_CPU, noted)
    assert noted.texts == ["going on from step 30 (step-000030.pt)"]


class Notes(TrainingObserver):
    """Remembers what is said."""

    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


def test_where_one_process_fails_the_others_stop_too():
    other, own = Heard(rank=1, ranks=2), DiskFullError("full", hint="free some")
    with pytest.raises(TrainingError, match="another process"), other.together(torch.device("cpu")):
        pass
    with pytest.raises(DiskFullError), other.together(torch.device("cpu")):
        raise own


class Heard(Processes):
    """One of two processes, of which one has failed."""

    def any(self, flags):
        return torch.ones_like(flags)
