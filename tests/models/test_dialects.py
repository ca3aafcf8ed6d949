import pytest
import torch
from namings import checkpoint, picture

from srcli.errors import BadWeightsError
from srcli.models.dialects import recognise_rrdb, unwrap
from srcli.models.network import build_network

STATE = checkpoint("body", blocks=1, channels=4, growth=4)


@pytest.mark.parametrize("wrapper", ["params_ema", "params", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrappers_and_prefixes_come_off(wrapper, prefix):
    inner = {f"{prefix}{name}": tensor for name, tensor in STATE.items()}
    assert unwrap({wrapper: inner, "step": 3}).keys() == STATE.keys()
    assert unwrap({wrapper: {"state_dict": inner}}).keys() == STATE.keys()


def test_averaged_weights_win_over_the_last_ones():
    older = {name: tensor + 1 for name, tensor in STATE.items()}
    assert unwrap({"params": older, "params_ema": STATE}) == STATE


def test_a_bare_state_dict_stays_as_it_is():
    assert unwrap(STATE) == STATE
    assert unwrap(checkpoint("old", blocks=1)).keys() == checkpoint("old", blocks=1).keys()


@pytest.mark.parametrize("nothing", [{}, {"params": {}}, {"epoch": 3, "name": "x"}, {0: 1}])
def test_no_tensors_at_all_is_no_state_dict(nothing):
    assert unwrap(nothing) == {}


def test_entries_without_a_name_are_dropped():
    assert unwrap({0: torch.zeros(1), **STATE}).keys() == STATE.keys()


def test_a_checkpoint_that_contains_itself_ends():
    loop: dict[str, object] = {}
    loop["model"] = loop
    assert unwrap(loop) == {}


@pytest.mark.parametrize("naming", ["body", "trunk", "old", "PyTorch-GAN"])
def test_each_naming_is_told_by_its_keys(naming):
    widening = 4 if naming == "PyTorch-GAN" else 1
    weights = recognise_rrdb(checkpoint(naming, blocks=1, widening=widening))
    assert weights is not None and weights.dialect == naming


def test_all_namings_of_one_network_give_one_network():
    image = picture(7, 9)
    first, *others = (build_network(checkpoint(n))(image) for n in ("body", "trunk", "old"))
    assert all(torch.equal(first, other) for other in others)


def without(state, name):
    return {key: tensor for key, tensor in state.items() if key != name}


@pytest.mark.parametrize("naming", ["body", "trunk", "old", "PyTorch-GAN"])
def test_a_missing_tensor_is_an_error_whichever_it_is(naming):
    state = checkpoint(naming, blocks=1, channels=4, growth=4)
    for name in state:
        with pytest.raises(BadWeightsError):
            build_network(without(state, name))


@pytest.mark.parametrize("naming", ["old", "PyTorch-GAN"])
@pytest.mark.parametrize("shape", [(), (0,), (5, 5, 3, 3), (4, 0, 3, 3), (4, 4, 1, 1)])
def test_a_tensor_of_a_wrong_shape_is_an_error_whichever_it_is(naming, shape):
    state = checkpoint(naming, blocks=1, channels=4, growth=4, widening=4)
    for name in state:
        if state[name].shape != shape:
            with pytest.raises(BadWeightsError):
                build_network({**state, name: torch.zeros(shape)})


def test_a_foreign_tensor_among_them_is_an_error():
    with pytest.raises(BadWeightsError):
        build_network({**STATE, "attention.weight": torch.zeros(3)})


@pytest.mark.parametrize(
    "name", ["body.999999999.rdb1.conv1.weight", "conv_up999999999.weight", "conv_up3.weight"]
)
def test_a_damaged_index_neither_hangs_nor_fills_the_memory(name):
    with pytest.raises(BadWeightsError):
        build_network({**STATE, name: torch.zeros(4, 4, 3, 3)})


def test_two_names_for_one_convolution_are_an_error():
    state = checkpoint("old", blocks=1, channels=4, growth=4)
    extra = {f"model.1.sub.7.{part}": state[f"model.1.sub.1.{part}"] for part in ("weight", "bias")}
    with pytest.raises(BadWeightsError):
        build_network({**state, **extra})


def test_a_fold_that_leaves_no_whole_scale_is_an_error():
    with pytest.raises(BadWeightsError):
        build_network(checkpoint("body", blocks=1, fold=4, doublings=1))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_numbers_are_refused_by_name(value):
    state = {**STATE, "conv_hr.bias": torch.full((4,), value)}
    with pytest.raises(BadWeightsError, match=r"conv_hr\.bias"):
        build_network(state)


def test_an_empty_file_is_refused():
    with pytest.raises(BadWeightsError, match="no tensors"):
        build_network({})


def test_nobodys_file_says_what_it_looks_like_and_what_is_supported():
    foreign = {"encoder.layer.0.weight": torch.zeros(2, 3), "encoder.layer.0.bias": torch.zeros(2)}
    with pytest.raises(BadWeightsError, match=r"encoder\.layer\.0\.weight \(2, 3\)") as caught:
        build_network(foreign)
    assert "ESRGAN" in caught.value.hint


def test_a_network_of_many_image_channels_is_refused_when_loaded_not_when_run():
    with pytest.raises(BadWeightsError, match="channels"):
        build_network(checkpoint("body", blocks=1, image_channels=6))


def test_the_given_tensors_are_not_touched():
    state = {name: torch.nn.Parameter(tensor.clone()) for name, tensor in STATE.items()}
    build_network(state)
    assert all(tensor.requires_grad for tensor in state.values())
    assert all(torch.equal(state[name], STATE[name]) for name in state)
