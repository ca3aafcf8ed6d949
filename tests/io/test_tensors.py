"""Files of tensors: every container is read by its content, and nothing in them ever runs."""

import os
import pickle
import struct
import zipfile

import pytest
import safetensors
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from srcli.errors import BadWeightsError
from srcli.io.containers import Container, recognise
from srcli.io.tensors import read_metadata, read_state_dict, write_safetensors

TENSORS = {"conv.weight": torch.arange(24.0).reshape(2, 3, 2, 2), "conv.bias": torch.ones(2)}


class RunsCode:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def save_zip(content, path):
    torch.save(content, path)


def save_legacy(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_pickle(protocol):
    return lambda content, path: path.write_bytes(pickle.dumps(content, protocol))


@pytest.mark.parametrize("save", [save_zip, save_legacy], ids=["zip", "legacy"])
def test_a_pytorch_file_keeps_its_nesting_and_its_numbers(tmp_path, save):
    save({"params_ema": TENSORS, "step": 7, "empty": {}}, tmp_path / "a.pth")
    tree = read_state_dict(tmp_path / "a.pth")
    assert list(tree) == ["params_ema"]
    torch.testing.assert_close(tree["params_ema"], TENSORS, rtol=0, atol=0)


def test_what_is_written_is_read_back_with_its_metadata(tmp_path):
    write_safetensors(tmp_path / "a.safetensors", TENSORS, {"scale": "4"})
    torch.testing.assert_close(read_state_dict(tmp_path / "a.safetensors"), TENSORS, rtol=0, atol=0)
    assert read_metadata(tmp_path / "a.safetensors") == {"scale": "4"}


def test_tied_and_transposed_tensors_are_written_by_value(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    write_safetensors(tmp_path / "a.safetensors", {"a": shared, "b": shared, "c": shared.T})
    read = read_state_dict(tmp_path / "a.safetensors")
    assert torch.equal(read["a"], read["b"]) and torch.equal(read["c"], shared.T)


def test_the_container_is_told_from_the_content_not_the_suffix(tmp_path):
    write_safetensors(tmp_path / "really.safetensors", TENSORS)
    path = (tmp_path / "really.safetensors").rename(tmp_path / "misnamed.pth")
    assert recognise(path) is Container.SAFETENSORS
    assert read_state_dict(path).keys() == TENSORS.keys()


@pytest.mark.parametrize(
    "save",
    [save_zip, save_legacy, *map(save_pickle, range(6))],
    ids=["zip", "legacy", *(f"protocol-{protocol}" for protocol in range(6))],
)
def test_a_pickle_that_wants_to_run_code_is_refused_by_name_and_never_runs(tmp_path, save):
    save({"w": torch.ones(1).tolist(), "x": RunsCode(tmp_path / "ran")}, tmp_path / "evil.pth")
    with pytest.raises(BadWeightsError, match=rf"asks for {os.system.__module__}\.system: refused"):
        read_state_dict(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["sys\ntem", "\x1b[2Jsystem", "s" * 10_000])
def test_a_strange_name_is_told_in_one_short_line_of_print(tmp_path, name):
    """Protocol 4 takes names from strings, so they may hold anything."""
    asked = b"".join(b"X" + struct.pack("<I", len(each)) + each.encode() for each in ("os", name))
    (tmp_path / "a.pth").write_bytes(b"\x80\x04" + asked + b"\x93.")
    with pytest.raises(BadWeightsError, match=r"asks for os\.") as refused:
        read_state_dict(tmp_path / "a.pth")
    assert str(refused.value).isprintable() and len(str(refused.value)) < 400


def test_what_stands_behind_a_damaged_pickle_is_not_asked_for(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"\x80\x02\xff" + pickle.dumps(os.system, 2))
    with pytest.raises(BadWeightsError, match="damaged"):
        read_state_dict(tmp_path / "a.pth")


def test_a_whole_pickled_network_is_refused_by_the_name_of_its_class(tmp_path):
    torch.save(torch.nn.Conv2d(1, 1, 1), tmp_path / "network.pth")
    with pytest.raises(BadWeightsError, match=r"asks for torch\.nn\.modules\.conv\.Conv2d"):
        read_state_dict(tmp_path / "network.pth")


def torchscript(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/constants.pkl", b"")
        archive.writestr("net/code/__torch__.py", "")
    return path.read_bytes()


def safetensors_with_header_size(size):
    return struct.pack("<Q", size) + b'{"a":' + bytes(40)


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(bytes(4096), "nothing but zero bytes", id="zeros"),
        pytest.param(b"\n<!DOCTYPE html><html></html>", "is a web page", id="page"),
        pytest.param(b"hello\nworld\n", "is a text", id="text"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", id="lfs-pointer"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(8), "it begins with 89 50 4e 47", id="picture"),
        pytest.param(b"PK\x03\x04" + bytes(100), "has no index", id="cut-zip"),
        pytest.param(b"7767517\n3 3\n", "ncnn", id="ncnn-param"),
        pytest.param(safetensors_with_header_size(2**40), "not a real one", id="huge-header"),
        pytest.param(safetensors_with_header_size(5000), "is cut short", id="cut-header"),
        pytest.param(safetensors_with_header_size(20), "is damaged", id="broken-header"),
        pytest.param(pickle.dumps({"steps": 3}), "is damaged", id="plain-pickle"),
    ],
)
def test_what_is_no_file_of_weights_is_called_what_it_is(tmp_path, content, phrase):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(BadWeightsError, match=phrase) as caught:
        read_state_dict(tmp_path / "a.pth")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "remedy"),
    [(b"<html></html>", "in a browser"), (b"version https://git-lfs", "git lfs pull")],
)
def test_what_a_failed_download_left_has_its_remedy(tmp_path, content, remedy):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(BadWeightsError) as caught:
        read_state_dict(tmp_path / "a.pth")
    assert remedy in caught.value.hint


def test_a_torchscript_program_is_refused(tmp_path):
    torchscript(tmp_path / "a.pt")
    with pytest.raises(BadWeightsError, match="TorchScript"):
        read_state_dict(tmp_path / "a.pt")


def test_a_file_without_tensors_is_refused(tmp_path):
    torch.save({"epoch": 3, "names": ["a"]}, tmp_path / "a.pth")
    with pytest.raises(BadWeightsError, match="no tensors"):
        read_state_dict(tmp_path / "a.pth")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(BadWeightsError, match="no file"):
        read_state_dict(tmp_path / "absent.pth")
    with pytest.raises(BadWeightsError, match="cannot be read"):
        read_state_dict(tmp_path)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    save_zip({"params": TENSORS}, folder / "zip")
    save_legacy({"params": TENSORS}, folder / "legacy")
    write_safetensors(folder / "safetensors", TENSORS)
    return folder


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_one_clear_error(originals, kind, cut):
    whole = (originals / kind).read_bytes()
    damaged = originals / f"{kind}-cut"
    damaged.write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(BadWeightsError):
        read_state_dict(damaged)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_file_with_a_wrong_byte_is_read_or_is_one_clear_error(originals, kind, place, value):
    content = bytearray((originals / kind).read_bytes())
    content[int(place * len(content))] = value
    damaged = originals / f"{kind}-wrong"
    damaged.write_bytes(content)
    try:
        read_state_dict(damaged)
    except BadWeightsError as error:
        assert str(damaged) in str(error)


def test_the_same_tensors_and_metadata_make_the_same_bytes(tmp_path):
    metadata = {f"key {number}": "é" * number for number in range(20)}
    paths = [tmp_path / f"{number}.safetensors" for number in range(3)]
    for path in paths:
        write_safetensors(path, {"b": torch.ones(3), "a": torch.arange(5)}, metadata)
    assert len({path.read_bytes() for path in paths}) == 1
    with safetensors.safe_open(paths[0], framework="pt") as file:
        assert file.metadata() == metadata
        assert torch.equal(file.get_tensor("a"), torch.arange(5))
