"""uvicorn with an end to its patience: silent heads, readers that do not read, signals."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from srcli.errors import UsageError
from srcli.web.api import build_app
from srcli.web.service import Service
from srcli.web.settings import Limits, ServeSettings

_BACKLOG = 256
_HEAD_BYTES = 16 << 10
_KEEP_ALIVE_SECONDS = 30  # shorter, and clients meet a connection that is just being closed
_FULL = (
    b'{"type":"urn:srcli:problem:busy","title":"The service has its hands full","status":503,'
    b'"detail":"too many connections are open","hint":"try again in 2 seconds","errors":[]}'
)
_FULL_HEAD = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
    b"Content-Length: %d\r\nRetry-After: 2\r\nConnection: close\r\n\r\n"
) % len(_FULL)


def listen(settings: ServeSettings) -> socket.socket:
    """The socket of the service. Raises UsageError where it cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"the service cannot listen on {settings.host}:{settings.port}: {error}",
            hint="name another --port or --host, or end what listens there",
        ) from None


def server_of(service: Service) -> uvicorn.Server:
    """A server that runs until a signal comes, then finishes what is under way."""
    limits = service.settings.limits
    # It warns of every odd request, which would let anybody fill a log; errors are bugs.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = uvicorn.Config(
        build_app(service),
        http=type("Impatient", (Impatient,), {"limits": limits}),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(round(limits.drain_seconds), 1),
        h11_max_incomplete_event_size=_HEAD_BYTES,
    )
    return _Server(config, service)


class _Server(uvicorn.Server):
    """Ends politely at the first signal, at once at the second."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn's own raises the signal again, which would end the program before it is tidy."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals come to the main thread only
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.is_closing = True
        self.force_exit = self.should_exit
        self.should_exit = True


class Impatient(H11Protocol):
    """uvicorn's HTTP without connections that are one too many, or on which nothing goes on."""

    limits = Limits()
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.write(_FULL_HEAD + _FULL)
            transport.close()
        self._give_up_later()  # unless a head comes

    def connection_lost(self, exc: Exception | None) -> None:
        self._go_on()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._go_on()

    def on_response_complete(self) -> None:
        # Unless another head comes, perhaps it is here already, or the rest of the answer is taken.
        self._give_up_later(_KEEP_ALIVE_SECONDS)
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._give_up_later()  # unless the client reads

    def resume_writing(self) -> None:
        super().resume_writing()
        self._go_on()

    def _give_up_later(self, more: float = 0.0) -> None:
        self._go_on()
        self._timer = self.loop.call_later(
            self.limits.patience_seconds + more, self.transport.abort
        )

    def _go_on(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
