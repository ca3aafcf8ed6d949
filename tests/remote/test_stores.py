"""Objects: whole or absent, listed by pages, refused in plain words."""

import time

import pytest
from remote_tools import names_in

from srcli.errors import ImageError, OutputError, UsageError
from srcli.io import stores
from srcli.io.addresses import Remote, address_of


def test_what_is_put_is_listed_read_and_deleted(store, tmp_path):
    (tmp_path / "file").write_bytes(b"some bytes")
    stores.put(tmp_path / "file", store / "d/é ü.jpg")
    entry = stores.entry_at(store / "d/é ü.jpg")
    assert list(stores.listing(store, below=True)) == [entry]
    assert (entry.bytes, entry.is_folder) == (10, False)
    stores.fetch(entry.address, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"some bytes" == stores.read(entry.address)
    assert stores.read(entry.address, 4) == b"some"
    stores.delete(entry.address)
    stores.delete(entry.address)
    assert stores.entry_at(entry.address) is None and names_in(store) == []


def test_a_folder_names_its_folders_or_all_below(store):
    for name in ("a", "d/b", "d/e/c"):
        stores.write(b"1", store / name)
    there = {
        (str(one.address.below(store)), one.is_folder) for one in stores.listing(store, below=False)
    }
    assert there == {("a", False), ("d", True)}
    assert names_in(store) == ["a", "d/b", "d/e/c"]
    assert stores.entry_at(store / "d").is_folder


def test_a_listing_goes_over_all_pages(s3, monkeypatch):
    monkeypatch.setattr(stores, "PAGE_OBJECTS", 3)
    for number in range(7):
        stores.write(b"", s3 / f"many/{number}")
    assert len(names_in(s3)) == 7


def test_a_written_object_has_another_stamp(store):
    stamps = []
    for data in (b"1", b"2"):
        stores.write(data, store / "a")
        stamps.append(stores.entry_at(store / "a").stamp)
    assert stamps[0] != stamps[1]


def test_what_is_missing_is_said_so(store, tmp_path):
    with pytest.raises(ImageError, match=r"gone\.jpg does not exist"):
        stores.fetch(store / "gone.jpg", tmp_path / "file")


def test_a_bucket_that_is_missing_takes_nothing(s3):
    with pytest.raises(OutputError, match="no nowhere-at-all is there"):
        stores.write(b"", Remote("s3", "nowhere-at-all/a.jpg"))


@pytest.mark.parametrize("error", [PermissionError("403 password=sesame"), OSError("reset")])
def test_a_refusal_names_the_object_and_what_to_do(store, monkeypatch, error):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(stores._store(store), "pipe_file", refuse)
    with pytest.raises(OutputError, match="no permission|cannot be reached") as told:
        stores.write(b"", store / "a.jpg")
    assert str(store / "a.jpg") in str(told.value) and "sesame" not in str(told.value)


def test_a_wrong_endpoint_is_told_within_seconds(s3_server, monkeypatch):
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
    for forget in (stores._file_system.cache_clear, s3fs.S3FileSystem.clear_instance_cache):
        forget()
    started = time.perf_counter()
    with pytest.raises(ImageError, match="cannot be reached"):
        stores.read(Remote("s3", "bucket/a.jpg"))
    assert time.perf_counter() - started < 20
    for forget in (stores._file_system.cache_clear, s3fs.S3FileSystem.clear_instance_cache):
        forget()


def test_the_web_takes_nothing():
    with pytest.raises(UsageError, match="nothing can be written"):
        stores.check_writable(address_of("https://host/out/"))


def test_a_missing_package_names_what_to_install(monkeypatch):
    import fsspec

    def missing(*_, **__):
        raise ImportError("no gcsfs")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    stores._file_system.cache_clear()
    with pytest.raises(UsageError) as told:
        stores.read(Remote("gs", "bucket/a.jpg"))
    assert told.value.hint == "pip install 'srcli[gs]'"
