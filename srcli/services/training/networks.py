"""The network that is trained, and the networks that help: from names to objects."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from torch import Tensor, nn

from srcli.errors import UnavailableWeightsError, UsageError
from srcli.io.catalogue import catalogue
from srcli.io.looks import is_file
from srcli.io.tensors import read_state_dict
from srcli.losses.build import build_discriminator
from srcli.losses.spec import DiscriminatorSpec
from srcli.models.compact import CompactConfig, CompactNet, fresh_compact
from srcli.models.dialects import unwrap
from srcli.models.discriminators import load_discriminator
from srcli.models.network import Network, build_network, wrap_compact, wrap_rrdb
from srcli.models.rrdb import RRDBConfig, RRDBNet
from srcli.services.network import licence_of, read_weights
from srcli.services.weights import OnEvent, WeightsFile, ignore, obtain
from srcli.training.config import CompactSpec, NetworkSpec, PretrainedSpec, RrdbSpec

VGG = "vgg19"
UNFOLDED = {1: 4, 2: 2, 4: 1}  # the released x1 and x2 networks fold the picture first


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """How weights are got at."""

    offline: bool | None = None  # None: as the environment says
    trust: bool = False
    on_event: OnEvent = ignore

    def obtain(self, name: str) -> WeightsFile:
        """The weights of a name, file or address, fetched if need be."""
        return obtain(name, offline=self.offline, trust=self.trust, on_event=self.on_event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a network was started from."""

    name: str  # "nothing" for a fresh one
    digest: str
    licence: str


def start_network(spec: NetworkSpec, sources: Sources) -> tuple[Network, Base]:
    """The network of a training file with its start weights, ready to be trained, on the CPU.

    Raises UnknownWeightsError, UnavailableWeightsError, BadWeightsError, or UsageError for an
    architecture that srcli runs but does not train.
    """
    match spec:
        case PretrainedSpec(weights=name):
            weights = sources.obtain(name)
            network = build_network(read_weights(weights))
            _check_trainable(network, name, spec.scale)
            base = Base(name=weights.name, digest=weights.digest, licence=licence_of(weights))
        case RrdbSpec():
            config = RRDBConfig(
                channels=spec.channels,
                growth=spec.growth,
                blocks=spec.blocks,
                scale=spec.scale,
                unshuffle=UNFOLDED[spec.scale],
            )
            network, base = wrap_rrdb(RRDBNet(config)), _FRESH
        case CompactSpec(scale=scale, channels=channels, convolutions=convolutions):
            shape = CompactConfig(channels=channels, convolutions=convolutions, scale=scale)
            network, base = wrap_compact(fresh_compact(shape)), _FRESH
        case _:
            assert_never(spec)
    # A copy of its own: tensors that were read may be mapped from the file.
    return copy.deepcopy(network).requires_grad_(True).train(), base


_FRESH = Base(name="nothing", digest="", licence="your own")


def teacher_network(name: str, sources: Sources, *, scale: int) -> Network:
    """A frozen network that enlarges as much as the one in training."""
    teacher = build_network(read_weights(sources.obtain(name)))
    if teacher.scale != scale:
        raise UsageError(
            f"the teacher {name} enlarges x{teacher.scale}, the network in training x{scale}",
            hint="choose a teacher of the same scale",
        )
    return teacher


def discriminator_network(
    spec: DiscriminatorSpec, weights: str | None, sources: Sources
) -> nn.Module:
    """A discriminator, fresh or with released weights."""
    discriminator = build_discriminator(spec)
    if weights is not None:
        load_discriminator(discriminator, unwrap(read_weights(sources.obtain(weights))))
    return discriminator


def discriminator_for(network: str) -> str | None:
    """The catalogue's discriminator that was trained against these weights, if there is one."""
    entry = catalogue().find(network)
    partner = entry and catalogue().find(f"{entry.name}-netd")
    return partner.name if partner else None


def vgg_weights(file: Path | None, sources: Sources) -> dict[str, Tensor]:
    """The convolutions of VGG19: of a file in torchvision's naming, or those of the catalogue.

    Raises UnavailableWeightsError where they cannot be had.
    """
    if file is not None:
        return _convolutions(unwrap(read_state_dict(_existing(file))))
    return _convolutions(read_weights(sources.obtain(VGG)))


def has_vgg(file: Path | None, sources: Sources) -> str | None:
    """None if the weights of VGG19 are there now, fetched if need be; else why they are not."""
    try:
        vgg_weights(file, sources)
    except UnavailableWeightsError as error:
        return str(error)
    return None


def _existing(file: Path) -> Path:
    if not is_file(file):
        raise UsageError(f"no file {file}", hint="--vgg-weights takes torchvision's vgg19 file")
    return file


def _convolutions(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.float() for name, value in tensors.items() if name.startswith("features.")}


def _check_trainable(network: Network, name: str, scale: int | None) -> None:
    if scale not in (None, network.scale):
        raise UsageError(
            f"{name} enlarges x{network.scale}, not x{scale}",
            hint=f"choose weights of scale {scale}: srcli weights list",
        )
    body = network.body
    is_ours = isinstance(body, RRDBNet | CompactNet)
    if isinstance(body, RRDBNet) and (
        body.config.imagenet_normalised or body.config.upsampling == "shuffle"
    ):
        is_ours = False  # a variant that has no released naming to be saved in
    if not is_ours:
        raise UsageError(
            f"{name} is {network.traits.architecture}: srcli runs it, but does not train it",
            hint="choose weights of an RRDB (ESRGAN) or Compact network: srcli weights list",
        )
