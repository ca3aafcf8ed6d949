import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from srcli.errors import BadWeightsError
from srcli.io.ncnn import read_ncnn

# A convolution from 1 to 2 channels with a bias, a PReLU, and an array parameter.
LINES = [
    "Input data 0 1 data",
    "Convolution c 1 1 data a 0=2 1=3 4=1 5=1 6=18 9=2 -23310=1,2.000000e-01",
    "PReLU p 1 1 a b 0=2",
    "Eltwise e 2 1 a b output 0=1 -23301=2,2.000000e-01,1.000000e+00",
]
WEIGHTS = np.arange(18, dtype=np.float32) / 4
BIAS, SLOPES = np.array([0.5, -1], np.float32), np.array([0.25, 2], np.float32)
FP16, FP32, FP32_OTHER, INT8 = 0x01306B47, 0, 0x0002C056, 0x000D4B38


def description(lines: list[str]) -> str:
    return "\n".join(["7767517", f"{len(lines)} 9", *lines]) + "\n"


def numbers(tag: int = FP16) -> bytes:
    weights = WEIGHTS.astype("<f2") if tag == FP16 else WEIGHTS
    return struct.pack("<I", tag) + weights.tobytes() + BIAS.tobytes() + SLOPES.tobytes()


@pytest.fixture
def read(tmp_path: Path):
    def read_pair(param: str | bytes = description(LINES), binary: bytes = numbers()):
        param = param.encode() if isinstance(param, str) else param
        (tmp_path / "n.param").write_bytes(param)
        (tmp_path / "n.bin").write_bytes(binary)
        return read_ncnn(tmp_path / "n.param", tmp_path / "n.bin")

    return read_pair


@pytest.mark.parametrize("tag", [FP16, FP32, FP32_OTHER])
def test_a_pair_written_by_hand_is_read_exactly(read, tag):
    _, convolution, prelu, _ = read(binary=numbers(tag))
    assert convolution.tensors["weight"].flatten().tolist() == WEIGHTS.tolist()
    assert convolution.tensors["weight"].shape == (2, 1, 3, 3)
    assert convolution.tensors["bias"].tolist() == BIAS.tolist()
    assert prelu.tensors["weight"].tolist() == SLOPES.tolist()
    assert {t.dtype for t in convolution.tensors.values()} == {torch.float32}


def test_parameters_are_numbers_and_arrays_are_tuples(read):
    convolution, eltwise = read()[1], read()[3]
    assert convolution.parameters == {0: 2, 1: 3, 4: 1, 5: 1, 6: 18, 9: 2, 10: (0.2,)}
    assert eltwise.parameters == {0: 1, 1: (0.2, 1.0)}


def test_odd_counts_of_fp16_are_padded_to_four_bytes(read):
    lines = ["Input data 0 1 data", "Convolution c 1 1 data a 0=1 1=1 5=1 6=3"]
    weights = np.array([1, 2, 3], "<f2").tobytes() + b"\0\0"
    binary = struct.pack("<I", FP16) + weights + struct.pack("<f", 0.5)
    convolution = read(description(lines), binary)[1]
    assert convolution.tensors["weight"].flatten().tolist() == [1, 2, 3]
    assert convolution.tensors["bias"].tolist() == [0.5]


def test_line_ends_of_windows_and_blank_lines_at_the_end_do_no_harm(read):
    assert len(read(description(LINES).replace("\n", "\r\n") + "\r\n\r\n")) == 4


@pytest.mark.parametrize("length", range(0, len(numbers()), 4))
def test_a_truncated_bin_is_refused_wherever_it_ends(read, length):
    with pytest.raises(BadWeightsError, match="ends too early"):
        read(binary=numbers()[:length])


@pytest.mark.parametrize("extra", [1, 4, 1000])
def test_a_bin_that_goes_on_is_refused(read, extra):
    with pytest.raises(BadWeightsError, match=f"{extra} bytes too many"):
        read(binary=numbers() + bytes(extra))


def test_a_storage_we_do_not_read_is_named(read):
    with pytest.raises(BadWeightsError, match="0x000d4b38"):
        read(binary=numbers(INT8))


def test_a_kind_of_layer_we_do_not_read_is_named(read):
    with pytest.raises(BadWeightsError, match="Deconvolution"):
        read(description([*LINES, "Deconvolution d 1 1 output z 0=3 1=4 6=24"]))


@pytest.mark.parametrize(
    "param",
    [
        "",
        "\n",
        "7767517",
        "7767517\n",
        "7767517\nfour nine\n",
        "7767518\n1 1\nInput data 0 1 data\n",
        "7767517\n0 0\n",
        "7767517\n-1 1\nInput data 0 1 data\n",
        "7767517\n2 1\nInput data 0 1 data\n",
        "7767517\n1000000000000 1\nInput data 0 1 data\n",
        b"\x89PNG\r\n\x1a\n\0\xff\xfe",
    ],
)
def test_what_is_no_description_is_refused(read, param):
    with pytest.raises(BadWeightsError, match="no ncnn description"):
        read(param)


@pytest.mark.parametrize(
    "line",
    [
        "Convolution",
        "Convolution c one 1 data a 0=2",
        "Convolution c 1 1 data",
        "Convolution c -1 -1 0=2 1=3 5=1 6=18",
        "Convolution c 1 1000000000 data a 0=2",
        "Convolution c 1 1 data a 0",
        "Convolution c 1 1 data a 0=",
        "Convolution c 1 1 data a =2",
        "Convolution c 1 1 data a 0=2 1=3 5=1 6=18 -23310=2,0.2",
        "Convolution c 1 1 data a 0=2 1=3 5=1 6=18 -23310=-1,0.2",
        "Convolution c 1 1 data a 0=2 1=3 5=1 6=18 -23310=",
    ],
)
def test_a_damaged_line_is_refused(read, line):
    with pytest.raises(BadWeightsError, match="no ncnn description"):
        read(description([LINES[0], line, *LINES[2:]]))


@pytest.mark.parametrize(
    "sizes",
    [
        "0=0 1=3 5=1 6=18",
        "0=-2 1=3 5=1 6=18",
        "0=2 1=0 5=1 6=18",
        "0=2 1=-3 5=1 6=18",
        "0=2 1=3 5=1 6=0",
        "0=2 1=3 5=1 6=-18",
        "0=2 1=3 5=1 6=17",
        "0=2.5 1=3 5=1 6=18",
        "0=nan 1=3 5=1 6=18",
        "0=2 1=inf 5=1 6=18",
        "0=2 1=3 5=1 6=1e300",
        "0=2 1=3 5=1 6=1800000000000000",
        "0=1000000000000 1=3 5=1 6=9000000000000",
        "-23300=2,1,1 1=3 5=1 6=18",
        "",
    ],
)
def test_impossible_and_huge_sizes_are_refused_before_anything_is_allocated(read, sizes):
    with pytest.raises(BadWeightsError):
        read(description([LINES[0], f"Convolution c 1 1 data a {sizes}"]))


@pytest.mark.parametrize("present", ["n.param", "n.bin"])
def test_half_a_pair_is_refused_by_name(tmp_path, present):
    content = description(LINES) if present == "n.param" else "x"
    (tmp_path / present).write_text(content)
    missing = ({"n.param", "n.bin"} - {present}).pop()
    with pytest.raises(BadWeightsError, match=missing):
        read_ncnn(tmp_path / "n.param", tmp_path / "n.bin")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 250), text=st.text(min_size=0, max_size=6), length=st.integers(0, 9))
def test_a_damaged_description_is_read_or_refused_never_a_crash(read, place, text, length):
    whole = description(LINES)
    try:
        read(whole[:place] + text + whole[place + length :])
    except BadWeightsError as refusal:
        assert refusal.hint
