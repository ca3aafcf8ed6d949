"""The bench counts work as the papers do, and lets a contestant fail without ending."""

from importlib.metadata import PackageNotFoundError

import pytest
import torch

from srcli.errors import UsageError
from srcli.models.compact import CompactNet
from srcli.models.network import wrap_compact, wrap_rrdb
from srcli.models.rrdb import RRDBConfig, RRDBNet
from srcli.services.bench import bench, contestants
from srcli.services.bench.bench import BenchRequest, operations, run_bench
from srcli.services.bench.picture import bench_picture
from srcli.services.bench.worker import Task, _outcome


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    body = RRDBNet(RRDBConfig(channels=8, blocks=1))
    path = tmp_path_factory.mktemp("bench") / "tiny.safetensors"
    save_file(body.state_dict(), path)
    return str(path)


@pytest.mark.parametrize(
    ("network", "millions"),
    [
        (lambda: wrap_rrdb(RRDBNet(RRDBConfig())), 35.9),
        (lambda: wrap_rrdb(RRDBNet(RRDBConfig(blocks=6))), 11.4),
        (lambda: wrap_compact(CompactNet()), 1.24),
    ],
    ids=["x4plus", "anime-6b", "compact"],
)
def test_work_is_counted_as_in_the_papers(network, millions):
    assert operations(network()) / 1e6 == pytest.approx(millions, rel=0.01)


def test_everyone_gives_the_same_picture(tiny):
    request = BenchRequest(
        model=tiny,
        height=24,
        width=40,
        device="cpu",
        own=("srcli", "srcli-bf16"),
        versus=("spandrel",),
        rounds=1,
    )
    heard = []
    report = run_bench(request, on_turn=lambda turn, name: heard.append(name))
    assert heard == ["srcli", "srcli-bf16", "spandrel"]
    rows = {row.contestant: row for row in report.rows}
    assert all(row.refused is None and row.seconds > 0 for row in report.rows)
    assert rows["srcli"].difference == 0
    assert rows["spandrel"].difference < 1e-2 < rows["srcli-bf16"].difference < 5
    assert rows["srcli"].gflops == pytest.approx(
        report.operations * 24 * 40 / rows["srcli"].seconds / 1e9
    )


def test_tiles_with_too_little_context_are_put_where_they_belong(tiny, monkeypatch):
    monkeypatch.setattr(contestants, "CARELESS_TILE", 16)
    monkeypatch.setattr(contestants, "CARELESS_HALO", 40)  # as much as the picture: exact
    job = contestants.Job(model=tiny, device="cpu", picture=bench_picture(20, 36))
    whole = contestants.PEERS["spandrel"].prepare(job)()
    tiles = contestants.PEERS["realesrgan-tiles"].prepare(job)()
    assert (tiles - whole).abs().max() < 1e-5


def test_a_missing_package_is_named_and_left_out(tiny, monkeypatch):
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(contestants, "version", missing)
    task = Task(contestant="ncnn", model=tiny, device="cpu", height=8, width=8, threads=1)
    assert _outcome(task).refused == "ncnn is not installed: pip install srcli[bench]"


def test_a_process_that_dies_is_one_row(tiny, monkeypatch):
    monkeypatch.setattr(bench.sys, "executable", "/bin/false")
    request = BenchRequest(model=tiny, height=8, width=8, device="cpu", own=(), rounds=2)
    (row,) = run_bench(request).rows
    assert row.refused.startswith("ended with 1")


@pytest.mark.parametrize("wrong", [{"versus": ("waifu2x",)}, {"rounds": 0}, {"width": 0}])
def test_an_impossible_bench_is_refused_before_it_begins(wrong):
    with pytest.raises(UsageError):
        BenchRequest(model="x", **wrong)
