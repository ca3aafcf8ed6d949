"""OpenModelDB, played by a small database of our own on a server of our own."""

import json
import sys

import pytest
from weights_server import CONTENT, Served, digest

from srcli.cli.app import main
from srcli.errors import UnavailableWeightsError, UnknownWeightsError
from srcli.io.cache import cache_root
from srcli.services.weights import LicenceNotice, obtain
from srcli.services.weights_cache import list_weights, remove_weights, verify_weights

DIGEST = digest(CONTENT)
client = pytest.importorskip("openmodeldb.client", reason="openmodeldb is not installed")


def model(name, *urls, licence="CC-BY-NC-4.0", sha256=DIGEST, **more):
    resource = {"type": "pth", "size": len(CONTENT), "sha256": sha256, "urls": list(urls)}
    return {
        "name": name,
        "author": ["ada", "bob"],
        "architecture": "esrgan",
        "scale": 4,
        "license": licence,
        "tags": ["photo", "denoise"],
        "description": "Takes the\x1b[31m noise away.",
        "resources": [resource],
        **more,
    }


@pytest.fixture
def database(server, monkeypatch):
    address = f"{server.address}/file.pth"
    models = {
        "4x-Quiet": model("Quiet", f"{server.address}/absent.pth", address),
        "4x-Blind": model("Blind", address, licence=None, sha256=None),
        "2x-Paged": model("Paged", "https://drive.google.com/file/d/1", scale=2),
        "4x-Forged": model("Forged", address, sha256="0" * 64),
    }
    server.files["/models.json"] = Served(json.dumps(models).encode(), "application/json")
    server.files["/file.pth"] = Served()
    monkeypatch.setattr(client, "API_URL", f"{server.address}/models.json")
    return server


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["weights", *arguments])
        raise SystemExit(0)
    printed = capsys.readouterr()
    return ended.value.code or 0, printed.out, printed.err


def test_search_shows_what_one_chooses_by(database, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    code, out, err = run(capsys, "search", "NOISE")
    assert code == 0 and "weights pull openmodeldb:NAME" in err
    (quiet,) = [line for line in out.splitlines() if line.startswith("4x-Quiet")]
    assert quiet.split() == [
        "4x-Quiet",
        "x4",
        "esrgan",
        "1.02",
        "MB",
        "CC-BY-NC-4.0",
        "photo,",
        "denoise",
    ]
    assert "browser only" in out and "\x1b" not in out
    code, out, _ = run(capsys, "search", "noise", "--scale", "2", "--json")
    assert [json.loads(line)["name"] for line in out.splitlines()] == ["2x-Paged"]


def test_the_index_is_fetched_once_an_hour(database, capsys):
    for _ in range(2):
        run(capsys, "search", "quiet")
    assert len(database.gets("models.json")) == 1


def test_what_was_pulled_is_here_by_name_with_its_digest_and_licence(database):
    events = []
    weights = obtain("openmodeldb:4x-Quiet", on_event=events.append)
    assert (weights.digest, weights.licence) == (digest(CONTENT), "CC-BY-NC-4.0")
    assert [each.licence for each in events if isinstance(each, LicenceNotice)] == ["CC-BY-NC-4.0"]
    database.files.clear()
    for name in ("openmodeldb:4x-Quiet", "openmodeldb-4x-quiet"):
        assert obtain(name, offline=True) == weights
    row = list_weights()[-1]
    assert (row.name, row.scale, row.licence) == ("openmodeldb-4x-quiet", 4, "CC-BY-NC-4.0")
    assert row.cached and not row.commercial
    assert [(each.name, each.status) for each in verify_weights()] == [(row.name, "ok")]
    assert remove_weights("openmodeldb:4x-Quiet").files == 1


def test_a_file_without_a_digest_needs_trust(database):
    with pytest.raises(UnavailableWeightsError, match="needs --trust"):
        obtain("openmodeldb:4x-Blind")
    weights = obtain("openmodeldb:4x-Blind", trust=True)
    assert (weights.digest, weights.licence) == (digest(CONTENT), "NOASSERTION")


def test_a_file_with_another_digest_is_never_kept(database):
    with pytest.raises(UnavailableWeightsError, match="another file"):
        obtain("openmodeldb:4x-Forged")
    assert list(verify_weights()) == []


def test_a_file_behind_a_page_is_left_to_the_browser(database):
    with pytest.raises(UnavailableWeightsError) as failure:
        obtain("openmodeldb:2x-Paged")
    assert "models/2x-Paged (https://drive.google.com" in failure.value.hint


@pytest.mark.parametrize(("name", "phrase"), [("nobody", "not found"), ("4x", "Ambiguous")])
def test_an_unclear_name_is_refused(database, name, phrase):
    with pytest.raises(UnknownWeightsError, match=phrase):
        obtain(f"openmodeldb:{name}")


def test_without_network_offline_and_without_the_package_it_says_so(refused, monkeypatch, capsys):
    monkeypatch.setattr(client, "API_URL", f"{refused}/models.json")
    code, out, err = run(capsys, "search", "x")
    assert (code, out) == (3, "") and "OpenModelDB: 127.0.0.1: connection refused" in err
    code, _, err = run(capsys, "search", "x", "--offline")
    assert code == 3 and "no connection may be opened" in err
    monkeypatch.setitem(sys.modules, "openmodeldb", None)
    code, _, err = run(capsys, "search", "x")
    assert code == 3 and "pip install 'srcli[openmodeldb]'" in err


def test_an_index_that_is_no_index_is_an_error_without_a_traceback(database, capsys):
    database.files["/models.json"] = Served(b"<html>", "text/html")
    code, _, err = run(capsys, "search", "x")
    assert code == 3 and "Invalid JSON" in err and "Traceback" not in err


@pytest.mark.parametrize("content", [b"", b'{"4x-Quiet": {"name"', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_index_is_an_error_while_offline_and_is_not_fetched(database, capsys, content):
    run(capsys, "search", "quiet")
    index = cache_root() / "openmodeldb" / "models.json"
    index.write_bytes(content)
    code, out, err = run(capsys, "search", "quiet", "--offline")
    assert (code, out) == (3, "") and "or damaged or too old" in err and "Traceback" not in err
    assert index.read_bytes() == content and len(database.gets("models.json")) == 1


@pytest.mark.parametrize("content", [[], {"4x-Quiet": None}, {"4x-Quiet": {"resources": 3}}])
@pytest.mark.parametrize("place", ["--offline", "--online"])
def test_an_index_of_other_values_is_an_error_without_a_traceback(database, capsys, content, place):
    run(capsys, "search", "quiet")
    (cache_root() / "openmodeldb" / "models.json").write_text(json.dumps(content))
    code, out, err = run(capsys, "search", "quiet", place)
    assert (code, out) == (3, "") and "its index is damaged" in err and "Traceback" not in err
