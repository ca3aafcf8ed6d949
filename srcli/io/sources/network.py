"""Whether a host can be reached, found out in two seconds and remembered, and being offline."""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar
from urllib.parse import urlsplit

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0  # a connection may be taken, and yet nobody answers
STALL_SECONDS = 10.0  # without a byte in the middle of a file
PATIENCE_SECONDS = 20.0  # with too few bytes: a server may send one now and then, for ever
SLOWEST_BYTES = 1000  # in a second
_LOOK_SECONDS = 0.2
_PORTS = {"http": 80, "https": 443}

T = TypeVar("T")


class SourceError(Exception):
    """Why a source did not give its file, in a few words; the next source is tried."""


class HostDownError(SourceError):
    """The host of a source cannot be reached: nor can its other sources."""


class TooSlowError(SourceError):
    """A file that would take days: to ask for the rest would not make it faster."""


class Pace:
    """Raises TooSlowError where a file comes too slowly; told of all bytes that have arrived."""

    def __init__(self, patience: float | None = None) -> None:
        self._patience = PATIENCE_SECONDS if patience is None else patience
        self._since, self._before = time.monotonic(), 0

    def saw(self, done: int) -> None:
        seconds = time.monotonic() - self._since
        if seconds < self._patience:
            return
        if done - self._before < SLOWEST_BYTES * seconds:
            raise TooSlowError(f"gives less than {SLOWEST_BYTES} bytes a second")
        self._since, self._before = time.monotonic(), done


def awaited(ask: Callable[[], T], check: Callable[[], None]) -> T:
    """What `ask` gives or raises; `check` is called meanwhile, and what it raises ends the wait.

    For what may block longer than anybody waits. `ask` has a thread of its own, which is left to
    itself then.
    """
    answer: Future[T] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # whatever it is, it is the caller's
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True, name="srcli address").start()
    while not wait([answer], _LOOK_SECONDS).done:
        check()
    return answer.result()


def in_time(ask: Callable[[], T]) -> T:
    """The same; TimeoutError where it takes longer than anybody waits for an answer.

    An answer whose head comes byte by byte is noticed by no other clock.
    """
    end = time.monotonic() + PATIENCE_SECONDS

    def check() -> None:
        if time.monotonic() > end:
            raise TimeoutError

    return awaited(ask, check)


def is_offline(wish: bool | None = None) -> bool:
    """`wish`, or without one what SRCLI_OFFLINE and HF_HUB_OFFLINE say."""
    if wish is not None:
        return wish
    names = ("SRCLI_OFFLINE", "HF_HUB_OFFLINE")
    return any(os.environ.get(name, "").lower() in {"1", "true", "yes", "on"} for name in names)


class Hosts:
    """Hosts by what a connection to them came to, so that a dead one costs its time once.

    A library that is given several addresses of a host spends its time-out on each of them in
    turn, and the name service has its own. Here all addresses are tried at once, under one clock.
    """

    def __init__(self) -> None:
        self._failures: dict[tuple[str, int], str] = {}

    def require(self, url: str) -> None:
        """Raise HostDownError if the host of `url`, or the proxy before it, takes no connection."""
        address = _first_hop(url)
        if address not in self._failures:
            self._failures[address] = _connect(*address)
        if reason := self._failures[address]:
            raise HostDownError(f"{address[0]}: {reason}")

    def give_up(self, url: str) -> HostDownError:
        """Remember that the host of `url` is there but never answers; the error for it."""
        host, port = _first_hop(url)
        reason = self._failures[host, port] = "no answer"
        return HostDownError(f"{host}: {reason}")


def _first_hop(url: str) -> tuple[str, int]:
    try:
        return _hop(url)
    except ValueError as error:
        raise SourceError(f"is no address: {error}") from None


def _hop(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not urllib.request.proxy_bypass(host):
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}", scheme="http")
    return parts.hostname or host, parts.port or _PORTS.get(parts.scheme, 1080)


def _connect(host: str, port: int) -> str:
    """Nothing if a connection came about, else why not."""
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_try_all, args=(host, port, answers), daemon=True).start()
    try:
        return answers.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        return f"no connection within {CONNECT_SECONDS:.0f} s"


def _try_all(host: str, port: int, answers: queue.SimpleQueue[str]) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        answers.put("the name is not known")
        return
    reasons: list[str] = []
    attempts = [
        threading.Thread(target=_try_one, args=(place, answers, reasons), daemon=True)
        for place in {(family, address) for family, _, _, _, address in found}
    ]
    for attempt in attempts:
        attempt.start()
    for attempt in attempts:
        attempt.join()
    answers.put(reasons[0] if reasons else "")


def _try_one(
    place: tuple[int, tuple[str | int, ...]], answers: queue.SimpleQueue[str], reasons: list[str]
) -> None:
    family, address = place
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(CONNECT_SECONDS + 1)  # by then nobody waits for the answer
            connection.connect(address)
        answers.put("")
    except OSError as error:
        reasons.append((error.strerror or str(error)).lower())
