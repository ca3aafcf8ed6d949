"""What the service did, in Prometheus's words."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from srcli.services.desk import Served

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each number began is of no use here

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PATHS = frozenset(
    {"/", "/viewer", "/upscale", "/models", "/metrics", "/openapi.json"}
    | {"/health/live", "/health/ready"}
)
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """Counters of one service, apart from those of any other in the process."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "srcli_requests", "Requests answered", ["path", "status"], registry=registry
        )
        self._seconds = Histogram(
            "srcli_request_seconds",
            "From the head of a request to the end of its answer",
            ["path"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._refusals = Counter(
            "srcli_refusals", "Requests refused, by the problem", ["problem"], registry=registry
        )
        self._stages = Histogram(
            "srcli_stage_seconds",
            "Work on a picture",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._pictures = Counter(
            "srcli_pictures", "Pictures enlarged", ["model"], registry=registry
        )
        self._pixels = Counter(
            "srcli_pixels", "Pixels read and made", ["direction"], registry=registry
        )
        self._together = Histogram(
            "srcli_pictures_together",
            "Pictures that shared a run through the network",
            buckets=(1, 2, 3, 4, 5, 6, 7, 8),
            registry=registry,
        )

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Show a number as it is whenever somebody asks."""
        Gauge(f"srcli_{name}", meaning, registry=self._registry).set_function(value)

    def visited(self, path: str, status: int, seconds: float) -> None:
        """A request has ended; status 0: its client was gone."""
        place = path if path in PATHS else "other"
        self._requests.labels(place, str(status) if status else "gone").inc()
        self._seconds.labels(place).observe(seconds)

    def refused(self, problem: str) -> None:
        """A request was refused."""
        self._refusals.labels(problem).inc()

    def served(self, served: Served) -> None:
        """A picture is done."""
        report = served.report
        self._pictures.labels(report.model).inc()
        self._pixels.labels("in").inc(report.source_height * report.source_width)
        self._pixels.labels("out").inc(report.height * report.width)
        self._together.observe(served.together)
        for stage in ("decode", "network", "encode"):
            self._stages.labels(stage).observe(getattr(report, f"{stage}_seconds"))

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)
