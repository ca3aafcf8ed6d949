"""The time left, and how cores are divided."""

import pytest
import torch

from srcli.cli.render import bars
from srcli.services.cores import Cores


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(bars, "perf_counter", lambda: now[0])
    return now


def test_the_time_left_comes_from_areas_not_from_counts(clock):
    forecast = bars.Forecast()
    forecast.add(["small", "large", "bad", "done before"])
    for source, area in (("small", 1), ("large", 9), ("done before", 5)):
        forecast.measure(source, area)
    forecast.end("done before", was_worked_on=False)
    assert forecast.seconds_left is None  # what took no time says nothing of the pace
    clock[0] = 2.0
    forecast.end("small", was_worked_on=True)
    forecast.end("bad", was_worked_on=False)
    assert forecast.seconds_left == pytest.approx(9 * 2.0)
    assert forecast.facts == "3/4 pictures, 6.0/15.0 MP, 18 s left"


def test_what_is_not_measured_yet_counts_as_the_mean():
    forecast = bars.Forecast()
    forecast.add(["a", "b", "c", "d"])
    forecast.measure("a", 2)
    forecast.measure("b", 4)
    assert forecast.total_area == 12


def test_a_folder_ends_at_its_whole_area_whatever_failed():
    forecast = bars.Forecast()
    forecast.add(["a", "b"])
    forecast.measure("a", 2)
    for source in ("a", "b"):
        forecast.end(source, was_worked_on=source == "a")
    assert forecast.share == 1


@pytest.mark.parametrize(
    ("network", "codecs", "expected"), [(9.0, 1.0, 4), (1.0, 1.0, 2), (0.1, 5.0, 1), (0, 0, 4)]
)
def test_the_network_gets_the_cores_that_its_work_deserves(network, codecs, expected):
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    cores = Cores()
    cores.count(network=network, threads=1, codecs=codecs)
    assert cores.give() == torch.get_num_threads() == expected
    cores.restore()
    assert torch.get_num_threads() == 4
    torch.set_num_threads(before)
