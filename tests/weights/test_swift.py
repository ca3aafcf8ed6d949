"""The network that comes with srcli: there without a cache, without a connection, and good."""

import zipfile
from pathlib import Path

import pytest
import torch
from hatchling.builders.wheel import WheelBuilder
from PIL import Image
from skimage import data

from srcli.cli.app import main
from srcli.degradations.resize import Filter, quantize, resize
from srcli.inference.geometry import PlanKind
from srcli.inference.rows import TensorSink, TensorSource
from srcli.io.cache import sha256
from srcli.io.catalogue import ShippedSource, catalogue
from srcli.metrics.fidelity import Protocol, measure
from srcli.services.engine import Engine, EngineOptions
from srcli.services.network import load_network
from srcli.services.weights import obtain
from srcli.services.weights_cache import list_weights, show_weights

ROOT = Path(__file__).parents[2]
(SOURCE,) = catalogue().find("swift").sources


@pytest.fixture(scope="module")
def network():
    return load_network("swift", offline=True)


def enlarged(network, low, **options):
    """uint8 (3, 4h, 4w) from [0, 1] (3, h, w)."""
    result = torch.empty(3, 4 * low.shape[1], 4 * low.shape[2])
    Engine(network, EngineOptions(device="cpu", **options)).run(
        TensorSource(low), TensorSink(result)
    )
    return result


def test_the_file_is_the_one_of_the_catalogue_and_small():
    assert isinstance(SOURCE, ShippedSource)
    assert sha256(SOURCE.path) == SOURCE.sha256
    assert SOURCE.path.stat().st_size == SOURCE.size <= 1_300_000


def test_it_is_used_where_it_is_without_cache_or_connection(no_network):
    weights = obtain("swift", offline=True)
    assert weights.files == (SOURCE.path,) and weights.digest == SOURCE.sha256
    assert show_weights("swift").files == (SOURCE.path,)
    assert [row.cached for row in list_weights() if row.name == "swift"] == [True]


def test_a_damaged_file_is_not_used(monkeypatch, tmp_path):
    (tmp_path / SOURCE.file).write_bytes(SOURCE.path.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(ShippedSource, "path", tmp_path / SOURCE.file)
    with pytest.raises(SystemExit) as ended:
        main(["weights", "path", "swift"])
    assert ended.value.code == 3


def test_bands_of_rows_give_what_the_whole_picture_gives(network):
    low = torch.rand(3, 70, 40, generator=torch.Generator().manual_seed(1))
    whole = enlarged(network, low, plan=PlanKind.WHOLE)
    assert torch.equal(enlarged(network, low, plan=PlanKind.STREAM), whole)


def test_offline_it_takes_the_place_of_a_default_that_is_not_here(tmp_path, capsys, no_network):
    Image.new("RGB", (12, 8), "teal").save(tmp_path / "small.png")
    with pytest.raises(SystemExit) as ended:
        main(["upscale", str(tmp_path / "small.png"), "--offline", "--device", "cpu"])
    assert ended.value.code == 0
    assert Image.open(tmp_path / "small_x4.png").size == (48, 32)
    assert "realesrgan-x4plus is not on this machine: using swift" in capsys.readouterr().err


def test_offline_a_network_that_was_asked_for_has_no_substitute(tmp_path, capsys, no_network):
    Image.new("RGB", (12, 8), "teal").save(tmp_path / "small.png")
    with pytest.raises(SystemExit) as ended:
        main(["upscale", str(tmp_path / "small.png"), "--offline", "-m", "realesrgan-x4plus"])
    assert ended.value.code == 3
    assert "-m swift" in capsys.readouterr().err


def test_it_is_nearer_to_a_photograph_than_bicubic(network):
    """`rocket` is one of the photographs that it was not trained on."""
    photograph = torch.from_numpy(data.rocket()[100:356, 200:456].copy()).permute(2, 0, 1)
    low = quantize(resize(photograph / 255, (64, 64)))
    bicubic = quantize(resize(low, (256, 256), filter=Filter.BICUBIC))
    ours, theirs = (
        measure(each, photograph, Protocol(crop=4)) for each in (enlarged(network, low), bicubic)
    )
    assert ours.psnr > theirs.psnr and ours.ssim > theirs.ssim


def test_the_wheel_holds_it_with_its_licence_and_stays_small(tmp_path):
    wheel = Path(next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path))))
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"srcli/shipped/{SOURCE.file}", "srcli/shipped/LICENSE-swift"} <= set(names)
    assert wheel.stat().st_size < 4_000_000
