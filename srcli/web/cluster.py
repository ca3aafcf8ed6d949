"""The service on a cluster: Ray Serve keeps as many replicas of it as are asked for.

    serve run srcli.web.cluster:app model=swift replicas=4

Each replica is a whole service with a network of its own, so what a request means, its limits and
the batches are those of `srcli serve`. Serve listens, and chooses the replica.
"""

# No `from __future__ import annotations`: Serve reads the annotation of `app` at run time.

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from ray import get_runtime_context, serve
from starlette.types import ASGIApp

from srcli.inference.precision import Precision
from srcli.io.vips import block_untrusted
from srcli.services.engine import EngineOptions
from srcli.services.network import DEFAULT_MODEL
from srcli.services.observer import Observer
from srcli.services.request import UpscaleRequest
from srcli.web.api import build_app
from srcli.web.service import Service
from srcli.web.settings import Limits, ServeSettings, api_key
from srcli.web.start import engines_of

_STARTS = 3  # of a replica in a row: wrong weights do not become right


class Arguments(BaseModel):
    """What `serve run` and the `args` of a Serve configuration say, as texts or as themselves."""

    model_config = ConfigDict(extra="forbid")

    model: str = DEFAULT_MODEL  # or several, with commas between them; the first is the default
    replicas: int = Field(1, ge=1)
    cpus: int = Field(1, ge=1)  # of each replica
    gpus: float = Field(0, ge=0)  # of each replica; above 0 the network runs there
    precision: Precision = Precision.AUTO
    batch: int | None = Field(None, ge=1)
    offline: bool = False
    trust: bool = False
    host: str = "127.0.0.1"  # where Serve listens; what is not of this machine answers to any name
    allow_host: str = ""  # names it is asked for by, with commas between them
    max_mib: float = Field(32, gt=0)
    max_megapixels: float = Field(16, gt=0)
    max_result_megapixels: float = Field(256, gt=0)
    queue: int = Field(32, ge=1)  # pictures of each replica
    patience: float = Field(20, gt=0)
    timeout: float = Field(300, gt=0)
    drain: float = Field(60, gt=0)

    @property
    def request(self) -> UpscaleRequest:
        """How the networks are run."""
        engine = EngineOptions(
            device="cuda" if self.gpus else "cpu", precision=self.precision, batch=self.batch
        )
        return UpscaleRequest(offline=self.offline or None, trust=self.trust, engine=engine)

    @property
    def settings(self) -> ServeSettings:
        """What each replica takes, and from whom. Raises UsageError."""
        return ServeSettings(
            host=self.host,
            hosts=_listed(self.allow_host),
            api_key=api_key(),
            limits=Limits(
                body_bytes=round(self.max_mib * 2**20),
                pixels=round(self.max_megapixels * 1e6),
                result_pixels=round(self.max_result_megapixels * 1e6),
                inside=self.queue,
                uploads=self.queue,
                patience_seconds=self.patience,
                work_seconds=self.timeout,
                drain_seconds=self.drain,
            ),
        )


class Replica:
    """One service. Its networks are obtained by the machine it runs on."""

    def __init__(
        self, models: tuple[str, ...], request: UpscaleRequest, settings: ServeSettings
    ) -> None:
        block_untrusted()
        torch.set_num_threads(max(int(_assigned().get("CPU", 1)), 1))
        if settings.api_key is None:  # that of the machine
            settings = replace(settings, api_key=api_key())
        self._resources = ExitStack()
        service = Service(engines_of(models, request, Observer()), settings)
        self._service = self._resources.enter_context(service)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return build_app(self._service)

    def check_health(self) -> None:
        """Serve replaces a replica that raises here."""
        if not self._service.is_ready:
            raise RuntimeError("the line of pictures has ended")

    def __del__(self) -> None:
        """Called by Serve when requests under way are done, or their time is up."""
        if hasattr(self, "_resources"):
            self._resources.close()


def app(arguments: Arguments) -> serve.Application:
    """The application that `serve run` and `serve deploy` start. Raises UsageError."""
    queue = arguments.queue
    deployment = serve.deployment(
        serve.ingress()(Replica),
        name="srcli",
        num_replicas=arguments.replicas,
        ray_actor_options={"num_cpus": arguments.cpus, "num_gpus": arguments.gpus},
        max_ongoing_requests=queue,  # the rest waits where another replica may take it
        max_queued_requests=queue * arguments.replicas,
        graceful_shutdown_timeout_s=arguments.drain,
        max_constructor_retry_count=_STARTS,
    )
    return deployment.bind(_listed(arguments.model), arguments.request, arguments.settings)


def _listed(text: str) -> tuple[str, ...]:
    """Names with commas between them.

    >>> _listed("swift, realesrgan-x4plus"), _listed("")
    (('swift', 'realesrgan-x4plus'), ())
    """
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _assigned() -> dict[str, Any]:
    return dict(get_runtime_context().get_assigned_resources())
