"""What `srcli serve` shows: where it listens, and what to mind."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from srcli.cli import render
from srcli.cli.render import weights
from srcli.services.observer import EngineFacts, Observer

if TYPE_CHECKING:  # these import torch
    from srcli.services.weights import Event
    from srcli.web.settings import ServeSettings


class ServeView(Observer):
    """Says what a service does about itself; what it does for its clients, /metrics says."""

    def __init__(self, *, quiet: bool) -> None:
        self._talks = not quiet
        self._fetching = ExitStack()
        self._on_weights = self._fetching.enter_context(weights.events()) if self._talks else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._fetching.close()

    def weights_event(self, event: Event) -> None:
        if self._on_weights is not None:
            self._on_weights(event)

    def engine_ready(self, engine: EngineFacts) -> None:
        self.note(f"{engine.name} x{engine.scale} on {engine.device} {engine.precision}")

    def note(self, text: str) -> None:
        if self._talks:
            render.note(text)

    def warn(self, settings: ServeSettings) -> None:
        """Say who can reach it, where that is everybody."""
        if not settings.is_local and settings.api_key is None:
            self.note(
                f"everybody who reaches {settings.host} can use it: set SRCLI_API_KEY, or put it "
                "behind something that asks who is there"
            )

    def listening(self, address: str) -> None:
        """It takes pictures from now on; the address is the result, so it goes to stdout."""
        self._fetching.close()
        render.line(address)

    def ended(self) -> None:
        """A signal came, and all was done."""
        self.note("ended")
