"""Google's and Hugging Face's stores against servers on the loopback; what is told without one."""

import logging
import sys
from importlib import import_module

import pytest
from hub_tools import REPO, Hub
from remote_tools import names_in, picture

from srcli.errors import ImageError, OutputError, UsageError
from srcli.io import stores
from srcli.io.addresses import Remote, address_of

TOKEN = "hf_a-token-for-tests"


@pytest.fixture
def fresh():
    """Libraries of stores that read the environment again."""
    stores._file_system.cache_clear()
    yield
    stores._file_system.cache_clear()


@pytest.fixture
def hf(monkeypatch, fresh):
    """An empty folder in a data set."""
    from huggingface_hub import HfFileSystem, constants

    hub = Hub()
    template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    HfFileSystem.clear_instance_cache()
    yield Remote("hf", f"{REPO}/place")
    assert not hub.tokens or f"Bearer {TOKEN}" in hub.tokens
    HfFileSystem.clear_instance_cache()
    hub.shutdown()


@pytest.fixture
def gs(monkeypatch, fresh):
    """A bucket."""
    pytest.importorskip("gcsfs", reason="gs:// needs gcsfs: pip install '.[test]'")
    emulator = pytest.importorskip(
        "gcp_storage_emulator.server", reason="needs gcp-storage-emulator: pip install '.[test]'"
    )
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
    server.start()
    port = server._api._httpd.server_address[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    yield Remote("gs", "bucket")
    server.stop()


@pytest.fixture(params=["hf", "gs"])
def store(request):
    return request.getfixturevalue(request.param)


def test_objects_are_put_listed_read_and_deleted(store, tmp_path):
    (tmp_path / "file").write_bytes(b"some bytes")
    stores.put(tmp_path / "file", store / "d/é ü.jpg")
    entry = stores.entry_at(store / "d/é ü.jpg")
    assert list(stores.listing(store, below=True)) == [entry]
    assert (entry.bytes, stores.read(entry.address, 4)) == (10, b"some")
    stores.write(b"more", entry.address)
    assert stores.entry_at(entry.address).stamp != entry.stamp
    stores.delete(entry.address)
    stores.delete(entry.address)
    assert stores.entry_at(entry.address) is None


def test_a_folder_of_a_store_is_done_once_and_says_no_word_of_its_library(store, srcli):
    for number in range(2):
        stores.write(picture(number), store / f"in/d{number}/p{number}.png")
    stores.write(b"no picture", store / "in/x.png")
    code, told = srcli(store / "in", "-r", "-o", store / "out")
    assert code == 1 and "2 done, 1 failed" in told and "determine" not in told
    assert names_in(store / "out") == ["d0/p0_x4.png", "d1/p1_x4.png"]
    assert "2 done before, 1 failed" in srcli(store / "in", "-r", "-o", store / "out")[1]
    assert TOKEN not in told


def test_a_repository_that_is_missing_is_named(hf):
    with pytest.raises(ImageError, match="does not exist"):
        stores.read(address_of("hf://datasets/me/nothing/a.jpg"))
    with pytest.raises(OutputError, match="no datasets/me/nothing is there"):
        stores.write(b"", address_of("hf://datasets/me/nothing/a.jpg"))


def test_a_hub_that_nobody_reaches_is_told_in_one_line(monkeypatch, hf):
    from huggingface_hub import HfApi

    for name in ("SRCLI_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(stores._store(hf), "_api", HfApi(endpoint="http://127.0.0.1:9"))
    with pytest.raises(ImageError, match="place/a.jpg cannot be reached"):
        stores.read(hf / "a.jpg")


@pytest.mark.parametrize(("scheme", "package"), [("gs", "gcsfs"), ("az", "adlfs"), ("s3", "s3fs")])
def test_a_store_without_its_package_names_the_extra(monkeypatch, fresh, scheme, package):
    monkeypatch.setitem(sys.modules, package, None)
    found_before = import_module("fsspec.registry")._registry
    monkeypatch.delitem(found_before, scheme, raising=False)
    with pytest.raises(UsageError, match=f"{scheme}:// needs a package") as told:
        stores.read(Remote(scheme, "bucket/a.jpg"))
    assert told.value.hint == f"pip install 'srcli[{scheme}]'"


@pytest.mark.parametrize("text", ["", "rubbish;AccountKey=c2VzYW1l"])
def test_azure_without_credentials_that_can_be_is_one_line(monkeypatch, fresh, text):
    pytest.importorskip("adlfs", reason="az:// needs adlfs: pip install '.[test]'")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    with pytest.raises(UsageError, match="az:// cannot be used") as told:
        stores.read(Remote("az", "container/a.jpg"))
    assert "AZURE_STORAGE_ACCOUNT_NAME" in told.value.hint and "c2VzYW1l" not in str(told.value)


def test_the_libraries_of_stores_keep_their_words_from_the_terminal(fresh):
    stores._file_system("memory")
    assert all(logging.getLogger(name).handlers for name in ("gcsfs", "adlfs", "azure", "s3fs"))
