"""The small network is offered where it would spare a long wait, and nowhere else."""

import json
from dataclasses import replace

import pytest
from PIL import Image

from srcli.cli.app import main
from srcli.services import offer
from srcli.services.engine import Engine, EngineOptions
from srcli.services.network import load_network
from srcli.services.offer import find_offer

RATES = {"tiny": 0.001, "swift": 0.02}  # megapixels a second


@pytest.fixture
def engine(tiny_weights, monkeypatch):
    monkeypatch.setattr(offer, "measure_rate", lambda engine, **_: RATES[engine.loaded.name])
    return Engine(load_network(tiny_weights), EngineOptions(device="cpu"))


def test_a_wait_of_minutes_is_told_with_what_would_shorten_it(engine):
    found = find_offer(engine, 0.6)
    assert (found.model, found.faster) == ("tiny", "swift")
    assert (found.seconds, found.faster_seconds) == (pytest.approx(600), pytest.approx(30))


def test_less_than_a_minute_is_worth_no_word(engine):
    assert find_offer(engine, 0.059) is None


def test_a_small_picture_is_not_even_measured_for(engine, monkeypatch):
    monkeypatch.setattr(offer, "measure_rate", None)
    assert find_offer(engine, 0.04) is None


def test_a_network_of_another_scale_or_hardly_faster_is_no_offer(engine, monkeypatch):
    monkeypatch.setitem(RATES, "swift", 0.003)
    assert find_offer(engine, 0.6) is None


def test_who_runs_it_already_is_offered_nothing(engine):
    same = Engine(replace(engine.loaded, name="swift"), engine.options)
    assert find_offer(same, 100.0) is None


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["people", "programs"])
def test_the_offer_comes_before_the_work(tiny_weights, tmp_path, monkeypatch, capsys, flags):
    """As if the two pictures were alike, and this machine slow."""
    monkeypatch.setattr(offer, "LEAST_MEGAPIXELS", 0.0)
    rates = {"tiny": 1e-6, "swift": 1e-4}
    monkeypatch.setattr(offer, "measure_rate", lambda engine, **_: rates[engine.loaded.name])
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path in paths:
        Image.new("RGB", (12, 10), "teal").save(path)
    with pytest.raises(SystemExit) as ended:
        main(["upscale", *map(str, paths), "-m", str(tiny_weights), "-d", "cpu", *flags])
    captured = capsys.readouterr()
    assert ended.value.code == 0
    if flags:
        first, *others = map(json.loads, captured.out.splitlines())
        assert (first["type"], first["faster"]) == ("offer", "swift")
        assert first["seconds"] == pytest.approx(240) and len(others) == 3
    else:
        assert captured.err.count("-m swift takes about 2 s") == 1
