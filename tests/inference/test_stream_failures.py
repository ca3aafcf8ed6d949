"""Streams that fail: the image starts over, and the picture is right."""

import threading

import pytest
import torch
from small_networks import ends, picture, runner, tiny_rrdb
from torch import Tensor, nn

from srcli.errors import BadWeightsError
from srcli.inference.geometry import StreamPlan, TilePlan
from srcli.inference.precision import Precision
from srcli.inference.run import enlarge

HEIGHT, WIDTH = 50, 30
PLAN = StreamPlan(
    band=16, strips=TilePlan(height=HEIGHT, width=WIDTH, tile=WIDTH, halo=4, feather=2)
)


@pytest.fixture
def spoil(monkeypatch):
    """spoil(k, change) makes the k-th convolution of the first stage give something else."""

    def spoil(call: int, change) -> None:
        from srcli.inference.stages import ConvolutionStage

        step, left = ConvolutionStage.step, [call]

        def spoiled(stage: ConvolutionStage, tick, out=None) -> Tensor:
            left[0] -= 1
            made = step(stage, tick, out)
            return made.copy_(change(made)) if left[0] == 0 else made

        monkeypatch.setattr(ConvolutionStage, "step", spoiled)

    return spoil


def raises(error: Exception):
    def change(*_: object) -> Tensor:
        raise error

    return change


def run(precision: Precision = Precision.FP32, network=None, plan: StreamPlan = PLAN):
    network, notes = network or tiny_rrdb(), []
    image = picture(HEIGHT, WIDTH)
    source, sink = ends(image, network.scale)
    used = runner(network, precision, on_note=notes.append)
    plan = enlarge(used, source, sink, plan, on_note=notes.append)
    exact = (sink.image - network.float()(image[None])[0]).abs().max() <= 1e-5
    return plan, bool(exact), used.precision, notes


@pytest.mark.parametrize("call", [1, 9, 14])
def test_out_of_memory_in_any_band_starts_over_with_lower_bands(spoil, call):
    spoil(call, raises(torch.OutOfMemoryError("out of memory")))
    plan, exact, _, notes = run()
    assert exact and plan.band == 8
    assert notes == ["out of memory: starting over (stream, bands of 8 rows)"]


@pytest.mark.parametrize(
    "change",
    [lambda made: made * float("nan"), lambda made: made * float("inf")],
    ids=["nan", "infinity"],
)
def test_a_band_of_bf16_that_is_no_numbers_starts_over_in_fp32(spoil, change):
    spoil(21, change)  # conv_first in the third band
    _, exact, precision, notes = run(Precision.BF16)
    assert exact and precision is Precision.FP32
    assert notes == ["bf16 overflowed: starting over in fp32"]


def test_a_black_band_of_a_bright_picture_starts_over_in_fp32(spoil):
    spoil(12, lambda made: made * 0)  # conv_last in the third band: four a band stand alone
    _, exact, precision, _ = run(Precision.BF16, tiny_rrdb(scale=1))
    assert exact and precision is Precision.FP32


def test_a_network_that_is_black_in_fp32_too_is_believed():
    network = tiny_rrdb()
    nn.init.zeros_(network.body.conv_last.weight)
    nn.init.zeros_(network.body.conv_last.bias)
    _, exact, precision, notes = run(Precision.FP32, network)
    assert exact and precision is Precision.FP32 and not notes


def test_a_network_that_gives_no_numbers_in_fp32_is_refused():
    network = tiny_rrdb()
    nn.init.constant_(network.body.conv_last.bias, float("nan"))
    with pytest.raises(BadWeightsError, match="not numbers, even in fp32"):
        run(Precision.BF16, network)


def test_progress_counts_bands_and_starts_again(spoil):
    spoil(14, raises(MemoryError()))
    heard, image = [], picture(HEIGHT, WIDTH)
    network = tiny_rrdb()
    enlarge(
        runner(network),
        *ends(image, network.scale),
        PLAN,
        on_tiles=lambda done, total: heard.append((done, total)),
    )
    assert heard[0] == (0, 4) and (0, 7) in heard and heard[-1] == (7, 7)


def test_a_stream_whose_rows_cannot_be_written_leaves_no_thread(monkeypatch):
    monkeypatch.setattr("srcli.inference.streaming.ticks_at_once", lambda *_: 2)
    before = {*threading.enumerate()}
    image = picture(HEIGHT, WIDTH)
    source, sink = ends(image, 4)
    monkeypatch.setattr(type(sink), "write", raises(OSError("no space left")))
    with pytest.raises(OSError) as kept:
        enlarge(runner(tiny_rrdb()), source, sink, PLAN)
    assert before >= {*threading.enumerate()}, "the error is still held"
    assert "no space" in str(kept.value)
