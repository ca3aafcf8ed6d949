"""One of the processes of `test_distributed_training`: its gradients, written to a file."""

import sys
from pathlib import Path

import torch
from training_tools import CPU, DISTRIBUTED, FixedFeed, gradients, tiny

from srcli.training.distributed import joined
from srcli.training.loop import accumulate

if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined(CPU) as processes:
        training = tiny(DISTRIBUTED, processes=processes)
        training.adversary.discriminator.eval()  # see the test
        joint = FixedFeed(batch=4)
        mine = FixedFeed(batch=2, parts=2)
        mine.low, mine.high = (each.chunk(2)[processes.rank] for each in (joint.low, joint.high))
        accumulate(training, mine.pairs(), parts=2)
        for optimizer in training.losses.optimizers():
            processes.average_gradients(optimizer.param_groups[0]["params"])
        processes.average_gradients(training.adversary.discriminator.parameters())
        found = {
            "generator": gradients(training.network),
            "discriminator": gradients(training.adversary.discriminator),
            "variance": training.losses.balance.log_variance.grad,
        }
        torch.save(found, Path(sys.argv[1]) / f"{processes.rank}.pt")
