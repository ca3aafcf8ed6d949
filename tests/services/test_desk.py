"""The line of the service, without the web before it."""

from dataclasses import replace
from threading import Barrier

import pytest
from PIL import Image

from srcli.errors import OutOfMemoryError
from srcli.inference.precision import Precision
from srcli.services import desk
from srcli.services.engine import Engine, EngineOptions
from srcli.services.job import PictureOptions
from srcli.services.network import load_network


@pytest.fixture
def order(tmp_path):
    """An order for a small picture."""
    Image.new("RGB", (6, 5), "teal").save(tmp_path / "a.png")
    return desk.Order(
        source=tmp_path / "a.png", folder=tmp_path, model="tiny", options=PictureOptions()
    )


@pytest.fixture
def open_desk(tiny_weights):
    """Opens a desk with an engine for each precision."""
    opened = []

    def open(*precisions):
        loaded = load_network(tiny_weights)
        options = [EngineOptions(device="cpu", precision=Precision(each)) for each in precisions]
        engines = [{"tiny": Engine(loaded, each)} for each in options]
        opened.append(desk.Desk(engines, result_limit=10**6))
        return opened[-1]

    yield open
    for each in opened:
        each.close()


def test_out_of_memory_is_an_error_of_its_own_and_the_next_order_is_done(
    open_desk, order, monkeypatch
):
    counter = open_desk("fp32")

    def run_out(engine, job):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(desk, "finish_job", run_out)
        assert isinstance(counter.submit(order).result.exception(30), OutOfMemoryError)
    assert counter.submit(order).result.result(30).path.is_file()


def test_each_result_is_told_of_with_the_engine_that_made_it(
    open_desk, order, tmp_path, monkeypatch
):
    both, run = Barrier(2), desk.run_job

    def run_beside_another(*arguments):
        both.wait(30)
        run(*arguments)

    monkeypatch.setattr(desk, "run_job", run_beside_another)
    counter, folders = open_desk("fp32", "bf16"), [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    tickets = [counter.submit(replace(order, folder=folder)) for folder in folders]
    assert {each.result.result(30).report.precision for each in tickets} == {"fp32", "bf16"}
