"""Stores without a network: one in memory, and an S3 server on the loopback."""

import logging
import os
from itertools import count

import pytest
from remote_tools import picture

from srcli.cli.app import main
from srcli.io import stores
from srcli.io.addresses import Remote

_NUMBERS = count()
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key-for-tests",
    "AWS_SECRET_ACCESS_KEY": "secret-for-tests",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="session")
def s3_server():
    """The address of a server that speaks S3; the environment leads there."""
    pytest.importorskip("s3fs", reason="s3:// needs s3fs: pip install '.[test]'")
    moto = pytest.importorskip("moto.server", reason="S3 needs moto: pip install '.[test]'")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    before = dict(os.environ)
    os.environ.update(CREDENTIALS, AWS_ENDPOINT_URL=address)
    yield address
    os.environ.clear()
    os.environ.update(before)
    server.stop()


@pytest.fixture
def s3(s3_server):
    """A bucket of its own."""
    import boto3

    name = f"bucket-{next(_NUMBERS)}"
    boto3.client("s3").create_bucket(Bucket=name)
    return Remote("s3", name)


@pytest.fixture(params=["memory", "s3"])
def store(request):
    """An empty place in a store of each kind."""
    if request.param == "s3":
        return request.getfixturevalue("s3")
    return Remote("memory", f"place-{next(_NUMBERS)}")


@pytest.fixture
def photos(store):
    """Three pictures in two folders, and a file that is none."""
    for seed, name in enumerate(("a.png", "b.png", "trip/c.png")):
        stores.write(picture(seed), store / "photos" / name)
    stores.write(b"words", store / "photos/notes.md")
    return store / "photos"


@pytest.fixture
def srcli(tiny_weights, capsys):
    """Run `srcli upscale ... -m tiny -d cpu`: its exit code and what it printed."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["upscale", "-m", str(tiny_weights), "-d", "cpu", *map(str, arguments)])
        printed = capsys.readouterr()
        return ended.value.code, printed.out + printed.err

    return run
