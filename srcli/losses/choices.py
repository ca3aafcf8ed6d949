"""The closed choices of the loss terms by name, free of torch: a configuration reads fast."""

from __future__ import annotations

from typing import Literal

Criterion = Literal["l1", "mse", "charbonnier"]
Channels = Literal["rgb", "luma"]
SpectrumScale = Literal["ortho", "backward"]
PerceptualPreset = Literal["srgan-vgg22", "srgan-vgg54", "esrgan", "realesrgan", "features16-mse"]
Formula = Literal["srgan", "bce", "lsgan", "hinge", "relativistic"]
Reduction = Literal["mean", "sum"]
Variation = Literal["l1", "power-sum"]
Likelihood = Literal["gaussian", "laplace"]
