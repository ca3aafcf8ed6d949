"""How a service tells what it is doing while it does it; the command line draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from srcli.services.engine import Engine
    from srcli.services.upscale import Job
    from srcli.services.weights import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one picture is."""

    done: float  # share of all the network's work on it, 0 to 1
    tiles_done: int  # of the pass under way
    tiles: int
    megapixels: float  # of network input, in all passes and pages


class Observer:
    """Hears everything and does nothing; override what you want to know."""

    def weights_event(self, event: Event) -> None:
        """Weights are being fetched, or a source failed."""

    def engine_ready(self, engine: Engine) -> None:
        """The network is loaded."""

    def opened(self, job: Job, plan: str) -> None:
        """A picture's header was read and the work on it begins."""

    def progressed(self, progress: Progress) -> None:
        """A part of the picture is done."""

    def note(self, text: str) -> None:
        """Something the user should know once."""
