"""The cache: listed, checked, added to, and removed from."""

import errno
import os
import sys
from pathlib import Path

import pytest
import torch
from weights_server import Served, digest, url_source

from srcli.errors import BadWeightsError, OutputError, UnknownWeightsError, UsageError
from srcli.io.cache import Cache
from srcli.io.tensors import write_safetensors
from srcli.services.weights import obtain
from srcli.services.weights_cache import (
    import_weights,
    list_weights,
    path_of_weights,
    pull_weights,
    remove_weights,
    show_weights,
    verify_weights,
)


@pytest.fixture
def mine(tmp_path):
    """A real file of weights that no catalogue knows."""
    path = tmp_path / "My Net_v1.safetensors"
    write_safetensors(path, {"conv.weight": torch.ones(1, 3, 3, 3)})
    return path


@pytest.fixture
def tiny(server, write_catalogue, mine):
    """A catalogue of one entry whose file is a real one."""
    content = mine.read_bytes()
    server.files["/a.pth"] = Served(content=content)
    write_catalogue(tiny=[url_source(f"{server.address}/a.pth", content)])
    return server


@pytest.fixture
def other(write_catalogue):
    """A catalogue that does not know the file."""
    write_catalogue(tiny=[url_source("http://example.org/a.pth")])


def rows():
    return {row.name: row for row in list_weights()}


def test_an_imported_file_is_found_by_name_without_a_connection(other, mine, no_network):
    report = import_weights(mine)
    assert (report.name, report.known) == ("my-net-v1", False)
    weights = obtain("My_Net_v1")
    assert weights.files == report.files and weights.entry is None
    assert weights.files[0].read_bytes() == mine.read_bytes()
    row = rows()["my-net-v1"]
    assert row.imported and row.cached and row.size == mine.stat().st_size


def test_an_import_is_a_copy_that_outlives_its_file(other, mine):
    import_weights(mine, "own")
    content = mine.read_bytes()
    mine.write_bytes(b"changed in place")
    mine.unlink()
    assert obtain("own").files[0].read_bytes() == content


def test_a_file_that_the_catalogue_knows_becomes_its_entry(tiny, mine, no_network):
    report = import_weights(mine)
    assert (report.name, report.known) == ("tiny", True)
    assert obtain("tiny", offline=True).entry.name == "tiny"


def test_an_ncnn_pair_is_imported_by_one_half(other, tmp_path):
    (tmp_path / "net.param").write_bytes(b"7767517\n3 3\n")
    (tmp_path / "net.bin").write_bytes(b"numbers")
    import_weights(tmp_path / "net.param")
    assert [file.suffix for file in obtain("net").files] == [".param", ".bin"]


def test_a_name_of_the_catalogue_is_not_given_to_another_file(other, mine):
    with pytest.raises(UsageError, match="another digest"):
        import_weights(mine, "TINY")


def test_a_name_is_not_given_to_two_files_but_may_be_given_twice_to_one(other, mine, tmp_path):
    assert import_weights(mine, "own") == import_weights(mine, "own")
    write_safetensors(tmp_path / "b.safetensors", {"w": torch.zeros(2)})
    with pytest.raises(UsageError, match="imported before from another file"):
        import_weights(tmp_path / "b.safetensors", "Own")


def test_an_entry_without_digest_takes_the_file_that_the_user_brings(write_catalogue, mine):
    write_catalogue(tiny=['kind = "url"\nurl = "https://example.org/a.pth"'])
    import_weights(mine, "tiny")
    weights = obtain("tiny", offline=True)
    assert weights.digest == digest(mine.read_bytes()) and weights.entry.name == "tiny"


@pytest.mark.parametrize("name", ["..", "///", ""])
def test_a_name_must_have_something_to_be_typed(other, mine, name):
    with pytest.raises(UsageError, match="is no name"):
        import_weights(mine, name or "-")


def test_a_name_cannot_lead_out_of_the_cache(other, mine):
    assert import_weights(mine, "../../etc/Passwd").name == "etc-passwd"


def test_what_is_no_file_of_weights_is_not_imported(other, tmp_path):
    (tmp_path / "a.pth").write_text("<html>")
    with pytest.raises(BadWeightsError, match="web page"):
        import_weights(tmp_path / "a.pth")
    with pytest.raises(UnknownWeightsError, match="no file"):
        import_weights(tmp_path / "absent.pth")
    assert not Cache().blobs()


def test_verify_passes_by_what_another_process_removed_meanwhile(mine):
    import_weights(mine)
    blobs = Cache().root / "blobs"
    (blobs / f"{'0' * 64}.pth").symlink_to("gone")
    assert [each.status for each in verify_weights()] == ["ok"]


def test_verify_removes_what_is_damaged_even_if_nothing_shows_it(tiny, mine):
    path = obtain("tiny").files[0]
    stamp = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert obtain("tiny").files == (path,)  # same size and time: not hashed again
    assert [(v.name, v.status) for v in verify_weights()] == [("tiny", "damaged")]
    assert obtain("tiny").files[0].read_bytes() == mine.read_bytes()
    assert [(v.name, v.status) for v in verify_weights()] == [("tiny", "ok")]


def test_remove_frees_what_only_that_name_needs(tiny, mine):
    obtain("tiny")
    assert rows()["tiny"].cached
    report = remove_weights("Tiny")
    assert (report.files, report.freed) == (1, mine.stat().st_size)
    assert not rows()["tiny"].cached and not Cache().blobs()
    assert remove_weights("tiny").files == 0


def test_remove_spares_a_file_that_another_name_needs(other, mine):
    import_weights(mine, "one")
    import_weights(mine, "two")
    assert remove_weights("one").files == 0
    assert obtain("two").files[0].exists()
    with pytest.raises(UnknownWeightsError):
        obtain("one")


def test_show_tells_the_entry_its_sources_and_its_files(tiny):
    assert show_weights("tiny").files == ()
    obtain("tiny")
    report = show_weights("TINY")
    assert report.entry.name == "tiny" and report.sources == (f"{tiny.address}/a.pth",)
    assert report.files == path_of_weights("tiny").files


def test_show_and_remove_answer_an_unknown_name_with_the_nearest(other, mine):
    import_weights(mine, "grandmother")
    for ask in (show_weights, remove_weights, path_of_weights):
        with pytest.raises(UnknownWeightsError, match="the nearest: grandmother"):
            ask("grandmohter")


def test_one_name_that_fails_does_not_stop_the_others(tiny):
    failed, done = pull_weights(["tinny", "tiny"])
    assert isinstance(failed.failure, UnknownWeightsError) and done.weights.name == "tiny"


def test_a_damaged_record_is_named(other, mine):
    import_weights(mine, "own")
    (Cache().root / "names" / "own.json").write_text("{}")
    with pytest.raises(BadWeightsError, match=r"own\.json is damaged"):
        obtain("own")


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SRCLI_HOME", str(tmp_path / "here"))
    assert Cache().root == tmp_path / "here" / "weights"
    monkeypatch.delenv("SRCLI_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert Cache().root.name == "weights" and Cache().root.parent.name == "srcli"


def test_a_refusal_to_write_into_the_cache_says_what_to_do(tiny, monkeypatch):
    def refuse(self, **_):
        raise PermissionError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match="read-only") as caught:
        obtain("tiny")
    assert "SRCLI_HOME" in caught.value.hint


def test_a_record_that_another_process_is_writing_is_no_damaged_one(other, mine):
    import_weights(mine, "own")
    names = Cache().root / "names"
    (names / ".later.0123abcd.partial.json").write_bytes(b'{"name": "la')
    (names / "gone.json").symlink_to("removed since it was listed")
    assert list(Cache().records()) == ["own"]


@pytest.mark.skipif(sys.platform == "win32", reason="has locks of another kind")
def test_a_file_system_without_locks_is_said_to_have_none(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refused)
    with (
        pytest.raises(OutputError, match="has no locks"),
        Cache(tmp_path).locked("a", is_patient=False),
    ):
        pass
