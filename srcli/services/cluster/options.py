"""How a cluster is used."""

from __future__ import annotations

from dataclasses import dataclass

from srcli.errors import UsageError

AUTO, LOCAL = "auto", "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """None chooses by what the cluster has."""

    address: str = AUTO  # auto: one that runs here, or $RAY_ADDRESS; local: one of our own
    workers: int | None = None
    worker_cpus: int | None = None  # cores of each

    def __post_init__(self) -> None:
        if (self.workers or 1) < 1 or (self.worker_cpus or 1) < 1:
            raise UsageError("a cluster needs a worker, and that a core", hint="both start at 1")
