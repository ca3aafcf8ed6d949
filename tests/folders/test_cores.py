"""How the cores of a CPU and the memory of networks are divided between pictures."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from conftest import draw, files_below

from srcli.inference.rows import TensorSink, TensorSource
from srcli.services import cores as module
from srcli.services import engine as engines
from srcli.services.cores import Cores
from srcli.services.engine import Engine, EngineOptions
from srcli.services.gate import Gate
from srcli.services.network import load_network

PATIENCE = module.PATIENCE_SECONDS


@pytest.fixture
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cores(four_threads):
    """Four cores that know the network: a megapixel is a second of one core."""
    cores = Cores()
    with cores.picture(1.0) as share:
        share.spent = 1.0
    return cores


def threads_of(share):
    """Torch's threads after a renewal, in a thread of its own."""

    def renewed():
        share.renew()
        return torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(renewed).result()


def test_a_picture_alone_has_all_cores_and_a_codec_takes_one(cores):
    with cores.picture(1.0) as share:
        assert threads_of(share) == 4
        with cores.codec():
            assert threads_of(share) == 3
        assert threads_of(share) == 4
    assert torch.get_num_threads() == 4  # other threads have their own


@pytest.mark.parametrize(
    ("areas", "expected"),
    [
        ([1, 1, 1, 1], [1, 1, 1, 1]),
        ([1, 1], [2, 2]),
        ([3 * PATIENCE, 1], [3, 1]),
        ([2 * PATIENCE, 1], [2, 1]),
        ([100 * PATIENCE], [4]),
    ],
)
def test_cores_are_shared_by_what_pictures_need_to_be_done_soon(cores, areas, expected):
    entered = [cores.picture(area) for area in areas]
    shares = [picture.__enter__() for picture in entered]
    assert [threads_of(share) for share in shares] == expected
    for picture in entered:
        picture.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("knows", "area"), [(False, 1.0), (True, 4 * PATIENCE)], ids=["first", "takes long"]
)
def test_a_picture_of_unknown_or_long_duration_is_alone(four_threads, cores, knows, area):
    inside, cores = [], cores if knows else Cores()

    def visit():
        with cores.picture(area):
            inside.append(1)
            assert len(inside) == 1
            threading.Event().wait(0.02)
            inside.pop()

    with ThreadPoolExecutor(3) as pool:
        for visiting in [pool.submit(visit) for _ in range(3)]:
            visiting.result(10)


def test_many_at_once_give_the_same_bytes_as_one_after_another(srcli, four_threads, tmp_path):
    for seed in range(9):
        draw(tmp_path / f"in/{seed}.png", size=(20 + 40 * (seed % 3), 260), seed=seed)
    assert srcli("in", "-o", "many").code == 0
    assert torch.get_num_threads() == 4
    torch.set_num_threads(1)
    assert srcli("in", "-o", "one").code == 0
    assert len(files_below(tmp_path / "one")) == 9
    for name in files_below(tmp_path / "one"):
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


@pytest.mark.parametrize("limit", [1, 10**12])
def test_networks_beside_each_other_stay_within_their_memory(tiny_weights, monkeypatch, limit):
    inside, most = [], []
    true_enlarge = engines.enlarge

    def counted(*arguments, **options):
        inside.append(1)
        threading.Event().wait(0.05)
        most.append(len(inside))
        inside.pop()
        return true_enlarge(*arguments, **options)

    monkeypatch.setattr(engines, "enlarge", counted)
    engine, gate = Engine(load_network(tiny_weights), EngineOptions(device="cpu")), Gate(limit)
    image = torch.rand(3, 30, 20)

    def run(each):
        sink = TensorSink(torch.empty(3, 30 * engine.scale, 20 * engine.scale))
        each.run(TensorSource(image), sink)
        return sink.image

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(run, [engine.beside(gate) for _ in range(3)]))
    assert all(torch.equal(result, run(engine)) for result in results)
    assert (max(most) == 1) == (limit == 1)
