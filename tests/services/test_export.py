"""Exported networks, run by the runtimes that they are for."""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import srcli
from srcli.cli.app import main
from srcli.errors import ConfigError, ExportError, OutOfMemoryError, OutputError, UsageError
from srcli.models.compact import CompactConfig, CompactNet
from srcli.models.rrdb import RRDBConfig, RRDBNet
from srcli.services.exporting import export as exporting
from srcli.services.exporting import ncnn
from srcli.services.exporting.export import export_network
from srcli.services.exporting.formats import Format


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Networks of all three kinds that srcli builds, as files by name."""
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("networks")
    networks = {
        "rrdb": RRDBNet(RRDBConfig(channels=8, growth=4, blocks=1)),
        "folded": RRDBNet(RRDBConfig(channels=8, growth=4, blocks=1, scale=2, unshuffle=2)),
        "compact": CompactNet(CompactConfig(channels=8, convolutions=2, scale=4)),
    }
    for name, network in networks.items():
        # Louder than fresh weights, so that a wrong graph is seen.
        state = {key: value * 1.5 for key, value in network.state_dict().items()}
        save_file(state, folder / f"{name}.safetensors", {"licence": "CC0-1.0"})
    return lambda name: str(folder / f"{name}.safetensors")


@pytest.fixture(scope="module")
def exported(weights, tmp_path_factory):
    """Exports that several tests look at, each made once: the ONNX exporter takes its seconds."""
    folder = tmp_path_factory.mktemp("exports")

    @cache
    def get(format, name):
        return export_network(weights(name), format, folder / f"{name}.{format}.param")

    return get


def restored_by(format: Format, files, image: np.ndarray) -> np.ndarray:
    """What the format's own runtime makes of an image, called as its documentation says."""
    match format:
        case Format.ONNX:
            import onnxruntime

            session = onnxruntime.InferenceSession(str(files[0]))
            return session.run(["restored"], {"image": image})[0]
        case Format.PT2:
            return torch.export.load(files[0]).module()(torch.from_numpy(image)).numpy()
        case Format.TORCHSCRIPT:
            return torch.jit.load(files[0])(torch.from_numpy(image)).numpy()
        case Format.NCNN:
            import ncnn

            net = ncnn.Net()
            net.load_param(str(files[0]))
            net.load_model(str(files[1]))
            extractor = net.create_extractor()
            extractor.input("data", ncnn.Mat(image[0]).clone())
            return np.array(extractor.extract("output")[1])[None]


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize(
    ("format", "name"),
    [
        (Format.ONNX, "folded"),
        (Format.PT2, "rrdb"),
        (Format.TORCHSCRIPT, "folded"),
        (Format.NCNN, "rrdb"),
        (Format.NCNN, "compact"),
    ],
)
def test_the_file_gives_what_the_network_gives_at_any_size(format, name, weights, exported):
    report = exported(format, name)
    image = torch.rand(1, 3, 26, 38)
    expected = srcli.load_network(weights(name))(image)
    restored = restored_by(format, report.files, image.numpy())
    # ncnn computes in bf16 or fp16 where the processor has it, unless told otherwise.
    tolerance = 0.02 if format is Format.NCNN else 1e-5
    np.testing.assert_allclose(restored, expected, atol=tolerance)
    assert len(report.differences) == 4 and max(d.largest for d in report.differences) < 0.1


@pytest.mark.parametrize("format", [Format.NCNN, Format.TORCHSCRIPT])
def test_half_precision_takes_half_the_place(format, weights):
    whole = export_network(weights("compact"), format, Path("whole"))
    half = export_network(weights("compact"), format, Path("half"), half=True)
    assert half.bytes < whole.bytes and (half.half, half.facts["precision"]) == (True, "fp16")
    assert 0 < max(d.largest for d in half.differences) < 4


def test_the_file_says_what_it_is(exported):
    import onnx

    report = exported(Format.ONNX, "folded")
    facts = {each.key: each.value for each in onnx.load(report.files[0]).metadata_props}
    assert (facts["scale"], facts["licence"], facts["source"]) == ("2", "CC0-1.0", "folded")
    assert len(facts["source_sha256"]) == 64
    inside = {"srcli.json": ""}
    torch.export.load(exported(Format.PT2, "rrdb").files[0], extra_files=inside)
    assert json.loads(inside["srcli.json"])["multiple"] == "1"


@pytest.mark.parametrize("scale", [1.01, float("nan")])
def test_an_export_that_is_not_the_network_is_refused_and_nothing_is_left(
    scale, weights, monkeypatch, tmp_path
):
    def wrong(path, dtype):
        return lambda image: srcli.load_network(weights("rrdb"))(image) * scale

    monkeypatch.setattr(exporting, "run_torchscript", wrong)
    with pytest.raises(ExportError, match="the export is off by"):
        export_network(weights("rrdb"), Format.TORCHSCRIPT)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_the_exporter_does_not_take_is_refused(weights, monkeypatch, tmp_path):
    def forward(self, image):
        return image if image.sum() > 0 else -image  # a branch that depends on the numbers

    monkeypatch.setattr(CompactNet, "forward", forward)
    with pytest.raises(ExportError, match="does not take this network"):
        export_network(weights("compact"), Format.PT2)
    assert list(tmp_path.iterdir()) == []


def test_an_export_without_memory_is_not_blamed_on_the_network(weights, monkeypatch, tmp_path):
    def run_out(network, path):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(exporting, "write_torchscript", run_out)
    with pytest.raises(OutOfMemoryError):
        export_network(weights("rrdb"), Format.TORCHSCRIPT)
    assert list(tmp_path.iterdir()) == []


def test_a_converter_that_takes_for_ever_is_given_up(weights, monkeypatch, tmp_path):
    monkeypatch.setattr(ncnn, "PATIENCE_SECONDS", 0)
    with pytest.raises(ExportError, match="was not done"):
        export_network(weights("rrdb"), Format.NCNN)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_stays_unless_it_may_be_replaced(weights):
    Path("rrdb.pt").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        export_network(weights("rrdb"), Format.TORCHSCRIPT)
    assert Path("rrdb.pt").read_text() == "mine"
    export_network(weights("rrdb"), Format.TORCHSCRIPT, overwrite=True)
    assert Path("rrdb.pt").stat().st_size > 1000


def test_a_missing_package_is_named_before_anything_is_fetched(monkeypatch):
    monkeypatch.setitem(exporting.PACKAGES, Format.ONNX, ("no_such_runtime",))
    with pytest.raises(ConfigError, match="no_such_runtime"):
        export_network("realesrgan-x4plus", Format.ONNX, offline=True)


def test_a_pair_has_no_other_suffix(weights):
    with pytest.raises(UsageError, match="no ncnn pair"):
        export_network(weights("rrdb"), Format.NCNN, Path("net.onnx"))


def test_the_command_tells_how_near_the_export_is(weights, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["export", weights("rrdb"), "--to", "torchscript", "-o", "net.pt"])
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (0, "net.pt\n")
    assert re.search(r"photograph, 96 x 72: off by .* levels of 255", printed.err)
