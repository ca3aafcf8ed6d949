"""Distance of the spectra of two pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from srcli.losses.choices import SpectrumScale
from srcli.losses.pixel import difference


def spectrum_l1(restored: Tensor, target: Tensor, *, scale: SpectrumScale = "ortho") -> Tensor:
    """Mean of |Re| and |Im| of F(restored) - F(target), F the 2-D DFT (arXiv:2108.05054).

    (N, C, H, W) twice, in [0, 1] -> (). "ortho" divides F by sqrt(H·W), so that a weight does not
    depend on the patch; "backward" does not, as published code: it is sqrt(H·W) times as large.
    """
    # F is linear: one transform of the difference. The difference is real: half of its spectrum
    # is the mirror of the other half, so the inner columns count twice.
    spectrum = torch.fft.rfft2(difference(restored, target), norm=scale)  # (N, C, H, W//2 + 1)
    columns = torch.view_as_real(spectrum).abs().mean(dim=(0, 1, 2, 4))  # (W//2 + 1,)
    width = restored.shape[-1]
    mirrored = columns[1 : (width + 1) // 2]
    return (columns.sum() + mirrored.sum()) / width


class FrequencyLoss(nn.Module):
    """L1 of the spectra: (N, C, H, W) twice, in [0, 1] -> (); see `spectrum_l1`."""

    def __init__(self, scale: SpectrumScale = "ortho") -> None:
        super().__init__()
        self.scale = scale

    def forward(self, restored: Tensor, target: Tensor) -> Tensor:
        return spectrum_l1(restored, target, scale=self.scale)
