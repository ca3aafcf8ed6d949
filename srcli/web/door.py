"""Who may come in: the right host, the right origin, the right key; and every visit is counted."""

from __future__ import annotations

import hashlib
import hmac
from http import HTTPStatus
from time import perf_counter
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from srcli.web.metrics import Metrics
from srcli.web.problems import Refusal
from srcli.web.settings import ServeSettings
from srcli.web.visit import Visit

OPEN = frozenset({"/", "/viewer", "/health/live", "/health/ready", "/openapi.json"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Door:
    """The application behind its checks; `scope["visit"]` is the Visit."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        key = settings.api_key
        self._digest = None if key is None else hashlib.sha256(key.encode()).digest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = scope["visit"] = Visit(scope, receive, send, self._settings.limits)
        started = perf_counter()
        try:
            refusal = self._refusal(scope)
            if refusal is None:
                await self._app(scope, visit.receive, visit.send)
            else:
                self._metrics.refused(refusal.name)
                await refusal.response()(scope, visit.receive, visit.send)
        finally:
            self._metrics.visited(scope["path"], visit.status, perf_counter() - started)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = _name_of(host)
        if name is None or not self._settings.answers_to(name):
            return Refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                "wrong-host",
                "The service is not asked for by this name",
                detail=f"{host!r} is not a name of this service",
                hint="ask for it by its own address, or start it with --allow-host",
            )
        origin = headers.get("origin")
        if scope["method"] not in _READING and origin is not None and _place(origin) != host:
            return Refusal(
                HTTPStatus.FORBIDDEN,
                "wrong-origin",
                "Pages of other sites may not use this service",
                detail=f"the request comes from {origin!r}",
                hint="ask from a program, or from the page of the service itself",
            )
        if self._digest is not None and scope["path"] not in OPEN and not self._has_key(headers):
            return Refusal(
                HTTPStatus.UNAUTHORIZED,
                "no-key",
                "The service wants its API key",
                detail="there is no key in the request, or not the right one",
                hint="send the header Authorization: Bearer KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return None

    def _has_key(self, headers: Headers) -> bool:
        """Whether the right key was sent; how long this takes says nothing of the key."""
        assert self._digest is not None
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = hashlib.sha256(key.strip().encode()).digest()
        return hmac.compare_digest(given, self._digest) and scheme.lower() == "bearer"


def _name_of(host: str) -> str | None:
    """The name in a Host header, None where there is none.

    >>> _name_of("localhost:8000"), _name_of("[::1]:8000"), _name_of("a:b:c")
    ('localhost', '::1', None)
    """
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname


def _place(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
