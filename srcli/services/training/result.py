"""What is left of a run: weights that other programs load, and a report."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from srcli import __version__
from srcli.errors import BadWeightsError
from srcli.io.tensors import write_safetensors
from srcli.models.network import Network
from srcli.services.training.networks import Base
from srcli.services.training.validation import Scores
from srcli.training.config import TrainingConfig
from srcli.training.state import Training

BODY = "body."  # where our Network holds the network that has the released names


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The validation that scored highest."""

    step: int
    scores: Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """How a run ended."""

    folder: Path
    weights: Path  # to use: the best ones, or the last where none were validated
    steps: int  # done
    wanted_steps: int
    is_stopped: bool  # by the user
    best: Best | None
    before: Scores
    bicubic: Scores
    skipped_steps: int
    seconds: float
    is_first: bool = True  # of several processes, the one that wrote and is to talk

    @property
    def command(self) -> str:
        """What to type to use the weights."""
        return f"srcli upscale -m {shlex.quote(str(self.weights))} PICTURE"


def write_weights(path: Path, training: Training, metadata: dict[str, str]) -> None:
    """Write the average weights under the names of the released networks.

    Those are what spandrel loads, and so chaiNNer, ComfyUI and A1111. Raises BadWeightsError
    where a weight is not a number.
    """
    with training.average.applied():
        tensors = released_tensors(training.network)
        if not all(bool(value.isfinite().all()) for value in tensors.values()):
            raise BadWeightsError(
                f"{path} was not written: its weights are not all numbers",
                hint="an earlier checkpoint of the run is sound",
            )
        write_safetensors(path, tensors, metadata)


def released_tensors(network: Network) -> dict[str, Tensor]:
    """The weights as the released files name them."""
    return {name.removeprefix(BODY): value for name, value in network.state_dict().items()}


def metadata_of(
    config: TrainingConfig, training: Training, base: Base, scores: Scores | None
) -> dict[str, str]:
    """What a weights file says of itself; texts only, as the format has it."""
    return {
        "format": "pt",
        "software": f"srcli {__version__}",
        "architecture": training.network.traits.architecture,
        "scale": str(training.network.scale),
        "base": base.name,
        "base_sha256": base.digest,
        "licence": base.licence,
        "steps": str(training.step),
        "metrics": json.dumps(asdict(scores) if scores else {}),
        "recipe": config.model_dump_json(exclude_none=True),
    }
