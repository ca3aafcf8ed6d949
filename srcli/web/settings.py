"""What an operator decides about the service."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from ipaddress import ip_address

from srcli.errors import UsageError

KEY_VARIABLE = "SRCLI_API_KEY"
SLOWEST_RATE = 16 << 10  # bytes a second that a client must come to once its patience is used up


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a request, and all requests together, may take."""

    body_bytes: int = 32 << 20
    pixels: int = 16_000_000  # of a picture, all pages together
    result_pixels: int = 256_000_000  # of a result, and of what the network makes on the way
    inside: int = 32  # requests whose picture is here: waiting, in work, or being sent
    uploads: int = 64  # requests whose picture is coming
    connections: int = 256
    patience_seconds: float = 20.0  # a client may be silent, or slow, so long
    work_seconds: float = 300.0  # from the picture's arrival to the result
    drain_seconds: float = 60.0  # for what is under way when the service is told to end

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise UsageError(f"a limit of 0 {name} lets nothing in", hint="it starts at 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Where the service listens, to whom, and how much it takes."""

    host: str = "127.0.0.1"
    port: int = 8000
    hosts: tuple[
        str, ...
    ] = ()  # names it is asked for by, besides its own; () with no loopback: any
    api_key: str | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.api_key is not None and (len(self.api_key) < 16 or not self.api_key.isascii()):
            raise UsageError(
                "the API key is too short to be one",
                hint="16 ASCII characters at least, as from: python -c "
                "'import secrets; print(secrets.token_urlsafe())'",
            )

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def answers_to(self, name: str) -> bool:
        """Whether a request may name this host.

        A page on the internet can make a browser ask a local service by the page's own name (DNS
        rebinding), so a local service answers to local names only.
        """
        if name in self.hosts or name == self.host:
            return True
        if not self.is_local and not self.hosts:
            return True
        return self.is_local and name in ("localhost", "127.0.0.1", "::1")


def api_key() -> str | None:
    """The key in the environment, None where there is none."""
    return os.environ.get(KEY_VARIABLE) or None
