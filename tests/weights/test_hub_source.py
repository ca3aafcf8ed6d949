"""Files on the hub: through its library and its cache, without its patience with the dead."""

import threading
import time
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import pytest
from weights_server import CONTENT, Served, digest

from srcli.io.cache import Cache
from srcli.io.catalogue import HubSource
from srcli.io.sources import Hosts, SourceError, fetch, held_nearby, network
from srcli.io.sources.hub import _Arrival

PLACE = "/me/nets/resolve/main/a.pth"


@pytest.fixture
def hub(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    server.files[PLACE] = Served(
        redirect=f"http://localhost:{server.server_port}/blob"
    )  # as to a CDN
    server.files["/blob"] = Served()
    return server


def wanted(content=CONTENT):
    return HubSource(repo="me/nets", file="a.pth", sha256=digest(content), size=len(content))


def get(source=None, on_progress=lambda done, total: None):
    ((path, file),) = fetch(source or wanted(), Cache(), Hosts(), on_progress)
    return path.read_bytes(), file


def test_a_file_is_fetched_into_the_hubs_own_cache(hub, tmp_path):
    told = []
    content, file = get(on_progress=lambda *each: told.append(each))
    assert (content, file.sha256) == (CONTENT, digest(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    (path,) = held_nearby(wanted())
    assert path.read_bytes() == CONTENT and Path(path).is_relative_to(tmp_path / "hub")


def test_a_file_in_the_hubs_cache_is_not_fetched_again(hub):
    get()
    get()
    assert len(hub.gets("/blob")) == 1


def test_another_file_is_refused_by_what_the_hub_says_of_it(hub):
    hub.files["/me/nets/resolve/main/a.pth"].content = CONTENT[::-1]
    with pytest.raises(SourceError, match="gave another file: sha256"):
        get()
    hub.files["/me/nets/resolve/main/a.pth"].content = CONTENT[:-1]
    with pytest.raises(SourceError, match=f"{len(CONTENT) - 1} bytes instead of {len(CONTENT)}"):
        get()
    assert not hub.gets()


def test_a_damaged_copy_in_the_hubs_cache_is_fetched_again(hub):
    get()
    held_nearby(wanted())[0].resolve().write_bytes(CONTENT[::-1])
    assert get()[0] == CONTENT
    assert len(hub.gets("/blob")) == 2


def test_a_download_that_breaks_off_is_tried_again(hub):
    hub.files["/blob"].cuts = [300_000]
    assert get()[0] == CONTENT
    assert len(hub.gets("/blob")) == 2


def test_an_absent_file_and_repository_are_named(hub):
    with pytest.raises(SourceError, match=r"no such|answered 404"):
        get(HubSource(repo="me/nets", file="absent.pth"))


def test_a_hub_that_refuses_costs_next_to_nothing(refused, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", refused)
    start = time.monotonic()
    with pytest.raises(SourceError, match="connection refused"):
        get()
    assert time.monotonic() - start < 1


def test_a_hub_in_a_black_hole_costs_its_time_once(black_hole, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", black_hole)
    hosts, start = Hosts(), time.monotonic()
    for _ in range(2):
        with pytest.raises(SourceError, match="no connection within"):
            fetch(wanted(), Cache(), hosts, lambda *_: None)
    assert time.monotonic() - start < 2  # the limit is 1 s here


def test_a_hub_that_never_answers_is_given_up_for_the_whole_run(hub, monkeypatch):
    monkeypatch.setattr("srcli.io.sources.hub.ANSWER_SECONDS", 0.5)
    hub.files[PLACE].silence_s = 3.0
    hosts, start = Hosts(), time.monotonic()
    for _ in range(2):
        with pytest.raises(SourceError, match="no answer"):
            fetch(wanted(), Cache(), hosts, lambda *_: None)
    assert time.monotonic() - start < 2


def test_nothing_is_looked_for_on_the_network_to_know_what_is_nearby(no_network):
    assert held_nearby(wanted()) is None


def test_whatever_the_library_asks_first_has_an_end(hub, monkeypatch):
    monkeypatch.setattr(network, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda *_, **__: time.sleep(3))
    start = time.monotonic()
    with pytest.raises(SourceError, match="no answer"):
        get()
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("takes_ranges", [True, False])
def test_a_hub_that_stalls_is_given_up(hub, monkeypatch, takes_ranges):
    monkeypatch.setattr("srcli.io.sources.hub.PATIENCE_SECONDS", 0.6)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    hub.files["/blob"] = Served(stalls_at=400_000, takes_ranges=takes_ranges)
    start = time.monotonic()
    with pytest.raises(SourceError, match="bytes a second"):
        get()
    assert time.monotonic() - start < 5


def test_a_hub_that_comes_byte_by_byte_is_given_up(hub, monkeypatch):
    monkeypatch.setattr("srcli.io.sources.hub.PATIENCE_SECONDS", 0.6)
    hub.files["/blob"] = Served(drip_s=0.01)
    with pytest.raises(SourceError, match="bytes a second"):
        get()


def test_what_was_given_up_ends_with_its_next_bytes(hub, monkeypatch):
    arrival = _Arrival(lambda done, total: None, patience=0.3)
    is_over = threading.Event()

    def download():
        while not is_over.wait(0.05):
            try:
                arrival.saw(10, None)
            except SourceError:
                is_over.set()
        return ""

    with pytest.raises(SourceError, match="bytes a second"):
        arrival.watched(download)
    assert is_over.wait(5)


def test_a_slow_hub_is_seen_to_go_on(hub):
    told = []
    get(on_progress=lambda done, total: told.append(done))
    steps = [after - before for before, after in zip([0, *told], told, strict=False)]
    assert max(steps) <= 1 << 14 and sum(steps) == len(CONTENT)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_hub_is_asked_again(hub, status):
    hub.files["/blob"] = Served(status=status, retry_after="0", failures=2)
    assert get()[0] == CONTENT
