"""Starting workers: as many as there is room for, again for each that died, more on new machines.

Ray would restart an actor by itself, but calls to one that finds no room again would wait for ever.
So a dead worker is replaced by a new one, which joins the crew when it is ready; until then, and
where there is no room for it, the others do the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from threading import Event, Thread
from time import monotonic
from typing import Any, Self

import ray
from ray.exceptions import RayError

from srcli import __version__
from srcli.errors import ResourceError, SrcliError
from srcli.services.cluster.connect import Shape
from srcli.services.cluster.crew import LOOK_SECONDS, Crew, Hand
from srcli.services.cluster.weights import Recipe
from srcli.services.cluster.worker import Worker
from srcli.services.engine import EngineOptions
from srcli.services.observer import EngineFacts
from srcli.services.stop import Stop

NODES_SECONDS = 5.0  # between two looks for machines
NOTE_SECONDS = 15.0  # without a worker, after which somebody should know
PATIENCE_SECONDS = 600.0  # without a worker, after which the run ends
MOST_FALSE_STARTS = 3  # in a row, of workers that die before they are ready
GROWTH = 4  # times the machines of the beginning may join later
_CALLS_BESIDE = 4  # that a worker hears while all its pictures are at work


class Actor(Worker):
    """A worker that can say on which machine it is."""

    def node(self) -> str:
        """Ray's name for the machine."""
        return str(ray.get_runtime_context().get_node_id())


class Starter:
    """Starts workers of one kind."""

    def __init__(
        self, shape: Shape, engine: EngineOptions, recipe: Recipe, files: list[bytes]
    ) -> None:
        self.shape = shape
        self._engine = replace(engine, device=shape.device)
        self._recipe = recipe
        # Each file once for all workers; one that has it in its cache does not ask for it.
        self._files = [partial(ray.get, ray.put(data)) for data in files]
        self._actor = ray.remote(Actor).options(
            num_cpus=shape.cpus,
            num_gpus=shape.gpus,
            max_concurrency=shape.slots + _CALLS_BESIDE,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )

    def start(self) -> Hand:
        """Ask for a worker; it is ready when `loading` is."""
        actor = self._actor.remote(__version__, self._engine, self.shape.cpus)
        return Hand(actor, actor.load.remote(self._recipe, self._files), actor.node.remote())


class Hiring:
    """Keeps a crew filled while the block lasts."""

    def __init__(
        self,
        crew: Crew,
        starter: Starter,
        stop: Stop,
        *,
        most: int | None,
        on_ready: Callable[[EngineFacts], None],
        on_note: Callable[[str], None],
    ) -> None:
        self._crew, self._starter, self._stop, self._most = crew, starter, stop, most
        self._on_ready, self._on_note = on_ready, on_note
        self._starting: list[Hand] = []
        self._false_starts = 0
        self._room, self._looked = 0, float("-inf")
        self._seen = self._told = monotonic()  # a worker; a note
        self._is_over = Event()
        self._thread = Thread(target=self._serve, daemon=True, name="srcli hiring")

    @property
    def most_workers(self) -> int:
        """More than there will ever be at once, as far as can be told now."""
        return self._most or max(GROWTH * self._starter.shape.room(ray.nodes()), 1)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        for hand in (*self._crew.hands, *self._starting):
            ray.kill(hand.actor)

    def _serve(self) -> None:
        told = False
        while not self._is_over.wait(0 if self._starting else LOOK_SECONDS):
            if self._stop.is_set() and not told:
                told = True
                for hand in self._crew.hands:
                    hand.actor.stop.remote()
            try:
                error = self._step_or_error()
            except BaseException:  # or who waits for a worker would wait for ever
                self._end(
                    ResourceError("no more workers are hired", hint="this is a bug: report it")
                )
                raise
            if error is not None:
                self._end(error)
                return

    def _end(self, error: SrcliError) -> None:
        self._crew.end(error)
        self._stop.set()  # what was not begun will not be

    def _step_or_error(self) -> SrcliError | None:
        try:
            self._step()
        except SrcliError as error:
            return error
        except (RayError, ConnectionError, RuntimeError) as error:  # of a cluster that is gone
            return ResourceError(
                f"the cluster is gone: {error}", hint="start it, then run this again: it goes on"
            )
        return None

    def _step(self) -> None:
        now = monotonic()
        if now - self._looked > NODES_SECONDS:
            self._looked, self._room = now, self._starter.shape.room(ray.nodes())
        wanted = min(self._room, self._most or self._room)
        if not self._stop.is_set():
            missing = wanted - len(self._crew.hands) - len(self._starting)
            self._starting += [self._starter.start() for _ in range(missing)]
        loading = [hand.loading for hand in self._starting]
        ready = ray.wait(loading, timeout=LOOK_SECONDS)[0] if loading else []
        for hand in [hand for hand in self._starting if hand.loading in ready]:
            self._starting.remove(hand)
            self._welcome(hand)
        self._look_at_the_clock(now)

    def _welcome(self, hand: Hand) -> None:
        try:
            loaded = ray.get(hand.loading)
            hand.node = ray.get(hand.placing)
        except RayError as error:
            self._false_starts += 1
            if self._false_starts >= MOST_FALSE_STARTS and not self._crew.hands:
                raise _dying(error) from None
            return
        if isinstance(loaded, SrcliError):
            raise loaded
        facts, hand.pid = loaded
        self._false_starts = 0
        self._on_ready(facts)
        self._crew.add(hand)

    def _look_at_the_clock(self, now: float) -> None:
        if self._crew.hands:
            self._seen = self._told = now
        if now - self._seen > PATIENCE_SECONDS:
            raise ResourceError(
                f"the cluster had no room for a worker in {PATIENCE_SECONDS:.0f} s",
                hint="look at `ray status`, then run this again: it goes on",
            )
        if now - self._told > NOTE_SECONDS:
            self._told = now
            self._on_note(f"no worker yet: {_free()}")


def _free() -> str:
    free = ray.available_resources()
    return f"{free.get('CPU', 0):.0f} cores and {free.get('GPU', 0):.0f} GPUs are free"


def _dying(error: Exception) -> ResourceError:
    lines: list[Any] = [line for line in str(error).splitlines() if line.strip()]
    return ResourceError(
        f"workers die before they are ready: {lines[-1].strip() if lines else error}",
        hint="install srcli on every machine of the cluster, and look into Ray's logs",
    )
