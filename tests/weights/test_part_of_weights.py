"""Of VGG19 only the convolutions stay: checked as a whole, cut, and then known by a new digest."""

import json

import pytest
import torch
from safetensors.torch import load_file, save
from weights_server import Served, digest, hub_source, url_source

from srcli.cli.app import main
from srcli.errors import BadWeightsError, UnavailableWeightsError
from srcli.io.cache import Cache, sha256
from srcli.services import weights_part
from srcli.services.weights import obtain
from srcli.services.weights_cache import (
    import_weights,
    list_weights,
    remove_weights,
    show_weights,
    verify_weights,
)

FEATURES = {
    "features.0.weight": torch.arange(54.0).view(2, 3, 3, 3),
    "features.0.bias": torch.ones(2),
}
WHOLE = save({**FEATURES, "classifier.0.weight": torch.rand(300, 300)})


@pytest.fixture
def vgg(server, write_catalogue):
    server.files["/vgg19.pth"] = Served(WHOLE)
    write_catalogue(vgg19=[url_source(f"{server.address}/vgg19.pth", WHOLE)], keep="features.")
    return server


def blobs():
    return Cache().blobs()


def test_only_the_part_stays_under_its_own_digest(vgg):
    weights = obtain("vgg19")
    (path,) = weights.files
    assert blobs() == [path] and path.stem == weights.digest == sha256(path) != digest(WHOLE)
    assert path.stat().st_size < len(WHOLE) / 10
    found = load_file(path)
    assert found.keys() == FEATURES.keys()
    assert all(torch.equal(found[name], value) for name, value in FEATURES.items())
    assert not list((Cache().root / "partial").iterdir())


def test_the_part_serves_from_then_on_without_a_connection(vgg):
    weights = obtain("vgg19")
    vgg.files.clear()
    assert obtain("vgg19", offline=True) == weights


def test_it_is_fetched_once(vgg):
    assert obtain("vgg19") == obtain("vgg19")
    assert len(vgg.gets()) == 1


def test_verify_list_show_and_remove_know_the_part(vgg):
    (path,) = obtain("vgg19").files
    assert [(each.name, each.status) for each in verify_weights()] == [("vgg19", "ok")]
    assert list_weights()[0].cached and show_weights("vgg19").files == (path,)
    assert remove_weights("vgg19").files == 1
    assert blobs() == [] and not list_weights()[0].cached


def test_a_damaged_part_is_removed_and_fetched_again(vgg):
    (path,) = obtain("vgg19").files
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert [(each.name, each.status) for each in verify_weights()] == [("vgg19", "damaged")]
    assert obtain("vgg19").files == (path,)
    assert sha256(path) == path.stem and len(vgg.gets()) == 2


def test_a_download_with_another_digest_is_never_cut(server, write_catalogue, monkeypatch):
    server.files["/vgg19.pth"] = Served(WHOLE)
    write_catalogue(vgg19=[url_source(f"{server.address}/vgg19.pth")], keep="features.")
    monkeypatch.setattr(weights_part, "cut", lambda *_, **__: pytest.fail("cut unchecked"))
    with pytest.raises(UnavailableWeightsError):
        obtain("vgg19")


def test_a_kill_before_the_part_is_recorded_costs_no_second_download(vgg, monkeypatch):
    def killed(self, record):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Cache, "write_record", killed)
        obtain("vgg19")
    (path,) = obtain("vgg19").files
    assert blobs() == [path] and len(vgg.gets()) == 1


def test_an_imported_whole_file_is_cut_too(vgg, tmp_path):
    (tmp_path / "mine.pth").write_bytes(WHOLE)
    assert import_weights(tmp_path / "mine.pth").name == "vgg19"
    files = obtain("vgg19", offline=True).files
    assert blobs() == list(files)
    assert load_file(blobs()[0]).keys() == FEATURES.keys()


def test_nor_does_the_whole_stay_in_the_hubs_cache(server, write_catalogue, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    served = Served(WHOLE, etag=digest(WHOLE))
    server.files["/me/nets/resolve/main/vgg.safetensors"] = served
    write_catalogue(vgg19=[hub_source("vgg.safetensors", WHOLE)], keep="features.")
    (path,) = obtain("vgg19").files
    assert blobs() == [path]
    left = [each.stat().st_size for each in (tmp_path / "hub").rglob("*") if each.is_file()]
    assert len(WHOLE) not in left


def test_a_file_without_such_tensors_is_refused(server, write_catalogue):
    content = save({"other": torch.ones(2)})
    server.files["/a.pth"] = Served(content)
    write_catalogue(vgg19=[url_source(f"{server.address}/a.pth", content)], keep="features.")
    with pytest.raises(BadWeightsError, match="no tensors named features"):
        obtain("vgg19")


def test_verify_as_json_names_the_part(vgg, capsys):
    obtain("vgg19")
    with pytest.raises(SystemExit):
        main(["weights", "verify", "--json"])
    record = json.loads(capsys.readouterr().out)
    assert (record["name"], record["status"]) == ("vgg19", "ok")
