"""The time left of a folder."""

import pytest

from srcli.cli.render import bars


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
