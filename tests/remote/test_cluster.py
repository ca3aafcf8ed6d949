"""Pictures on a Ray cluster of two nodes: each good one exactly once, whatever dies."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest

ray = pytest.importorskip("ray", reason="a cluster needs ray: pip install '.[test]'")

from remote_tools import contents, picture  # noqa: E402

from srcli.errors import ImageError  # noqa: E402
from srcli.io import stores  # noqa: E402
from srcli.io.addresses import Remote  # noqa: E402
from srcli.services.batch import UpscaleRequest, upscale_files  # noqa: E402
from srcli.services.cluster import hiring  # noqa: E402
from srcli.services.cluster.connect import connected  # noqa: E402
from srcli.services.cluster.options import ClusterOptions  # noqa: E402
from srcli.services.engine import EngineOptions  # noqa: E402
from srcli.services.tasks import FolderOptions  # noqa: E402

ROOT = Path(__file__).parents[2]
GOOD, BAD = 27, 3
NODE = {"num_cpus": 1, "object_store_memory": 100 << 20}


@pytest.fixture(scope="module")
def cluster(s3_server, small_ray):
    """Two nodes of one core each, on this machine."""
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{before}"  # of the workers
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    cluster.add_node(**NODE)
    with connected(ClusterOptions(address=cluster.address)):
        yield cluster
    cluster.shutdown()
    os.environ["PYTHONPATH"] = before


@pytest.fixture
def request_for(tiny_weights):
    def make(cluster=ClusterOptions()):  # noqa: B008
        return UpscaleRequest(
            model=str(tiny_weights),
            engine=EngineOptions(device="cpu"),
            folder=FolderOptions(recursive=True),
            cluster=cluster,
        )

    return make


def fill(folder, good=GOOD, bad=BAD):
    """Pictures in a store or a folder; a few are none."""
    for number in range(good + bad):
        data = picture(number, size=(40, 30)) if number >= bad else b"no picture"
        place = folder / f"d{number % 3}/{number}.png"
        if isinstance(place, Path):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        else:
            stores.write(data, place)
    return folder


def files_in(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def kill_a_worker() -> bool:
    """SIGKILL to one of the processes that have a network; there may be none at the moment."""
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [""])[0].startswith("ray::Fragile"):
            process.kill()
            return True
    return False


def how_many(outcomes):
    return Counter(
        "failed" if one.error else "skipped" if one.skipped else "done" for one in outcomes
    )


class Fragile(hiring.Actor):
    """Dies of some pictures."""

    def run(self, number):
        if "deadly" in self._works[number].job.source:
            os._exit(1)
        return super().run(number)


def test_pictures_workers_and_nodes_die_and_every_good_picture_is_there_once(
    cluster, request_for, tmp_path, monkeypatch, capsys
):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(hiring, "Actor", Fragile)
    fill(tmp_path / "in")
    (tmp_path / "in/d0/deadly.png").write_bytes(picture())
    node = cluster.list_all_nodes()[-1]
    outcomes, is_one_killed = [], False
    for outcome in upscale_files(request_for(), [tmp_path / "in"], str(tmp_path / "out")):
        outcomes.append(outcome)
        is_one_killed = is_one_killed or (len(outcomes) >= 6 and kill_a_worker())
        if len(outcomes) == 14:
            cluster.remove_node(node, allow_graceful=False)
    cluster.add_node(**NODE)
    assert is_one_killed
    assert how_many(outcomes) == {"done": GOOD, "failed": BAD + 1}
    assert capsys.readouterr().out == ""  # which is for results
    (deadly,) = (one.error for one in outcomes if "deadly" in one.source)
    assert isinstance(deadly, ImageError) and "killed 2 workers that had nothing else" in str(
        deadly
    )
    (tmp_path / "in/d0/deadly.png").unlink()
    list(upscale_files(request_for(None), [tmp_path / "in"], str(tmp_path / "here")))
    assert files_in(tmp_path / "out") == files_in(tmp_path / "here")
    with sqlite3.connect(tmp_path / "out/.srcli-journal.sqlite") as journal:
        query = "SELECT status, count(*) FROM pictures GROUP BY status"
        assert dict(journal.execute(query)) == {"done": GOOD, "failed": BAD + 1}


def test_a_killed_driver_is_followed_by_a_run_that_does_the_rest(
    cluster, request_for, tiny_weights, s3, tmp_path
):
    fill(s3 / "in")
    run = subprocess.Popen(
        [sys.executable, "-m", "srcli", "upscale", f"{s3}/in", "-r", "-o", f"{s3}/out", "--json"]
        + ["-m", str(tiny_weights), "-d", "cpu", "--engine", "ray", "--address", cluster.address],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    done = 0
    while done < 5:
        done += json.loads(run.stdout.readline()).get("status") == "done"
    run.send_signal(signal.SIGKILL)
    run.communicate()
    outcomes = list(upscale_files(request_for(), [s3 / "in"], f"{s3}/out"))
    counts = how_many(outcomes)
    assert counts["failed"] == BAD and counts["done"] + counts["skipped"] == GOOD
    assert counts["skipped"] < GOOD  # how many had been written down when it died, is chance
    again = how_many(upscale_files(request_for(None), [s3 / "in"], f"{s3}/out"))
    assert again["skipped"] == GOOD
    list(upscale_files(request_for(None), [s3 / "in"], str(tmp_path)))
    assert contents(s3 / "out") == files_in(tmp_path)


def test_a_store_in_this_process_s_memory_is_done_by_workers_elsewhere(cluster, request_for):
    place = Remote("memory", "cluster")
    fill(place / "in", good=4, bad=0)
    one_worker = request_for(ClusterOptions(workers=1))
    assert how_many(upscale_files(one_worker, [place / "in"], f"{place}/out")) == {"done": 4}
    list(upscale_files(request_for(None), [place / "in"], f"{place}/here"))
    assert contents(place / "out") == contents(place / "here") != {}
