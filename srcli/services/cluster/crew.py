"""The workers of a run: lent to pictures, and buried when they die."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from time import monotonic, sleep
from typing import Any

from srcli.errors import SrcliError
from srcli.services.stop import Stop, StoppedError

LOOK_SECONDS = 0.5
VERDICT_SECONDS = 30.0  # until Ray knows whether a worker that cannot be reached is dead


class LostError(Exception):
    """A worker died while it had a picture; never reaches a user."""

    def __init__(self, reason: str, *, is_of_node: bool) -> None:
        super().__init__(reason)
        self.is_of_node = is_of_node  # the machine went: the picture is not to blame


@dataclass(eq=False, slots=True)
class Hand:
    """A worker as the driver holds it."""

    actor: Any  # a Ray handle, which has no type
    loading: Any  # what `Worker.load` will give
    placing: Any = None  # and `Actor.node`
    pid: int = 0
    node: str = ""
    pictures: int = 0  # that it has
    is_kept: bool = False  # for one picture alone

    def call(self, method: str, *arguments: object) -> Any:
        """What a method gives. Raises LostError where the worker is no more."""
        from ray import exceptions, get

        reference = getattr(self.actor, method).remote(*arguments)
        while True:
            try:
                return get(reference, timeout=LOOK_SECONDS)
            except exceptions.GetTimeoutError:
                continue
            except exceptions.RayTaskError:  # a bug in the worker stays one
                raise
            except exceptions.RayError as error:
                raise self._loss(error) from None

    def _loss(self, error: Exception) -> LostError:
        """Why a call failed; a picture is to blame only where its worker alone died."""
        import ray
        from ray.exceptions import ActorUnavailableError

        if isinstance(error, ActorUnavailableError):
            died = self._found_dead()
            if died is None:  # it lives, or nobody knows: the line to it is to blame
                ray.kill(self.actor)
                return LostError(str(error), is_of_node=True)
            error = died
        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        is_of_node = self.node not in alive or "node has died" in str(error)
        return LostError(str(error), is_of_node=is_of_node)

    def _found_dead(self) -> Any:
        """What Ray raises once it knows that a worker died that could not be reached, else None."""
        import ray
        from ray import exceptions

        end = monotonic() + VERDICT_SECONDS
        while monotonic() < end:
            try:
                ray.get(self.actor.node.remote(), timeout=LOOK_SECONDS)
                return None
            except (exceptions.ActorUnavailableError, exceptions.GetTimeoutError):
                sleep(LOOK_SECONDS)
            except exceptions.RayError as error:
                return error
        return None


class Crew:
    """The workers that are ready, each with room for `slots` pictures."""

    def __init__(self, slots: int, stop: Stop, *, on_note: Callable[[str], None]) -> None:
        self.slots = slots
        self._stop, self._on_note = stop, on_note
        self._changed = Condition()
        self._hands: list[Hand] = []
        self._error: SrcliError | None = None

    @property
    def hands(self) -> list[Hand]:
        """Those that are ready now."""
        with self._changed:
            return list(self._hands)

    @property
    def error(self) -> SrcliError | None:
        """Why there is no crew any more."""
        return self._error

    def add(self, hand: Hand) -> None:
        """A worker became ready."""
        with self._changed:
            self._hands.append(hand)
            self._changed.notify_all()

    def end(self, error: SrcliError) -> None:
        """Nobody will come any more: who waits is told."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    @contextmanager
    def lent(self, *, alone: bool = False) -> Iterator[Hand]:
        """A worker with room for one more picture; `alone`, it has no other.

        Raises StoppedError where the run is ending or nobody is left; `error` then says why.
        """
        hand = self._take_alone() if alone else self._take()
        try:
            yield hand
        except LostError:
            self._bury(hand)
            raise
        finally:
            with self._changed:
                hand.pictures -= 1
                hand.is_kept = hand.is_kept and not alone
                self._changed.notify_all()

    def _take(self) -> Hand:
        with self._changed:
            while (hand := self._freest()) is None:
                self._wait()
            hand.pictures += 1
            return hand

    def _take_alone(self) -> Hand:
        """Keep a worker from taking more, and wait until it has done what it has."""
        with self._changed:
            while True:
                while (hand := self._freest()) is None:
                    self._wait()
                hand.is_kept = True
                try:
                    while hand.pictures and hand in self._hands:
                        self._wait()
                except StoppedError:
                    hand.is_kept = False
                    raise
                if hand in self._hands:
                    hand.pictures = 1
                    return hand

    def _freest(self) -> Hand | None:
        free = (hand for hand in self._hands if not hand.is_kept and hand.pictures < self.slots)
        return min(free, key=lambda hand: hand.pictures, default=None)

    def _wait(self) -> None:
        if self._stop.is_set() or self._error is not None:
            raise StoppedError
        self._changed.wait(LOOK_SECONDS)

    def _bury(self, hand: Hand) -> None:
        with self._changed:
            if hand in self._hands:
                self._hands.remove(hand)
                self._on_note(f"a worker is lost (process {hand.pid}): others do its pictures")
            self._changed.notify_all()
