"""One request between the server and the application: bounded in bytes and in time.

server -> receive -> | as many bytes as are allowed, as fast as they must come | -> application
server <- send    <- | a refusal waits for what is still coming                | <- application
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from srcli.web.problems import too_many_bytes, too_slow
from srcli.web.settings import SLOWEST_RATE, Limits

LINGER_SECONDS = 3.0  # a refusal is lost if the connection is closed while its body still comes
LINGER_BODIES = 4  # times the allowed size

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class Visit:
    """The body of a request on its way in, its answer on its way out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        self._receive, self._send, self._limits = receive, send, limits
        headers = Headers(scope=scope)
        self._length = int(headers.get("content-length", "0"))
        self._waits_for_leave = headers.get("expect", "").lower() == "100-continue"
        self._is_complete = not self._length and "transfer-encoding" not in headers
        self._got = 0
        self._started = asyncio.get_running_loop().time()
        self._lingers = False
        self.status = 0  # of the answer; 0 where there was none

    async def receive(self) -> Message:
        """The next part of the body, or that the client is gone. Raises a Refusal."""
        if self._is_complete:
            return await self._receive()
        if self._length > self._limits.body_bytes:
            raise too_many_bytes(self._limits.body_bytes)
        patience = self._limits.patience_seconds
        try:
            async with asyncio.timeout_at(self._started + patience + self._got / SLOWEST_RATE):
                message = await self._next()
        except TimeoutError:
            raise too_slow(patience) from None
        if self._got > self._limits.body_bytes:
            raise too_many_bytes(self._limits.body_bytes)
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """A part of the answer; a refusal before the body was read ends the connection."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._lingers = not self._is_complete
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if self._lingers:
                headers["Connection"] = "close"
        elif self._lingers and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def gone(self) -> None:
        """Return when the client is gone; only after the body."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _next(self) -> Message:
        message = await self._receive()
        self._got += len(message.get("body", b""))
        is_last = message["type"] != "http.request" or not message.get("more_body", False)
        self._is_complete = is_last
        return message

    async def _linger(self) -> None:
        if self._waits_for_leave and not self._got:
            return  # the client sends nothing before it is told to
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._is_complete and self._got < LINGER_BODIES * self._limits.body_bytes:
                    await self._next()
        except TimeoutError:
            return
