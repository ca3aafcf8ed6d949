"""A machine of its own for every test, with servers that answer, refuse or keep silent."""

import socket
import threading
import time

import huggingface_hub.constants
import pytest
from weights_server import ENTRY, Server

import srcli.io.catalogue
from srcli.io.sources import network, url


@pytest.fixture
def server():
    running = Server()
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def refused():
    """An address where nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def black_hole():
    """An address whose queue of connections is full: attempts to connect hang."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        time.sleep(0.05)
        yield f"http://127.0.0.1:{address[1]}"
        for filler in fillers:
            filler.close()


@pytest.fixture(autouse=True)
def clean_machine(tmp_path, monkeypatch):
    """A machine of its own: empty caches, no wishes in the environment, short pauses."""
    for name in ("SRCLI_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("SRCLI_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(url, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(network, "CONNECT_SECONDS", 1.0)


@pytest.fixture
def no_network(monkeypatch):
    """Any attempt to open a connection or to look up a name fails the test."""

    def refuse(*_):
        pytest.fail("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def write_catalogue(tmp_path, monkeypatch):
    """Replace the catalogue by one of the given entries: name -> list of sources in TOML."""
    path = tmp_path / "weights.toml"

    def write(*, licence="MIT", commercial="true", aliases="", keep="", **entries):
        text = ""
        for name, sources in entries.items():
            head = ENTRY.format(
                name=name, aliases=aliases, licence=licence, commercial=commercial, keep=keep
            )
            tables = (f"[[weights.{name}.sources]]\n{source}" for source in sources)
            text += "\n".join([head, *tables]) + "\n"
        path.write_text(text)
        srcli.io.catalogue.catalogue.cache_clear()
        return path

    monkeypatch.setattr(srcli.io.catalogue, "catalogue_path", lambda: path)
    yield write
    srcli.io.catalogue.catalogue.cache_clear()
