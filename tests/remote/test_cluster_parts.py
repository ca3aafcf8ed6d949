"""The parts of the cluster engine that need no cluster."""

import time
from pathlib import Path
from threading import Thread

import pytest

pytest.importorskip("ray", reason="a cluster needs ray: pip install '.[test]'")

from remote_tools import picture  # noqa: E402

from srcli import __version__  # noqa: E402
from srcli.errors import (  # noqa: E402
    BadWeightsError,
    ImageError,
    ResourceError,
    UnavailableWeightsError,
    UsageError,
)
from srcli.services.cluster import connect, weights  # noqa: E402
from srcli.services.cluster.connect import shape_of  # noqa: E402
from srcli.services.cluster.crew import Crew, Hand, LostError  # noqa: E402
from srcli.services.cluster.hiring import Hiring  # noqa: E402
from srcli.services.cluster.line import Suspicion  # noqa: E402
from srcli.services.cluster.options import ClusterOptions  # noqa: E402
from srcli.services.cluster.weights import load_recipe, obtain_recipe  # noqa: E402
from srcli.services.cluster.worker import Order, Worker  # noqa: E402
from srcli.services.engine import EngineOptions  # noqa: E402
from srcli.services.job import PictureOptions  # noqa: E402
from srcli.services.network import DEFAULT_MODEL, SHIPPED_MODEL  # noqa: E402
from srcli.services.observer import Observer  # noqa: E402
from srcli.services.request import UpscaleRequest  # noqa: E402
from srcli.services.stop import Stop, StoppedError  # noqa: E402
from srcli.services.targets import Place  # noqa: E402
from srcli.services.weights import obtain  # noqa: E402


@pytest.mark.parametrize(
    ("address", "phrase"),
    [
        ("ray://127.0.0.1:9", "answers at ray://127.0.0.1:9: .*refused"),
        ("127.0.0.1:9", "answers at 127.0.0.1:9"),
        ("ray://nowhere.invalid", "answers at ray://nowhere.invalid"),
        ("somewhere", "somewhere is no address of a Ray cluster"),
    ],
)
def test_a_wrong_address_is_told_within_seconds(address, phrase, monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    started = time.perf_counter()
    with (
        pytest.raises(UsageError, match=phrase),
        connect.connected(ClusterOptions(address=address)),
    ):
        pass
    assert time.perf_counter() - started < 15


def nodes(*resources):
    return [{"Alive": True, "Resources": each} for each in resources]


@pytest.mark.parametrize(
    ("have", "device", "cpus", "expected"),
    [
        pytest.param([{"CPU": 4.0}, {"CPU": 2.0}], "auto", None, (1, 0, "cpu", 6), id="cores"),
        pytest.param([{"CPU": 4.0}, {"CPU": 3.0}], "cpu", 2, (2, 0, "cpu", 3), id="whole"),
        pytest.param([{"CPU": 16.0, "GPU": 2.0}], "auto", None, (8, 1, "cuda", 2), id="cards"),
        pytest.param([{"CPU": 16.0, "GPU": 2.0}], "cpu", None, (1, 0, "cpu", 16), id="told"),
    ],
)
def test_a_worker_is_a_card_or_some_cores(have, device, cpus, expected):
    shape = shape_of(ClusterOptions(worker_cpus=cpus), device, nodes(*have))
    assert (shape.cpus, shape.gpus, shape.device, shape.room(nodes(*have))) == expected


@pytest.mark.parametrize(
    ("device", "cpus", "error"),
    [("cpu", 9, ResourceError), ("cuda", None, ResourceError), ("cuda:1", None, UsageError)],
)
def test_what_the_cluster_has_not_is_refused(device, cpus, error):
    with pytest.raises(error):
        shape_of(ClusterOptions(worker_cpus=cpus), device, nodes({"CPU": 4.0}))


def crew(*hands, slots=2):
    stop = Stop()
    made = Crew(slots, stop, on_note=lambda note: None)
    for hand in hands:
        made.add(hand)
    return made, stop


def test_pictures_go_to_the_worker_that_has_fewest_and_wait_when_all_are_full():
    hands = [Hand(None, None, pid=number) for number in range(2)]
    made, stop = crew(*hands)
    lent = [made.lent() for _ in range(4)]
    assert [each.__enter__() for each in lent] == [*hands, *hands]
    Thread(target=lambda: (time.sleep(0.1), stop.set())).start()
    with pytest.raises(StoppedError), made.lent():
        pass
    assert [hand.pictures for hand in hands] == [2, 2]


def test_a_suspect_has_a_worker_for_itself():
    hand = Hand(None, None)
    made, stop = crew(hand)
    other = made.lent()
    other.__enter__()
    Thread(target=lambda: (time.sleep(0.1), other.__exit__(None, None, None))).start()
    with made.lent(alone=True) as kept:
        assert (kept, kept.pictures) == (hand, 1)
        stop.set()
        with pytest.raises(StoppedError), made.lent():
            pass
    assert (hand.pictures, hand.is_kept) == (0, False)


def test_a_lost_worker_is_lent_no_more():
    made, _ = crew(Hand(None, None))
    with pytest.raises(LostError), made.lent():
        raise LostError("it died", is_of_node=False)
    assert made.hands == []


@pytest.mark.parametrize(
    ("fates", "has_failed"),
    [
        pytest.param(["worker", "worker"], False, id="beside others, then alone: bad luck"),
        pytest.param(["worker", "worker", "node", "node"], False, id="machines count for nothing"),
        pytest.param(["node", "worker", "worker", "worker"], True, id="twice alone"),
        pytest.param(["node"] * 9, False, id="nine machines"),
        pytest.param(["node"] * 10, True, id="ten machines"),
    ],
)
def test_a_picture_is_to_blame_when_two_workers_died_that_had_nothing_else(fates, has_failed):
    suspicion = Suspicion()
    for fate in fates:
        assert not suspicion.is_enough
        suspicion.add(LostError("it died", is_of_node=fate == "node"))
    assert suspicion.is_enough == has_failed
    assert "photo.png" in str(suspicion.verdict("photo.png", LostError("", is_of_node=False)))


def test_who_waits_for_a_crew_that_ended_is_told():
    made, _ = crew()
    made.end(ResourceError("all are gone", hint="start it again"))
    with pytest.raises(StoppedError), made.lent():
        pass
    assert "all are gone" in str(made.error)


@pytest.fixture
def recipe(tiny_weights, monkeypatch, tmp_path):
    """A recipe and the bytes of its file, on a machine whose cache is empty."""
    monkeypatch.setenv("SRCLI_HOME", str(tmp_path / "home"))
    return obtain_recipe(UpscaleRequest(model=str(tiny_weights)), Observer())


def test_a_worker_without_the_weights_gets_their_bytes_once(recipe, tmp_path):
    made, (data,) = recipe
    asked = []
    loaded = load_recipe(made, [lambda: (asked.append(1), data)[1]])
    assert (loaded.digest, loaded.name, asked) == (made.digest, made.name, [1])
    blob = tmp_path / f"home/weights/blobs/{made.digest}.safetensors"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(data)
    load_recipe(made, [lambda: asked.append(2)])
    assert asked == [1]


def test_bytes_that_are_not_the_weights_are_refused(recipe):
    with pytest.raises(BadWeightsError):
        load_recipe(recipe[0], [lambda: b"something else"])


@pytest.fixture
def worker(recipe):
    made, (data,) = recipe
    worker = Worker(__version__, EngineOptions(device="cpu"), 1)
    worker.load(made, [lambda: data])
    return worker


def order(number, returns_result=True):
    return Order(
        number=number,
        source=Path("/elsewhere/a.png"),
        target=Place(Path("/elsewhere/out"), "a"),
        options=PictureOptions(),
        returns_result=returns_result,
    )


def test_a_worker_knows_nothing_of_the_driver_s_disk(worker):
    opened = worker.open(order(1), picture())
    ended = worker.run(1)
    assert opened.target == Path("/elsewhere/out/a_x4.png")
    assert (ended.report.source, ended.report.output) == ("/elsewhere/a.png", str(opened.target))
    assert ended.result.startswith(b"\x89PNG") and not Path("/elsewhere").exists()


def test_a_bad_picture_is_a_value_and_the_worker_lives(worker):
    failure = worker.open(order(1), b"no picture")
    assert isinstance(failure, ImageError) and "/elsewhere/a.png" in str(failure)
    worker.open(order(2), picture())
    worker.drop(2)
    worker.open(order(3), picture())
    worker.stop()
    assert worker.run(3) is None
    worker._depot.close()


def test_another_version_of_srcli_is_refused(recipe):
    refused = Worker("0.0.1", EngineOptions(device="cpu"), 1).load(*recipe)
    assert isinstance(refused, UsageError) and "0.0.1" in str(refused)


def test_offline_a_cluster_too_gets_the_network_that_comes_with_srcli(tmp_path, monkeypatch):
    monkeypatch.setenv("SRCLI_HOME", str(tmp_path))
    notes = []
    observer = Observer()
    monkeypatch.setattr(observer, "note", notes.append)
    asked = []

    def get(name, **options):
        asked.append(name)
        if name == DEFAULT_MODEL:
            raise UnavailableWeightsError("not here", hint="pull it")
        return obtain(name, **options)

    monkeypatch.setattr(weights, "obtain", get)
    recipe, _ = obtain_recipe(UpscaleRequest(offline=True), observer)
    assert (recipe.name, asked) == (SHIPPED_MODEL, [DEFAULT_MODEL, SHIPPED_MODEL])
    assert "comes with srcli" in notes[0]


def test_a_blend_that_is_not_understood_is_refused_before_anything_is_fetched(monkeypatch):
    fetched = []
    monkeypatch.setattr(weights, "obtain", lambda name, **options: fetched.append(name))
    with pytest.raises(UsageError, match="not understood"):
        obtain_recipe(UpscaleRequest(model="some", blend="other"), Observer())
    assert not fetched


def test_where_hiring_breaks_down_nobody_waits_for_a_worker_for_ever(monkeypatch):
    def stumble(hiring):
        raise KeyError("NodeID")

    monkeypatch.setattr(Hiring, "_step", stumble)
    monkeypatch.setattr("threading.excepthook", lambda bug: None)
    stop = Stop()
    crew = Crew(1, stop, on_note=print)
    with (
        Hiring(crew, None, stop, most=1, on_ready=print, on_note=print),
        pytest.raises(StoppedError),
        crew.lent(),
    ):
        pass
    assert isinstance(crew.error, ResourceError)
