"""How a service tells what it is doing while it does it; the command line draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from srcli.services.engine import Engine
    from srcli.services.evaluate import PictureScore
    from srcli.services.job import Job
    from srcli.services.weights import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one picture is."""

    done: float  # share of all the network's work on it, 0 to 1
    tiles_done: int  # of the pass under way
    tiles: int
    megapixels: float  # of network input, in all passes and pages


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """A network on a device, wherever that is."""

    name: str
    digest: str
    scale: int
    device: str
    precision: str  # at first: the guard may change it


class Observer:
    """Hears everything and does nothing; override what you want to know.

    Of many pictures it is called from several threads at once.
    """

    wants_megapixels = False  # whether every header shall be read ahead, for `measured`

    def weights_event(self, event: Event) -> None:
        """Weights are being fetched, or a source failed."""

    def engine_ready(self, engine: EngineFacts) -> None:
        """The network is loaded; once for each device."""

    def listed(self, sources: Sequence[str]) -> None:
        """The pictures of the run are known; again when a watched folder has new ones."""

    def measured(self, source: str, megapixels: float) -> None:
        """The header of a picture was read, long before its turn."""

    def opened(self, job: Job, engine: Engine) -> None:
        """The network begins with a picture."""

    def progressed(self, job: Job, progress: Progress) -> None:
        """A part of the picture is done."""

    def note(self, text: str) -> None:
        """Something the user should know once."""


class EvaluateObserver:
    """Hears everything and does nothing; override what you want to know."""

    def weights_event(self, event: Event) -> None:
        """Weights are being fetched, or a source failed."""

    def note(self, text: str) -> None:
        """Something the user should know once."""

    def started(self, candidate: str, description: str, pictures: int) -> None:
        """The pictures of this candidate come now."""

    def scored(self, score: PictureScore) -> None:
        """A picture is done."""
