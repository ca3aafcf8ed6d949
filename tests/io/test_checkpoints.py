"""Checkpoints of a training: all of its state comes back, and nothing else is taken from a file."""

import os
import pickle

import pytest
import torch

from srcli.errors import BadWeightsError
from srcli.io.checkpoints import read_checkpoint, write_checkpoint
from srcli.io.pickles import MOST_TENSORS


class RunsCode:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def trained_optimizer():
    layer = torch.nn.Conv2d(3, 3, 3)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-3, betas=(0.9, 0.99))
    layer(torch.rand(1, 3, 8, 8)).sum().backward()
    optimizer.step()
    return optimizer.state_dict() | {"layer": layer.state_dict()}


PLAIN = {"rate": 1e-4, "seed": 2**70, "at": "März", "is": True, "none": None, "betas": (0.9, [1])}
OF_TENSORS = {
    "random states": {"cpu": torch.get_rng_state(), "cuda": [torch.get_rng_state()]},
    "types": {str(kind): torch.ones(2, dtype=kind) for kind in (torch.bfloat16, torch.half)},
    "an optimizer": trained_optimizer(),
}


def test_numbers_texts_and_sequences_come_back(tmp_path):
    write_checkpoint(tmp_path / "a.pt", {"run": PLAIN, "empty": [{}, (), []]})
    assert read_checkpoint(tmp_path / "a.pt") == {"run": PLAIN, "empty": [{}, (), []]}


@pytest.mark.parametrize("state", OF_TENSORS.values(), ids=OF_TENSORS)
def test_tensors_come_back_to_the_bit(tmp_path, state):
    write_checkpoint(tmp_path / "a.pt", state)
    torch.testing.assert_close(read_checkpoint(tmp_path / "a.pt"), state, rtol=0, atol=0)


def test_a_run_of_the_largest_network_has_more_tensors_than_a_file_of_weights_may(tmp_path):
    shared = torch.zeros(1)
    write_checkpoint(tmp_path / "a.pt", {str(n): shared.view(1) for n in range(MOST_TENSORS + 1)})
    assert len(read_checkpoint(tmp_path / "a.pt")) == MOST_TENSORS + 1


SAVED = {
    "zip": torch.save,
    "legacy": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "bare": lambda state, path: path.write_bytes(pickle.dumps(state, 4)),
}


@pytest.mark.parametrize("save", SAVED.values(), ids=SAVED)
def test_a_checkpoint_that_wants_to_run_code_is_refused_by_name_and_never_runs(tmp_path, save):
    state = {"training": {"step": 1, "optimizer": RunsCode(tmp_path / "ran")}}
    save(state, tmp_path / "a.pt")
    with pytest.raises(BadWeightsError, match=r"asks for \w+\.system") as refused:
        read_checkpoint(tmp_path / "a.pt")
    assert "another checkpoint" in refused.value.hint
    assert not (tmp_path / "ran").exists()


STRANGERS = {"layer": torch.nn.Conv2d(1, 1, 1), "class": torch.Generator, "function": print}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_a_checkpoint_holds_no_objects_classes_and_functions(tmp_path, stranger):
    torch.save({"training": {"network": stranger}}, tmp_path / "a.pt")
    with pytest.raises(BadWeightsError, match="asks for"):
        read_checkpoint(tmp_path / "a.pt")


def test_a_checkpoint_that_asks_for_memory_alone_is_refused_before_torch_reads_it(
    tmp_path, monkeypatch
):
    """torch's reader would call it: a few bytes that ask for 64 GiB."""
    asking = b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\0\0\0\0\x10\x85R."
    (tmp_path / "a.pt").write_bytes(asking)
    monkeypatch.setattr(torch, "load", lambda *given, **options: pytest.fail("torch read it"))
    with pytest.raises(BadWeightsError, match="damaged"):
        read_checkpoint(tmp_path / "a.pt")


def test_a_missing_checkpoint_is_said_to_be_missing(tmp_path):
    with pytest.raises(BadWeightsError, match="there is no checkpoint"):
        read_checkpoint(tmp_path / "a.pt")


def test_what_is_no_mapping_is_no_checkpoint(tmp_path):
    torch.save([1, 2], tmp_path / "a.pt")
    with pytest.raises(BadWeightsError, match="no checkpoint of a run"):
        read_checkpoint(tmp_path / "a.pt")
