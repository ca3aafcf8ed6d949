"""How a training run tells what it is doing; the command line draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from srcli.services.training.pictures import Pictures
    from srcli.services.training.validation import Scores
    from srcli.services.weights import Event
    from srcli.training.defaults import Settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a run is, before its first step."""

    folder: Path
    network: str  # architecture and scale
    base: str  # the weights it starts from
    losses: tuple[str, ...]  # their names
    device: str
    settled: Settled
    parts: int  # that a batch goes through the network in
    first_step: int  # steps done already
    training_pictures: int
    validation_pictures: int
    is_first: bool  # of several processes, the one that is to talk


class TrainingObserver:
    """Hears everything and does nothing; override what you want to know."""

    def weights_event(self, event: Event) -> None:
        """Weights are being fetched, or a source failed."""

    def surveyed(self, pictures: Pictures) -> None:
        """The folder was looked through."""

    def began(self, beginning: Beginning) -> None:
        """The first step comes next."""

    def advanced(self, step: int) -> None:
        """A step was done."""

    def logged(self, step: int, numbers: Mapping[str, float]) -> None:
        """An interval is over."""

    def validated(self, step: int, scores: Scores, *, is_best: bool) -> None:
        """The network was scored; step 0 is before the training."""

    def note(self, text: str) -> None:
        """Something the user should know once."""

    def warning(self, text: str) -> None:
        """Something went wrong that the run lived through; a note, unless you say otherwise."""
        self.note(text)
