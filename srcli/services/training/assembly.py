"""All objects of a run from its configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from srcli.losses.build import build_losses
from srcli.models.network import Network
from srcli.services.training.networks import Sources, discriminator_network, vgg_weights
from srcli.training.adversary import Adversary
from srcli.training.config import AdversarySpec, OptimizerSpec, TrainingConfig
from srcli.training.defaults import Settled
from srcli.training.distributed import Processes
from srcli.training.ema import WeightAverage
from srcli.training.guard import Guard
from srcli.training.schedule import with_warmup
from srcli.training.state import Plan, Training
from srcli.training.watch import Watch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Helpers:
    """The networks that a loss asks for, where it does."""

    discriminator: nn.Module | None = None
    vgg: Mapping[str, Tensor] | None = None


def gather_helpers(config: TrainingConfig, vgg_file: Path | None, sources: Sources) -> Helpers:
    """Fetch what the losses need; WeightsError where it cannot be had."""
    discriminator = None
    if config.discriminator is not None:
        weights = config.adversary.weights if config.adversary is not None else None
        discriminator = discriminator_network(config.discriminator, weights, sources)
    vgg = vgg_weights(vgg_file, sources) if config.needs_vgg else None
    return Helpers(discriminator=discriminator, vgg=vgg)


def assemble(
    config: TrainingConfig,
    settled: Settled,
    network: Network,
    helpers: Helpers,
    *,
    device: torch.device,
    processes: Processes | None = None,
) -> Training:
    """The objects of a run, on the device, in channels-last order."""
    processes = processes or Processes()
    network = network.to(device).to(memory_format=torch.channels_last)
    discriminator = helpers.discriminator
    if discriminator is not None:
        discriminator = discriminator.to(device).to(memory_format=torch.channels_last).train()
    losses = build_losses(
        config,
        last_layer=last_convolution(network),
        discriminator=discriminator,
        vgg=helpers.vgg,
        average=processes.average,
    )
    adversary, spec = None, config.adversary or AdversarySpec()
    if losses.adversarial is not None:
        moved = OptimizerSpec(
            kind=config.optimizer.kind, learning_rate=spec.learning_rate, betas=spec.betas
        )
        parameters = losses.adversarial.discriminator.parameters()
        adversary = Adversary(losses.adversarial, build_optimizer(moved, list(parameters), device))
    return Training(
        plan=_plan(config, settled, spec),
        network=network,
        optimizer=build_optimizer(config.optimizer, list(network.parameters()), device),
        losses=losses,
        average=WeightAverage(network, settled.decay),
        guard=Guard(
            patience=config.guard.patience,
            lower_by=config.guard.lower_by,
            recovery_steps=config.guard.recovery_steps,
        ),
        watch=Watch(drift_levels=config.guard.drift_levels),
        scaler=torch.amp.GradScaler(device.type, enabled=settled.precision == "fp16"),
        adversary=adversary,
        processes=processes,
        forward=_forward(network, config, device, processes),
    )


def build_optimizer(
    spec: OptimizerSpec, parameters: list[nn.Parameter], device: torch.device
) -> torch.optim.Optimizer:
    """Adam or AdamW, in one kernel for all parameters where the device has it."""
    kinds: dict[str, type[torch.optim.Adam]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
    }
    return kinds[spec.kind](
        parameters,
        lr=spec.learning_rate,
        betas=spec.betas,
        weight_decay=spec.weight_decay,
        fused=device.type in ("cuda", "cpu"),
    )


def last_convolution(network: nn.Module) -> nn.Parameter:
    """The weights that the picture comes out of."""
    *_, last = (each for each in network.modules() if isinstance(each, nn.Conv2d))
    assert isinstance(last.weight, nn.Parameter)
    return last.weight


def _plan(config: TrainingConfig, settled: Settled, adversary: AdversarySpec) -> Plan:
    return Plan(
        steps=settled.steps,
        rate=config.optimizer.learning_rate,
        schedule=with_warmup(config.schedule, settled.steps),
        adversary_rate=adversary.learning_rate,
        warmup_steps=settled.warmup_steps if config.is_gan else 0,
        gradient_clip=config.training.gradient_clip,
        dtype=DTYPES[settled.precision],
    )


def _forward(
    network: Network, config: TrainingConfig, device: torch.device, processes: Processes
) -> Callable[[Tensor], Tensor]:
    if config.training.compile:
        network.compile()  # in place: the names of its parameters stay
    if processes.ranks == 1:
        return network
    places = [device.index or 0] if device.type == "cuda" else None
    return DistributedDataParallel(network, device_ids=places, gradient_as_bucket_view=True)
