"""Kill workers, nodes and drivers of a Ray cluster; every good picture must be there, once, right.

    python benchmarks/cluster_faults.py --files 300

Two nodes on this machine. For a folder, a bucket of an S3 server on the loopback, and a store in
memory, a worker is killed after a third of the pictures and a node after two thirds. Then the
driver is killed somewhere, and a second one does the rest (a store in memory dies with its driver).
Each result is compared, byte by byte, with that of the local pipeline.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import psutil
from messy_folder import make_messy_folder, make_weights
from moto.server import ThreadedMotoServer
from ray.cluster_utils import Cluster

from srcli.io import stores
from srcli.io.addresses import Address, Remote
from srcli.services.batch import UpscaleRequest, upscale_files
from srcli.services.cluster.connect import connected
from srcli.services.cluster.options import ClusterOptions
from srcli.services.engine import EngineOptions
from srcli.services.tasks import FolderOptions

ROOT = Path(__file__).parents[1]
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 200 << 20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="srcli-faults-") as place, _s3(), _cluster() as cluster:
        trial = Trial(Path(place), options.files, cluster)
        report = {
            "files": options.files,
            "broken": trial.broken,
            "folder": trial.worker_and_node(trial.folder, trial.root / "large"),
            "s3": trial.worker_and_node(trial.bucket, Remote("s3", "results/large")),
            "memory": trial.worker_and_node(trial.memory, Remote("memory", "results/large")),
            "folder_driver": trial.driver(trial.folder, trial.root / "large2"),
            "s3_driver": trial.driver(trial.bucket, Remote("s3", "results/large2")),
        }
    runs = [value for value in report.values() if isinstance(value, dict)]
    report["is_right"] = all(run["is_right"] for run in runs)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    raise SystemExit(0 if report["is_right"] else 1)


class Trial:
    """The same pictures in three places, and what the local pipeline makes of them."""

    def __init__(self, root: Path, files: int, cluster: Cluster) -> None:
        self.root, self._cluster = root, cluster
        self.folder = root / "in"
        messy = make_messy_folder(self.folder, files)
        self.good, self.broken = len(messy.good), len(messy.broken)
        self.bucket, self.memory = Remote("s3", "pictures/in"), Remote("memory", "pictures/in")
        for found in sorted(self.folder.rglob("*")):
            if found.is_file():
                path = found.rename(found.with_name(found.name.replace("\n", " ")))  # moto's limit
                for place in (self.bucket, self.memory):
                    stores.put(path, place / path.relative_to(self.folder))
        self._weights = make_weights(root / "tiny.safetensors")
        list(upscale_files(self._request(None), [self.folder], str(root / "here")))
        self._expected = _contents(root / "here")

    def worker_and_node(self, source: Address, target: Address) -> dict[str, object]:
        """Kill a worker, then a node, while one driver goes on."""
        node = self._cluster.list_all_nodes()[-1]
        started = perf_counter()
        ended: list[str] = []
        request = self._request(ClusterOptions())
        for outcome in upscale_files(request, [source], str(target)):
            ended.append("failed" if outcome.error else "skipped" if outcome.skipped else "done")
            if len(ended) == self.good // 3:
                _kill_a_worker()
            if len(ended) == 2 * self.good // 3:
                self._cluster.remove_node(node, allow_graceful=False)
        seconds = perf_counter() - started
        self._cluster.add_node(**NODE)
        return self._verdict(target, ended, seconds)

    def driver(self, source: Address, target: Address) -> dict[str, object]:
        """Kill a driver after a third of the pictures, and start another."""
        started = perf_counter()
        command = [sys.executable, "-m", "srcli", "upscale", str(source), "-r", "-o", str(target)]
        cluster = ["--engine", "ray", "--address", self._cluster.address]
        run = subprocess.Popen(
            [*command, "--json", "-m", str(self._weights), "-d", "cpu", *cluster],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert run.stdout is not None
        done = 0
        while done < self.good // 3:
            done += json.loads(run.stdout.readline()).get("status") == "done"
        run.send_signal(signal.SIGKILL)
        run.communicate()
        request = self._request(ClusterOptions())
        ended = [
            "failed" if outcome.error else "skipped" if outcome.skipped else "done"
            for outcome in upscale_files(request, [source], str(target))
        ]
        return self._verdict(target, ended, perf_counter() - started)

    def _verdict(self, target: Address, ended: list[str], seconds: float) -> dict[str, object]:
        ours = _contents(target)
        counts = Counter(ended)
        return {
            "seconds": round(seconds, 1),
            **counts,
            "equal_to_local": sum(ours.get(name) == data for name, data in self._expected.items()),
            "is_right": ours == self._expected
            and counts["done"] + counts["skipped"] == self.good
            and counts["failed"] == self.broken,
        }

    def _request(self, cluster: ClusterOptions | None) -> UpscaleRequest:
        return UpscaleRequest(
            model=str(self._weights),
            engine=EngineOptions(device="cpu"),
            folder=FolderOptions(recursive=True),
            cluster=cluster,
        )


def _contents(place: Address) -> dict[str, bytes]:
    if isinstance(place, Path):
        files = (path for path in place.rglob("*") if path.is_file())
        found = {path.relative_to(place).as_posix(): path.read_bytes() for path in files}
    else:
        found = {
            entry.address.below(place).as_posix(): stores.read(entry.address)
            for entry in stores.listing(place, below=True)
        }
    return {name: data for name, data in found.items() if not name.startswith(".srcli-journal")}


def _kill_a_worker() -> None:
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [""])[0].startswith("ray::Actor"):
            process.kill()
            return


@contextmanager
def _cluster() -> Iterator[Cluster]:
    os.environ["PYTHONPATH"] = str(ROOT)
    head = {**NODE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(**NODE)
    try:
        with connected(ClusterOptions(address=cluster.address)):
            yield cluster
    finally:
        cluster.shutdown()


@contextmanager
def _s3() -> Iterator[None]:
    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ.update(
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ENDPOINT_URL=f"http://{host}:{port}",
    )
    for bucket in ("pictures", "results"):
        boto3.client("s3").create_bucket(Bucket=bucket)
    try:
        yield
    finally:
        server.stop()


if __name__ == "__main__":
    main()
