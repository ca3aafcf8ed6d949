"""Finding a Ray cluster, or saying within seconds why there is none."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import current_thread, main_thread
from typing import Any

from srcli.errors import ResourceError, UsageError
from srcli.services.cluster.options import AUTO, LOCAL, ClusterOptions

CONNECT_SECONDS = 5.0
_HOST_AND_PORT = re.compile(r"(?:ray://)?(\[[^]]+\]|[^:/\s]+):(\d+)")
_CLIENT_PORT = 10001  # of ray://HOST


@dataclass(frozen=True, slots=True)
class Shape:
    """What each worker needs, and how many the cluster has room for."""

    cpus: int
    gpus: int
    device: str

    @property
    def slots(self) -> int:
        """Pictures that a worker has at once: one in the network, the others in their codecs."""
        return 2 + self.cpus if self.gpus else 2

    def room(self, nodes: list[dict[str, Any]]) -> int:
        """How many fit on the nodes that are alive, each whole on one.

        >>> Shape(2, 0, "cpu").room([{"Alive": True, "Resources": {"CPU": 5.0}}])
        2
        """
        return sum(self._on(node["Resources"]) for node in nodes if node["Alive"])

    def _on(self, resources: dict[str, float]) -> int:
        fitting = int(resources.get("CPU", 0) // self.cpus)
        return min(fitting, int(resources.get("GPU", 0) // self.gpus)) if self.gpus else fitting


@contextmanager
def connected(options: ClusterOptions) -> Iterator[None]:
    """Be a driver of the cluster inside the block. Raises UsageError or ResourceError."""
    try:
        import ray
    except ImportError:
        raise UsageError(
            "--engine ray needs a package that is not installed", hint="pip install 'srcli[ray]'"
        ) from None
    if ray.is_initialized():  # by who called us
        yield
        return
    _check(options.address)
    heard = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=options.address.rstrip("/"),
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False if options.address == LOCAL else None,
        )
    except ConnectionError as error:
        raise _unreachable(options.address, str(error)) from None
    except (RuntimeError, ValueError, TimeoutError) as error:  # another version, a bad address
        raise UsageError(
            f"the Ray cluster at {options.address} refuses: {_first_line(error)}",
            hint="use the same versions of Python, Ray and srcli on every machine",
        ) from None
    if current_thread() is main_thread():  # Ray's own would end the process at once
        signal.signal(signal.SIGTERM, heard)
    try:
        with _silent():
            yield
    finally:
        ray.shutdown()


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what machines of the cluster report off standard output, which is for results.

    Ray prints there that a worker died, and has no option against it. We say so ourselves.
    """
    from ray._private import worker

    printing = getattr(worker, "print_to_stdstream", None)
    if printing is None:
        yield
        return
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = printing


def shape_of(options: ClusterOptions, device: str, nodes: list[dict[str, Any]]) -> Shape:
    """A GPU for each worker where the cluster has some, else cores.

    Raises ResourceError where no node can hold a worker.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = int(sum(resources.get("GPU", 0) for resources in alive))
    cpus = int(sum(resources.get("CPU", 0) for resources in alive))
    is_cpu = device == "cpu" or (device in ("auto", "all") and not gpus)
    if not is_cpu and device not in ("auto", "all", "cuda"):
        raise UsageError(
            f"--device {device} names a card of this machine", hint="say auto, cuda or cpu"
        )
    share = 1 if is_cpu else max(cpus // max(gpus, 1), 1)
    shape = Shape(options.worker_cpus or share, 0 if is_cpu else 1, "cpu" if is_cpu else "cuda")
    if not shape.room(nodes):
        wanted = f"{shape.cpus} cores" + (f" and {shape.gpus} GPU" if shape.gpus else "")
        raise ResourceError(
            f"no machine of the cluster has {wanted}: together they have {cpus} cores, {gpus} GPUs",
            hint="lower --worker-cpus, or add machines with `ray start --address=...`",
        )
    return shape


def _check(address: str) -> None:
    """Knock at the door: Ray itself would wait for minutes."""
    address = os.environ.get("RAY_ADDRESS", AUTO) if address == AUTO else address
    if address in (AUTO, LOCAL):
        return
    text = address.rstrip("/")
    if text.startswith("ray://") and ":" not in text.removeprefix("ray://"):
        text = f"{text}:{_CLIENT_PORT}"
    matched = _HOST_AND_PORT.fullmatch(text)
    if matched is None:
        raise UsageError(
            f"{address} is no address of a Ray cluster",
            hint="say auto, local, ray://HOST:10001 or HOST:6379",
        )
    try:
        socket.create_connection((matched[1].strip("[]"), int(matched[2])), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from None


def _unreachable(address: str, reason: str) -> UsageError:
    where = "runs here" if address == AUTO else f"answers at {address}"
    return UsageError(
        f"no Ray cluster {where}: {_first_line(reason)}",
        hint="start one with `ray start --head`, name another with --address ray://HOST:10001,"
        " or say --address local",
    )


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]
