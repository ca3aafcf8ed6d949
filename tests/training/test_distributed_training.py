"""Two processes that talk over gloo on one CPU."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_tools import DISTRIBUTED, FixedFeed, gradients, tiny

from srcli.training.distributed import Processes
from srcli.training.loop import accumulate

HERE = Path(__file__).parent


def run_both(*command):
    """Run a command as torchrun would, twice: the exit codes and what was printed."""
    processes = start_both(*command)
    printed = [process.communicate(timeout=120) for process in processes]
    return [process.returncode for process in processes], printed


def start_both(*command):
    """Start a command as torchrun would, twice."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parents[1]))),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }
    return [
        subprocess.Popen(
            [sys.executable, *map(str, command)],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]


def test_two_processes_have_the_gradients_of_one_with_the_joint_batch(tmp_path):
    codes, printed = run_both(HERE / "distributed_worker.py", tmp_path)
    assert codes == [0, 0], printed
    one, two = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    alone = tiny(DISTRIBUTED)
    # Spectral norm refines its estimate with each pass, and two parts are two passes: held still.
    alone.adversary.discriminator.eval()
    accumulate(alone, FixedFeed(batch=4).pairs(), parts=1)
    expected = {
        "generator": gradients(alone.network),
        "discriminator": gradients(alone.adversary.discriminator),
        "variance": alone.losses.balance.log_variance.grad,
    }
    for name, gradient in expected.items():
        assert torch.equal(one[name], two[name])
        error = (one[name] - gradient).norm() / gradient.norm()
        assert error < 1e-5, name  # sums in another order, in float32


@pytest.mark.parametrize("values", [torch.ones(3), torch.zeros(())])
def test_one_process_has_nobody_to_talk_to(values):
    alone = Processes()
    assert torch.equal(alone.average(values), values)
    assert torch.equal(alone.any(values), values)
    alone.wait()
