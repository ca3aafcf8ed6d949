"""A service in a thread of this process."""

import threading

import pytest
from service_tools import LIMITS, Client

from srcli.services.engine import Engine, EngineOptions
from srcli.services.network import load_network
from srcli.web.server import listen, server_of
from srcli.web.service import Service
from srcli.web.settings import ServeSettings


@pytest.fixture(scope="session")
def engine(tiny_weights):
    return Engine(load_network(tiny_weights), EngineOptions(device="cpu", batch=4))


@pytest.fixture(scope="session")
def start(engine):
    """Start a service with these settings; it ends with the tests."""
    ends = []

    def begin(**settings):
        settings = ServeSettings(**{"port": 0, "limits": LIMITS, **settings})
        service, listener = Service([{"tiny": engine}], settings), listen(settings)
        server = server_of(service)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        ends.append((server, thread, service))
        return Client(service, listener.getsockname()[1])

    yield begin
    for server, thread, service in ends:
        server.should_exit = True
        thread.join(20)
        service.close()


@pytest.fixture(scope="session")
def ask(start):
    """A service with small limits."""
    return start()
