"""Files behind plain addresses: resumed, checked, and never mistaken."""

import time

import pytest
from weights_server import CONTENT, Served, digest

from srcli.errors import DiskFullError
from srcli.io.cache import Cache
from srcli.io.catalogue import UrlSource
from srcli.io.sources import Hosts, SourceError, fetch

SIZE = len(CONTENT)


def get(address, content=CONTENT, size=SIZE, on_progress=lambda done, total: None):
    source = UrlSource(url=address, sha256=digest(content), size=size)
    ((path, file),) = fetch(source, Cache(), Hosts(), on_progress)
    assert file.sha256 == digest(path.read_bytes())
    return path.read_bytes()


def test_a_file_is_fetched_whole_and_its_progress_told(server):
    server.files["/a.pth"] = Served()
    told = []
    assert get(f"{server.address}/a.pth", on_progress=lambda *each: told.append(each)) == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT)) and len(told) > 2
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_download_that_breaks_off_goes_on_where_it_was(server):
    server.files["/a.pth"] = Served(cuts=[300_000, 200_000])
    assert get(f"{server.address}/a.pth") == CONTENT
    assert [request[2] for request in server.gets()] == ["", "bytes=300000-", "bytes=500000-"]


def test_half_a_file_of_unknown_length_and_digest_is_not_taken_for_the_file(server):
    server.files["/a.pth"] = Served(is_chunked=True, cuts=[300_000])
    source = UrlSource(url=f"{server.address}/a.pth")
    ((path, file),) = fetch(source, Cache(), Hosts(), lambda done, total: None)
    assert path.read_bytes() == CONTENT and file.size == SIZE
    assert len(server.gets()) == 2


def test_a_download_goes_on_in_a_later_run(server):
    server.files["/a.pth"] = Served(cuts=[300_000, 0, 0, 0])
    with pytest.raises(SourceError, match="broke off after 300000 bytes"):
        get(f"{server.address}/a.pth")
    assert get(f"{server.address}/a.pth") == CONTENT
    assert server.gets()[-1][2] == "bytes=300000-"


def test_a_server_that_cannot_resume_gives_everything_again(server):
    server.files["/a.pth"] = Served(cuts=[300_000], takes_ranges=False)
    assert get(f"{server.address}/a.pth") == CONTENT


def test_a_beginning_from_elsewhere_is_noticed_and_all_is_fetched_again(server):
    server.files["/a.pth"] = Served()
    Cache().partial(digest(CONTENT)).write_bytes(b"of another file")
    assert get(f"{server.address}/a.pth") == CONTENT
    assert [request[2] for request in server.gets()] == ["bytes=15-", ""]


@pytest.mark.parametrize("size", [len(CONTENT), None], ids=["known-size", "unknown-size"])
def test_a_beginning_that_is_longer_than_the_file_is_dropped(server, size):
    server.files["/a.pth"] = Served()
    Cache().partial(digest(CONTENT)).write_bytes(CONTENT + b"more")
    assert get(f"{server.address}/a.pth", size=size) == CONTENT


def test_a_whole_file_that_only_waits_to_be_checked_is_not_fetched_again(server):
    Cache().partial(digest(CONTENT)).write_bytes(CONTENT)
    assert get(f"{server.address}/a.pth") == CONTENT
    assert not server.requests


def test_a_redirect_is_followed(server):
    server.files["/a.pth"] = Served(redirect=f"{server.address}/b.pth")
    server.files["/b.pth"] = Served()
    assert get(f"{server.address}/a.pth") == CONTENT


def test_a_slow_server_is_waited_for(server):
    server.files["/a.pth"] = Served(silence_s=1.2)  # longer than a connection may take
    assert get(f"{server.address}/a.pth") == CONTENT


@pytest.mark.parametrize(
    ("served", "reason"),
    [
        pytest.param(Served(content=CONTENT[::-1]), "gave another file: sha256", id="digest"),
        pytest.param(Served(content=CONTENT[:-1]), "instead of 1024000", id="length"),
        pytest.param(Served(b"<html>log in</html>", "text/html"), "a web page", id="page"),
        pytest.param(Served(b"<html>".ljust(len(CONTENT))), "a web page", id="disguised-page"),
        pytest.param(Served(status=404), "answered 404", id="absent"),
        pytest.param(Served(status=503), "answered 503", id="unavailable"),
    ],
)
def test_what_is_not_the_file_is_refused_with_the_reason_and_not_kept(server, served, reason):
    server.files["/a.pth"] = served
    with pytest.raises(SourceError, match=reason):
        get(f"{server.address}/a.pth")
    partial = Cache().partial(digest(CONTENT))
    assert not partial.exists() or not partial.stat().st_size


def test_a_refused_connection_costs_next_to_nothing(refused):
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"127\.0\.0\.1: connection refused"):
        get(f"{refused}/a.pth")
    assert time.monotonic() - start < 0.5


def test_a_black_hole_costs_its_time_once(black_hole):
    start = time.monotonic()
    hosts = Hosts()
    for _ in range(3):
        with pytest.raises(SourceError, match=r"127\.0\.0\.1: no connection within"):
            hosts.require(f"{black_hole}/a.pth")
    assert time.monotonic() - start < 2  # the limit is 1 s here


def test_a_redirect_into_a_black_hole_costs_no_more(server, black_hole):
    server.files["/a.pth"] = Served(redirect=f"{black_hole}/b.pth")
    start = time.monotonic()
    with pytest.raises(SourceError, match="no connection within"):
        get(f"{server.address}/a.pth")
    assert time.monotonic() - start < 2


def test_an_unknown_host_is_named():
    with pytest.raises(SourceError, match=r"nowhere\.invalid: the name is not known"):
        get("http://nowhere.invalid/a.pth")


def test_a_proxy_is_asked_instead_of_the_host(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.address)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.files["http://nowhere.invalid/a.pth"] = Served()
    assert get("http://nowhere.invalid/a.pth") == CONTENT


def test_a_disk_without_room_is_noticed_before_the_download(server):
    server.files["/a.pth"] = Served()
    with pytest.raises(DiskFullError, match="no space left for .* MB"):
        get(f"{server.address}/a.pth", size=10**18)
    assert not server.requests


@pytest.mark.parametrize(
    ("served", "reason"),
    [
        pytest.param(Served(redirect="ftp://127.0.0.1/a"), "away from the web", id="ftp"),
        pytest.param(Served(redirect="file:///etc/passwd"), "leads nowhere", id="file"),
        pytest.param(Served(redirect="http://[::/a"), "no address", id="nonsense"),
        pytest.param(Served(redirect="/a.pth"), "leads nowhere, or in circles", id="circle"),
        pytest.param(Served(encoding="gzip"), "a compressed file", id="gzip"),
        pytest.param(Served(status=429, retry_after="3600"), "answered 429", id="far-later"),
    ],
)
def test_where_a_server_leads_astray_it_is_left(server, served, reason):
    server.files["/a.pth"] = served
    with pytest.raises(SourceError, match=reason) as told:
        get(f"{server.address}/a.pth")
    assert "\n" not in str(told.value) and len(server.requests) <= 11


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again_when_it_says(server, status):
    server.files["/a.pth"] = Served(status=status, retry_after="0", failures=2)
    assert get(f"{server.address}/a.pth") == CONTENT
    assert len(server.gets()) == 3


def test_a_file_that_would_take_days_is_given_up_and_can_be_gone_on_with(server, monkeypatch):
    monkeypatch.setattr("srcli.io.sources.network.PATIENCE_SECONDS", 0.3)
    server.files["/a.pth"] = Served(drip_s=0.05)
    with pytest.raises(SourceError, match="less than 1000 bytes a second"):
        get(f"{server.address}/a.pth")
    assert Cache().partial(digest(CONTENT)).stat().st_size > 0


def test_an_answer_whose_head_never_ends_is_given_up(server, monkeypatch):
    monkeypatch.setattr("srcli.io.sources.network.PATIENCE_SECONDS", 0.3)
    server.files["/a.pth"] = Served(silence_s=2)
    start = time.monotonic()
    with pytest.raises(SourceError, match="no answer"):
        get(f"{server.address}/a.pth")
    assert time.monotonic() - start < 1.5


def test_crumbs_are_not_asked_for_one_by_one_for_ever(server):
    server.files["/a.pth"] = Served(cuts=[300_000, *[100] * 50])
    with pytest.raises(SourceError, match="broke off"):
        get(f"{server.address}/a.pth")
    assert len(server.gets()) < 6
