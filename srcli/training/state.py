"""Everything that moves in a run, and all of it as one value that a file can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from srcli.errors import ConfigError
from srcli.losses.stack import LossStack
from srcli.models.network import Network
from srcli.training.adversary import Adversary
from srcli.training.distributed import Processes
from srcli.training.ema import WeightAverage
from srcli.training.guard import Guard
from srcli.training.schedule import RateSchedule
from srcli.training.watch import Watch

State = dict[str, Any]  # tensors, numbers, texts, lists: what torch.load(weights_only=True) takes
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What does not change in a run."""

    steps: int
    rate: float
    schedule: RateSchedule
    adversary_rate: float = 0.0
    warmup_steps: int = 0  # first steps, in which only the discriminator learns
    gradient_clip: float = 0.0  # 0 clips nothing
    dtype: torch.dtype = torch.float32  # that networks compute in; weights are float32


@dataclass(slots=True, kw_only=True)
class Training:
    """The objects of a run. `forward` is the network, perhaps compiled or distributed."""

    plan: Plan
    network: Network
    optimizer: torch.optim.Optimizer
    losses: LossStack
    average: WeightAverage
    guard: Guard
    watch: Watch
    scaler: torch.amp.GradScaler
    adversary: Adversary | None = None
    processes: Processes = field(default_factory=Processes)
    forward: Callable[[Tensor], Tensor]
    step: int = 0  # steps done

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.network.parameters()).device


def capture(training: Training) -> State:
    """The state of a run; its tensors are the run's own, so write or copy it before the next step.

    What belongs to the pictures (their place in the stream) is the caller's to add.
    """
    adversary = training.adversary
    return {
        "format": FORMAT,
        "architecture": architecture_of(training.network),
        "step": training.step,
        "network": training.network.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "average": training.average.state_dict(),
        "losses": training.losses.state_dict(),
        "guard": training.guard.state_dict(),
        "watch": training.watch.state_dict(),
        "scaler": training.scaler.state_dict(),
        "adversary": None if adversary is None else adversary.state_dict(),
        "random": random_state(),
    }


def restore(training: Training, state: State) -> None:
    """Go on from a captured state; ConfigError where it is of another run's make."""
    _check(training, state)
    training.network.load_state_dict(state["network"])
    training.optimizer.load_state_dict(state["optimizer"])
    training.average.load_state_dict(state["average"])
    training.losses.load_state_dict(state["losses"])
    training.guard.load_state_dict(state["guard"])
    training.watch.load_state_dict(state["watch"])
    training.scaler.load_state_dict(state["scaler"])
    if training.adversary is not None:
        training.adversary.load_state_dict(state["adversary"])
    training.step = state["step"]
    set_random_state(state["random"])


def weights_are_finite(training: Training) -> bool:
    """Whether a network can be gone on with; this waits for the device."""
    norms = torch._foreach_norm([each.detach() for each in training.network.parameters()])
    return bool(torch.stack(norms).isfinite().all())


def architecture_of(network: Network) -> str:
    """What two networks have in common whose weights fit each other."""
    tensors = network.state_dict().values()
    numbers = sum(value.numel() for value in tensors)
    kind = f"{network.traits.architecture}, x{network.scale}"
    return f"{kind}, {numbers} numbers in {len(tensors)} tensors"


def random_state() -> State:
    """The state of torch's generators."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def set_random_state(state: Mapping[str, Any]) -> None:
    """Set torch's generators as they were."""
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def _check(training: Training, state: State) -> None:
    ours = architecture_of(training.network)
    if state.get("format") != FORMAT:
        raise ConfigError(
            "the checkpoint was written by another version of srcli",
            hint="start a new run from its last.safetensors with --model",
        )
    if state["architecture"] != ours:
        raise ConfigError(
            f"the checkpoint is of another architecture: {state['architecture']}, not {ours}",
            hint="resume with the [network] the run was started with",
        )
    ours_too = None if training.adversary is None else training.adversary.state_dict()
    if _shapes(state["adversary"]) != _shapes(ours_too):
        raise ConfigError(
            "the checkpoint has another discriminator",
            hint="resume with the [losses] and [discriminator] the run was started with",
        )


def _shapes(adversary: State | None) -> dict[str, torch.Size] | None:
    """The shapes of the discriminator in an adversary's state."""
    if adversary is None:
        return None
    return {name: value.shape for name, value in adversary["discriminator"].items()}
