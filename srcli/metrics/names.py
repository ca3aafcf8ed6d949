"""The names of the metrics, for those who must not wait for torch."""

from __future__ import annotations

from enum import StrEnum


class Metric(StrEnum):
    """What a restored picture can be scored by."""

    PSNR = "psnr"
    SSIM = "ssim"
    CONSISTENCY = "consistency"  # shrunk back, against the input
    LPIPS = "lpips"  # on AlexNet
    LPIPS_VGG = "lpips-vgg"
    ST_LPIPS = "st-lpips"


class Baseline(StrEnum):
    """Plain enlargements that stand beside the networks under these names."""

    BICUBIC = "bicubic"  # MATLAB's imresize
    LANCZOS = "lanczos"
    NEAREST = "nearest"


OTHERS = "pyiqa:"  # and the name of a metric of that package: pyiqa:niqe
