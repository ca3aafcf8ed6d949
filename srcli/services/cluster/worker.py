"""What runs on the cluster: one network on one device, and the pictures on their way through it.

The driver calls from several threads. `open` brings a picture here and settles what it becomes,
`run` does it: so the driver can write down what begins before anything can appear. Several
pictures are here at once, and one of them in the network: their codecs work beside it.

Nothing here knows Ray. Failures of a picture come back as values, for they are no failures of the
worker.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import torch

from srcli import __version__
from srcli.errors import SrcliError, UsageError
from srcli.io.addresses import Address, Remote
from srcli.services.cluster.weights import Recipe, load_recipe
from srcli.services.depot import Depot, Slot
from srcli.services.engine import Engine, EngineOptions
from srcli.services.fingerprint import Content, content_of, quick_content_of
from srcli.services.gate import Gate
from srcli.services.job import Job, PictureOptions, open_job, read_ahead
from srcli.services.line import gate_limit
from srcli.services.observer import EngineFacts, Observer
from srcli.services.stop import Stop, StoppedError
from srcli.services.targets import Place
from srcli.services.upscale import UpscaleReport, finish_job, run_job, store_result


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A picture to open."""

    number: int  # by which the driver names it from then on
    source: Address
    target: Address | Place
    options: PictureOptions
    content: Content | None = None  # what a listing told of it
    returns_result: bool = False  # the driver takes it away, as bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """What a picture will become, and its content, digested."""

    target: Address
    content: Content


@dataclass(frozen=True, slots=True)
class Ended:
    """How a picture ended; with its bytes where the driver takes them."""

    report: UpscaleReport
    result: bytes | None


@dataclass(slots=True)
class _Work:
    job: Job
    slot: Slot
    returns_result: bool


class Worker:
    """Started by the driver with a version that must be its own."""

    def __init__(self, version: str, options: EngineOptions, threads: int) -> None:
        self._driver, self._options, self._threads = version, options, threads
        self._depot, self._stop = Depot(), Stop()
        self._gate = Gate(gate_limit())
        self._turn = Lock()  # of the network
        self._works: dict[int, _Work] = {}
        self._engine: Engine | None = None
        self._notes: list[str] = []

    def load(
        self, recipe: Recipe, get: Sequence[Callable[[], bytes]]
    ) -> tuple[EngineFacts, int] | SrcliError:
        """Build the network, once; the process and what it is ready with."""
        if self._driver != __version__:
            return UsageError(
                f"the worker on {platform.node()} has srcli {__version__}, this is {self._driver}",
                hint="install the same version on every machine of the cluster",
            )
        try:
            torch.set_num_threads(self._threads)
            loaded = load_recipe(recipe, get)
            self._engine = Engine(loaded, self._options, on_note=self._notes.append)
        except SrcliError as error:
            return error
        return self._engine.facts, os.getpid()

    def open(self, order: Order, data: bytes | None = None) -> Opened | SrcliError:
        """Bring a picture here, read its header and settle its place."""
        assert self._engine is not None
        slot = Slot(self._depot, is_elsewhere=order.returns_result)
        try:
            quick = order.content
            if data is not None:
                file = slot.take(data, order.source)
            else:
                quick = quick or quick_content_of(order.source)
                file = slot.fetch(order.source, quick.bytes)
            content = content_of(file, quick)
            job = open_job(self._engine, order.source, order.target, order.options, slot)
        except BaseException as error:
            slot.close()
            if isinstance(error, SrcliError):
                return error
            raise
        assert isinstance(job.target, Path | Remote)
        self._works[order.number] = _Work(job, slot, order.returns_result)
        return Opened(job.target, content)

    def run(self, number: int) -> Ended | SrcliError | None:
        """Do an opened picture; None where it was given up because the run is ending."""
        work = self._works.pop(number)
        held = work.job.held_bytes
        self._gate.enter(held)
        try:
            return self._done(work)
        except StoppedError:
            return None
        except SrcliError as error:
            return error
        finally:
            self._gate.leave(held)
            _free(work)

    def drop(self, number: int) -> None:
        """Forget an opened picture."""
        work = self._works.pop(number, None)
        if work is not None:
            _free(work)

    def stop(self) -> None:
        """Give up what the network has not done."""
        self._stop.set()

    def _done(self, work: _Work) -> Ended:
        assert self._engine is not None
        job = work.job
        self._go_on_or_stop()
        read_ahead(job)
        with self._turn:
            self._go_on_or_stop()
            torch.set_num_threads(self._threads)  # a setting of each thread
            self._notes.clear()
            run_job(self._engine, job, Observer(), self._stop)
            notes = tuple(self._notes)
        report = finish_job(self._engine, job)
        report = replace(report, notes=(*report.notes, *notes))
        if work.returns_result:
            assert isinstance(job.file, Path)
            return Ended(report, job.file.read_bytes())
        store_result(job)
        return Ended(report, None)

    def _go_on_or_stop(self) -> None:
        if self._stop.is_set():
            raise StoppedError


def _free(work: _Work) -> None:
    work.job.close()
    work.slot.close()
