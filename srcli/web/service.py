"""The state of a running service: its networks, its line, its folder, and who is inside."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from srcli.io.catalogue import catalogue
from srcli.services.desk import Desk, Order, Served, Ticket
from srcli.services.engine import Engine
from srcli.services.job import PictureOptions
from srcli.web.files import own_folder
from srcli.web.metrics import Metrics
from srcli.web.problems import Refusal, busy, closing
from srcli.web.settings import ServeSettings
from srcli.web.visit import Visit


class ModelFacts(BaseModel):
    """A network that may be asked for."""

    name: str = Field(examples=["realesrgan-x4plus"])
    is_default: bool
    scale: int = Field(ge=1, examples=[4], description="what one pass enlarges by")
    architecture: str = Field(examples=["rrdb"])
    licence: str | None = Field(examples=["BSD-3-Clause"], description="of the weights")
    sha256: str


class Service:
    """Everything that requests share. Close it, or leave its `with` block, to end its threads."""

    def __init__(self, engines: Sequence[Mapping[str, Engine]], settings: ServeSettings) -> None:
        self.settings, self.metrics = settings, Metrics()
        self.models = [
            _facts(name, engine, is_default=place == 0)
            for place, (name, engine) in enumerate(engines[0].items())
        ]
        self.is_closing = False
        self._resources = ExitStack()
        self._root = self._resources.enter_context(own_folder())
        self._desk = Desk(engines, result_limit=settings.limits.result_pixels)
        self._lock = Lock()
        self._uploads = self._inside = 0
        self.metrics.watch("uploads", "Pictures that are arriving", lambda: self._uploads)
        self.metrics.watch("inside", "Pictures waiting, in work or sent", lambda: self._inside)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads and remove the files."""
        self.is_closing = True
        self._desk.close(self.settings.limits.drain_seconds)
        self._resources.close()

    @property
    def is_ready(self) -> bool:
        """Whether a picture would be taken."""
        return self._desk.is_open and not self.is_closing

    @property
    def names(self) -> list[str]:
        """Of the networks, the default first."""
        return [model.name for model in self.models]

    def check_open(self) -> None:
        """Raise a Refusal where a picture would come in vain."""
        if not self.is_ready:
            raise closing()
        if self._inside >= self.settings.limits.inside:
            raise self._full()

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """While a picture arrives. Raises a Refusal where too many do."""
        with self._lock:
            if self._uploads >= self.settings.limits.uploads:
                raise busy(f"{self._uploads} pictures are arriving already")
            self._uploads += 1
        try:
            yield
        finally:
            with self._lock:
                self._uploads -= 1

    @contextmanager
    def inside(self) -> Iterator[None]:
        """While a picture is here. Raises a Refusal where too many are."""
        with self._lock:
            if self._inside >= self.settings.limits.inside:
                raise self._full()
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1

    def folder(self) -> tempfile.TemporaryDirectory[str]:
        """A folder for one request."""
        return tempfile.TemporaryDirectory(dir=self._root, ignore_cleanup_errors=True)

    def order(self, source: Path, model: str | None, options: PictureOptions) -> Ticket:
        """Hand a picture to the line."""
        order = Order(
            source=source, folder=source.parent, model=model or self.names[0], options=options
        )
        return self._desk.submit(order)

    async def result(self, ticket: Ticket, visit: Visit) -> Served:
        """Wait for a picture. Raises ClientDisconnect, a Refusal, or what ended the order."""
        seconds = self.settings.limits.work_seconds
        done = asyncio.wrap_future(ticket.result)
        gone = asyncio.ensure_future(visit.gone())
        either: set[asyncio.Future[Any]] = {done, gone}
        try:
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if done.done():
                served = done.result()
                self.metrics.served(served)
                return served
            done.cancel()  # only this waiting for it
            raise ClientDisconnect if gone.done() else _too_long(seconds)
        finally:
            gone.cancel()

    def _full(self) -> Refusal:
        return busy(f"{self.settings.limits.inside} pictures are here already")


def _facts(name: str, engine: Engine, *, is_default: bool) -> ModelFacts:
    entry = catalogue().find(engine.loaded.name)
    return ModelFacts(
        name=name,
        is_default=is_default,
        scale=engine.scale,
        architecture=engine.loaded.network.traits.architecture,
        licence=None if entry is None else entry.licence,
        sha256=engine.loaded.digest,
    )


def _too_long(seconds: float) -> Refusal:
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too-long",
        "The picture took too long",
        detail=f"it was not done after {seconds:g} seconds, and was given up",
        hint="send a smaller picture, ask for a smaller network, or try again later",
        headers={"Retry-After": "60"},
    )
