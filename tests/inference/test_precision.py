import copy
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from small_networks import ends, identity, picture, runner, tiny_rrdb
from torch import Tensor

from srcli.errors import BadWeightsError, UsageError
from srcli.inference.geometry import TilePlan
from srcli.inference.memory import MemoryExhaustedError
from srcli.inference.precision import Precision, Runner, choose_precision
from srcli.inference.run import enlarge
from srcli.models.network import Network, Traits

CPU = torch.device("cpu")
BRIGHT = 0.9  # what the networks below call bright


def breaks_in_half(replacement: float):
    """Turns each bright picture of a batch into a constant, in half precision only."""

    def fails(image: Tensor) -> Tensor:
        if image.dtype is torch.float32:
            return image
        return image.masked_fill(image.amax((1, 2, 3), keepdim=True) > BRIGHT, replacement)

    return fails


def dark_with_a_bright_corner(tiles: int = 1) -> Tensor:
    """12 tiles of 8 px in a row, the first `tiles` of them bright."""
    image = 0.5 * picture(8, 96)
    image[:, :, : 8 * tiles] = 1.0
    return image


PLAN = TilePlan(height=8, width=96, tile=8, halo=0, feather=0)


def run(network: Network, image: Tensor, precision: Precision, batch: int = 1):
    notes: list[str] = []
    ready = runner(network, precision, on_note=notes.append)
    source, sink = ends(image, network.scale)
    enlarge(ready, source, sink, PLAN, batch=batch)
    return sink.image, notes, ready


# A half-precision number keeps 8 (bf16) or 11 (fp16) bits.
ROUNDING = {Precision.BF16: 2**-8, Precision.FP16: 2**-11}


@pytest.mark.parametrize("precision", ROUNDING)
@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf"), 0.0])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_tile_that_breaks_in_half_precision_is_done_again_in_fp32(precision, broken, batch):
    image = dark_with_a_bright_corner()
    network = identity(2, breaks_in_half(broken))
    restored, notes, ready = run(network, image, precision, batch)
    expected = network(image[None])[0]
    torch.testing.assert_close(restored, expected, atol=ROUNDING[precision], rtol=0)
    assert len(notes) == 1 and ready.precision is precision


def test_after_three_failures_everything_is_done_in_fp32():
    image = dark_with_a_bright_corner(tiles=6)
    network = identity(fails=breaks_in_half(float("nan")))
    restored, notes, ready = run(network, image, Precision.BF16)
    assert ready.precision is Precision.FP32 and len(notes) == 2
    assert torch.equal(restored[:, :, 64:], image[:, :, 64:])  # unrounded: not through bf16
    torch.testing.assert_close(restored, image, atol=2**-8, rtol=0)


def test_two_failures_are_no_reason_to_switch():
    _, notes, ready = run(
        identity(fails=breaks_in_half(float("nan"))), dark_with_a_bright_corner(2), Precision.BF16
    )
    assert ready.precision is Precision.BF16 and len(notes) == 1


def test_the_user_is_told_once_however_many_images_follow():
    notes: list[str] = []
    network = identity(fails=breaks_in_half(float("nan")))
    ready = runner(network, Precision.BF16, on_note=notes.append)
    for _ in range(5):
        source, sink = ends(dark_with_a_bright_corner(4), 1)
        enlarge(ready, source, sink, PLAN)
    assert len(notes) == 2


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_a_black_picture_may_stay_black(precision):
    restored, notes, _ = run(identity(), torch.zeros(3, 8, 96), precision)
    assert restored.abs().max() == 0 and notes == []


def test_a_network_that_makes_black_of_light_also_in_fp32_is_believed():
    blackens = identity(fails=torch.zeros_like)
    restored, notes, ready = run(blackens, picture(8, 96), Precision.BF16)
    assert restored.abs().max() == 0 and notes == [] and ready.precision is Precision.BF16


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
@pytest.mark.parametrize("dead", [float("nan"), float("inf")])
def test_a_network_that_is_dead_in_fp32_is_bad_weights(precision, dead):
    with pytest.raises(BadWeightsError, match="even in fp32"):
        run(identity(fails=lambda image: image * dead), picture(8, 96), precision)


def test_fp32_runs_every_tile_once_even_if_it_is_black():
    calls = []

    def blacken(image: Tensor) -> Tensor:
        calls.append(image.shape)
        return image * 0

    run(identity(fails=blacken), picture(8, 96), Precision.FP32)
    assert len(calls) == PLAN.tiles


def test_memory_that_ends_during_the_repair_does_not_change_the_precision():
    def fails(image: Tensor) -> Tensor:
        if image.dtype is torch.float32:
            raise torch.OutOfMemoryError("out of memory")
        return image * float("nan")

    ready = runner(identity(fails=fails), Precision.BF16)
    with pytest.raises(MemoryExhaustedError):
        ready.submit(picture(8, 8)[None]).result()
    assert ready.precision is Precision.BF16


def test_half_precision_is_close_on_a_real_architecture():
    network, image = tiny_rrdb(scale=2), picture(16, 16)[None]
    exact = network(image)
    half = runner(network, Precision.BF16).submit(image).result()
    assert half.dtype is torch.float32 and 0 < (half - exact).abs().max() < 0.1 * exact.std()


def test_the_given_network_keeps_its_fp32_weights():
    network = tiny_rrdb(scale=2)
    before = copy.deepcopy(network.state_dict())
    runner(network, Precision.BF16).submit(picture(8, 8)[None]).result()
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert {tensor.dtype for tensor in after.values()} == {torch.float32}


def test_parameters_of_five_dimensions_do_no_harm():
    network = identity()
    network.body.table = torch.nn.Parameter(torch.zeros(1, 2, 2, 2, 2), requires_grad=False)
    image = picture(8, 8)[None]
    assert torch.equal(runner(network).submit(image).result(), image)


def network_with(**traits: bool) -> Network:
    return Network(identity().body, Traits(architecture="Test", scale=1, **traits))


def test_the_cpu_computes_in_fp32_unless_told_otherwise():
    assert choose_precision(Precision.AUTO, identity(), CPU) is Precision.FP32
    assert choose_precision(Precision.BF16, identity(), CPU) is Precision.BF16


@pytest.mark.parametrize(("card", "expected"), [(0, Precision.BF16), (1, Precision.FP32)])
def test_a_card_is_asked_for_bf16_itself(monkeypatch, card, expected):
    current = [0]

    @contextmanager
    def device(wanted):
        before, current[0] = current[0], wanted.index
        yield
        current[0] = before

    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: current[0] == 0)
    network = identity()
    network.traits = replace(network.traits, supports_half=False)
    assert choose_precision(Precision.AUTO, network, torch.device("cuda", card)) is expected


@pytest.mark.parametrize(
    ("wanted", "trait"),
    [(Precision.FP16, "supports_half"), (Precision.BF16, "supports_bfloat16")],
)
def test_a_precision_that_the_architecture_cannot_take_is_refused(wanted, trait):
    with pytest.raises(UsageError, match="Test"):
        Runner(network_with(**{trait: False}), CPU, wanted)
