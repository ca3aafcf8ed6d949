"""The line of the service, without the web before it."""

import pytest
from PIL import Image

from srcli.errors import OutOfMemoryError
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
def counter(tiny_weights):
    """A desk that is open."""
    engine = Engine(load_network(tiny_weights), EngineOptions(device="cpu"))
    opened = desk.Desk([{"tiny": engine}], result_limit=10**6)
    yield opened
    opened.close()


def test_out_of_memory_is_an_error_of_its_own_and_the_next_order_is_done(
    counter, order, monkeypatch
):
    def run_out(engine, job):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(desk, "finish_job", run_out)
        assert isinstance(counter.submit(order).result.exception(30), OutOfMemoryError)
    assert counter.submit(order).result.result(30).path.is_file()
