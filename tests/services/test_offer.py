"""Faster ways are offered where they would spare a long wait, and nowhere else."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from srcli.cli.app import main
from srcli.inference.precision import Precision
from srcli.services import offer
from srcli.services.engine import Engine, EngineOptions
from srcli.services.network import load_network
from srcli.services.offer import find_offers

RATES = {("tiny", "fp32"): 0.001, ("tiny", "bf16"): 0.003, ("swift", "fp32"): 0.02}  # MP/s


def rate(engine, **_):
    return RATES[engine.loaded.name, engine.precision]


@pytest.fixture
def engine(tiny_weights, monkeypatch):
    """One of a processor that knows bf16."""
    monkeypatch.setattr(offer, "measure_rate", rate)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    return Engine(load_network(tiny_weights), EngineOptions(device="cpu"))


def offered(engine, megapixels):
    return [one.option for one in find_offers(engine, megapixels)]


def test_a_wait_of_minutes_is_told_with_what_would_shorten_it(engine):
    fewer_digits, smaller = find_offers(engine, 0.6)
    assert (fewer_digits.option, smaller.option) == ("--precision bf16", "-m swift")
    assert smaller.model == fewer_digits.model == "tiny"
    assert smaller.seconds == fewer_digits.seconds == pytest.approx(600)
    assert fewer_digits.faster_seconds == pytest.approx(200)
    assert smaller.faster_seconds == pytest.approx(30)


def test_bf16_is_offered_where_it_is_faster_to_who_did_not_choose(engine, monkeypatch):
    chosen = Engine(engine.loaded, replace(engine.options, precision=Precision.FP32))
    assert offered(chosen, 0.6) == ["-m swift"]
    monkeypatch.setitem(RATES, ("tiny", "bf16"), 0.0014)
    assert offered(engine, 0.6) == ["-m swift"]
    monkeypatch.setitem(RATES, ("tiny", "bf16"), 0.003)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert offered(engine, 0.6) == ["-m swift"]


def test_less_than_a_minute_is_worth_no_word(engine):
    assert not find_offers(engine, 0.059)


def test_a_small_picture_is_not_even_measured_for(engine, monkeypatch):
    monkeypatch.setattr(offer, "measure_rate", None)
    assert not find_offers(engine, 0.04)


def test_a_network_of_another_scale_or_hardly_faster_is_no_offer(engine, monkeypatch):
    monkeypatch.setitem(RATES, ("swift", "fp32"), 0.0035)
    assert offered(engine, 0.6) == ["--precision bf16"]


def test_who_runs_it_already_is_offered_nothing(engine):
    same = Engine(replace(engine.loaded, name="swift"), engine.options)
    assert not find_offers(same, 100.0)


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["people", "programs"])
def test_the_offer_comes_before_the_work(tiny_weights, tmp_path, monkeypatch, capsys, flags):
    """As if the two pictures were alike, and this machine slow."""
    monkeypatch.setattr(offer, "LEAST_MEGAPIXELS", 0.0)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
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
        assert (first["type"], first["option"]) == ("offer", "-m swift")
        assert first["seconds"] == pytest.approx(240) and len(others) == 3
    else:
        assert captured.err.count("-m swift takes about 2 s") == 1
