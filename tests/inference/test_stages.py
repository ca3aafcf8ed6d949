"""The convolutions of a stream, wherever their LeakyReLU is done."""

import pytest
import torch
import torch.nn.functional as F

from srcli.inference.stages import Kernel


@pytest.mark.parametrize("parts", [[5], [3, 2]], ids=["alone", "summed"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["packed", "plain"])
@pytest.mark.parametrize("wider", [False, True], ids=["same type", "wider type"])
@torch.inference_mode()
def test_a_kernel_is_a_convolution_and_its_leaky_relu(parts, dtype, wider):
    weight, bias = torch.randn(4, 5, 3, 3, dtype=dtype), torch.randn(4, dtype=dtype)
    rows = torch.randn(1, 5, 8, 7, dtype=dtype).contiguous(memory_format=torch.channels_last)
    exact = F.leaky_relu(F.conv2d(rows, weight, bias, padding=(0, 1)), 0.2)
    out = torch.empty(1, 4, 6, 7, dtype=torch.float64 if wider else dtype)
    seen = [part.contiguous(memory_format=torch.channels_last) for part in rows.split(parts, 1)]
    made = Kernel(weight, bias, parts, slope=0.2)(*seen, out=out)
    assert made is out
    torch.testing.assert_close(made, exact.to(out.dtype), rtol=1e-5, atol=1e-5)  # fp32, 45 terms


@torch.inference_mode()
def test_where_onednn_has_no_bf16_a_kernel_does_without_it(monkeypatch):
    def refuses(*_):
        raise RuntimeError("bf16 path needs the cpu support avx_ne_convert or avx512bw")

    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_convolution_weight", refuses)
    weight, bias = torch.randn(4, 5, 3, 3).bfloat16(), torch.randn(4).bfloat16()
    rows = torch.randn(1, 5, 8, 7).bfloat16()
    exact = F.leaky_relu(F.conv2d(rows, weight, bias, padding=(0, 1)), 0.2)
    assert torch.equal(Kernel(weight, bias, slope=0.2)(rows), exact)
