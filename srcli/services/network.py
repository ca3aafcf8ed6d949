"""From a name or a file to a ready network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from srcli.errors import UsageError
from srcli.io.ncnn import read_ncnn
from srcli.io.tensors import read_metadata, read_state_dict
from srcli.models.dialects import unwrap
from srcli.models.ncnn import state_dict_from_ncnn
from srcli.models.network import Network, build_network
from srcli.services.weights import Event, WeightsFile, obtain

DEFAULT_MODEL = "realesrgan-x4plus"
SHIPPED_MODEL = "swift"  # comes with srcli


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedNetwork:
    """A network with where it came from."""

    network: Network
    name: str
    digest: str  # of the weights file, sha256


def load_network(
    name_or_file: str | Path = DEFAULT_MODEL,
    *,
    offline: bool | None = None,
    trust: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
) -> LoadedNetwork:
    """The network of a catalogue name, an alias, a file or `hf://owner/repo/file`.

    In fp32, on the CPU, in evaluation mode. Raises UnknownWeightsError, UnavailableWeightsError
    or BadWeightsError.
    """
    weights = obtain(str(name_or_file), offline=offline, trust=trust, on_event=on_event)
    return LoadedNetwork(
        network=build_network(read_weights(weights)), name=weights.name, digest=weights.digest
    )


def read_weights(weights: WeightsFile) -> dict[str, Tensor]:
    """The bare state dict in a weights file of any kind."""
    if len(weights.files) == 2:
        return state_dict_from_ncnn(read_ncnn(*weights.files))
    return unwrap(read_state_dict(weights.files[0]))


def licence_of(weights: WeightsFile) -> str:
    """What the catalogue says, or who gave the file, or the file itself; else "unknown"."""
    if weights.entry is not None:
        return weights.entry.licence
    if weights.licence:
        return weights.licence
    stated = read_metadata(weights.files[0]).get("licence") if len(weights.files) == 1 else None
    return stated or "unknown"


def blend(first: LoadedNetwork, second: LoadedNetwork, share: float) -> LoadedNetwork:
    """Network interpolation (ESRGAN, arXiv:1809.00219, section 3.4): `share` of the second.

    Every parameter is (1 - share)·first + share·second. Raises UsageError when the two are of
    different architectures or sizes, or the share lies outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise UsageError(f"a share of {share} is none", hint="say a number from 0 to 1")
    ours, theirs = first.network.state_dict(), second.network.state_dict()
    shapes = [{name: value.shape for name, value in each.items()} for each in (ours, theirs)]
    if shapes[0] != shapes[1] or first.network.traits != second.network.traits:
        raise UsageError(
            f"{first.name} ({first.network.traits.architecture}) and {second.name} "
            f"({second.network.traits.architecture}) cannot be blended",
            hint="blend weights of one architecture and size",
        )
    mixed = {
        # What is no number to mix is an index table of the architecture, the same in both.
        name: torch.lerp(value, theirs[name], share) if value.is_floating_point() else value
        for name, value in ours.items()
    }
    first.network.load_state_dict(mixed)
    return LoadedNetwork(
        network=first.network,
        name=blended_name(first.name, second.name, share=share),
        digest=blended_name(first.digest, second.digest, share=share),
    )


def blended_name(*names: str, share: float) -> str:
    """What one set of weights, or a blend of two, is called.

    >>> blended_name("a", share=0), blended_name("a", "b", share=0.3)
    ('a', 'a+b=0.3')
    """
    return names[0] if len(names) == 1 else f"{names[0]}+{names[1]}={share:g}"


def parse_blend(text: str) -> tuple[str, float]:
    """`OTHER=0.3` as its two parts. Raises UsageError for anything else."""
    name, equals, share = text.rpartition("=")
    try:
        if name and equals:
            return name, float(share)
    except ValueError:
        pass
    raise UsageError(f"--blend {text!r} is not understood", hint="write it as OTHER=0.3")
