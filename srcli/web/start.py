"""From what an operator asks for to a running service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from srcli.errors import UsageError
from srcli.io.vips import block_untrusted
from srcli.services.engine import Engine
from srcli.services.observer import Observer
from srcli.services.request import UpscaleRequest, load_engines
from srcli.web.server import listen, server_of
from srcli.web.service import Service
from srcli.web.settings import ServeSettings


def serve(
    models: Sequence[str],
    request: UpscaleRequest,
    settings: ServeSettings,
    observer: Observer | None = None,
    *,
    on_listening: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve these networks until a signal comes; the first is the default.

    `request` says how they are run. Raises UsageError or WeightsError before it listens.
    """
    block_untrusted()
    with listen(settings) as listener:  # first: the networks take their time
        engines = engines_of(models, request, observer or Observer())
        with Service(engines, settings) as service:
            host, port = listener.getsockname()[:2]
            on_listening(f"http://{f'[{host}]' if ':' in host else host}:{port}")
            server_of(service).run(sockets=[listener])


def engines_of(
    models: Sequence[str], request: UpscaleRequest, observer: Observer
) -> list[Mapping[str, Engine]]:
    """The networks by the names that clients use, for each device."""
    by_name: dict[str, list[Engine]] = {}
    for model in models:
        engines = load_engines(replace(request, model=model), observer)
        name = engines[0].loaded.name
        if name in by_name:
            raise UsageError(
                f"two networks are called {name}", hint="give each --model once, or rename a file"
            )
        by_name[name] = engines
    devices = range(len(next(iter(by_name.values()))))
    return [{name: engines[place] for name, engines in by_name.items()} for place in devices]
