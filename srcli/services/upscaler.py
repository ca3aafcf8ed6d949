"""The Python API: an object, called with any kind of picture, that gives the same kind back."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from srcli.errors import ImageError, UsageError, memory_errors
from srcli.inference.geometry import PlanKind
from srcli.inference.precision import Precision
from srcli.inference.rows import RowSink, RowSource, TensorSink, TensorSource
from srcli.io.alpha import AlphaMode
from srcli.io.arrays import from_array, from_pil, to_array, to_pil
from srcli.io.drift import ColorFix
from srcli.io.profiles import IccMode
from srcli.models.network import Network
from srcli.services.engine import EngineOptions
from srcli.services.job import Job, PictureOptions, plan_job
from srcli.services.network import DEFAULT_MODEL
from srcli.services.network import load_network as load
from srcli.services.observer import Observer
from srcli.services.request import UpscaleRequest, load_engines
from srcli.services.sizes import TargetSize
from srcli.services.targets import target_of
from srcli.services.upscale import run_job, upscale_file

Array = npt.NDArray[np.generic]
P = TypeVar("P", str, Path, Image.Image, Array, Tensor)
Choice = TypeVar("Choice", bound=StrEnum)


class Upscaler:
    """Enlarges pictures with one network; keep it and call it often, the network stays loaded.

    `model` is a catalogue name, an alias, a file or `hf://owner/repo/file`; `device` auto, cpu,
    cuda, cuda:N or mps; `plan` auto, whole, stream or tiles; `tile` the side of a tile in input
    pixels, 0 the whole image at once, None what fits; `halo` the context around a tile in input
    pixels. Raises WeightsError or UsageError. Not for two threads at once: give each its own.
    """

    def __init__(
        self,
        model: str | PathLike[str] = DEFAULT_MODEL,
        *,
        device: str = "auto",
        precision: str = "auto",
        plan: str = "auto",
        tile: int | None = None,
        halo: int | None = None,
        tta: bool = False,
        seamless: bool = False,
        blend: str | None = None,
        offline: bool | None = None,
        trust: bool = False,
    ) -> None:
        engine = EngineOptions(
            device=device,
            precision=_choice(Precision, precision, "precision"),
            plan=_choice(PlanKind, plan, "plan"),
            tile=tile,
            halo=halo,
            tta=tta,
            seamless=seamless,
        )
        request = UpscaleRequest(
            model=str(model), blend=blend, offline=offline, trust=trust, engine=engine
        )
        with memory_errors(str(model)):
            self.engine = load_engines(request, Observer())[0]

    @property
    def scale(self) -> int:
        """What the network enlarges by."""
        return self.engine.scale

    def __call__(
        self,
        picture: P,
        *,
        scale: float | None = None,
        size: TargetSize | None = None,
        output: str | PathLike[str] | None = None,
        strength: float = 1.0,
        alpha: str = "network",
        icc: str = "keep",
        color_fix: str = "auto",
        metadata: bool = True,
        overwrite: bool = False,
    ) -> P:
        """The picture `scale` times as large, by default by the network's own scale.

        - str or Path: the path of the file written, `output` or one beside the picture;
        - PIL image: a PIL image, with profile, EXIF and transparency;
        - (H, W) or (H, W, C) array of uint8, uint16 or floats in [0, 1]: an array of its dtype;
        - (3, H, W) or (N, 3, H, W) tensor in [0, 1]: a tensor of its dtype on its device.

        A tensor goes through the network only: no `strength`, no `color_fix`, no other size. Raises
        ImageError, OutputError, UsageError or a ResourceError.
        """
        if scale is not None and size is not None:
            raise UsageError("scale and size contradict each other", hint="give one of them")
        if output is not None and not isinstance(picture, str | PathLike):
            raise UsageError(
                "output is for a picture given by its path", hint="save what comes back"
            )
        options = PictureOptions(
            size=size or TargetSize(scale=scale),
            strength=strength,
            alpha=_choice(AlphaMode, alpha, "way with alpha"),
            icc=_choice(IccMode, icc, "way with profiles"),
            color_fix=_choice(ColorFix, color_fix, "colour fix"),
            metadata=metadata,
            overwrite=overwrite,
        )
        with memory_errors("the picture"):
            restored: P = self._enlarge(picture, options, None if output is None else str(output))
        return restored

    def _enlarge(self, picture: Any, options: PictureOptions, output: str | None) -> Any:
        """The same kind of picture as is given, which no type but `Any` can say of a body."""
        if isinstance(picture, Tensor):
            return self._tensor(picture, options)
        if isinstance(picture, np.ndarray):
            return self._through(
                plan_job(self.engine, from_array(picture), options, None), to_array
            )
        if isinstance(picture, Image.Image):
            return self._through(plan_job(self.engine, from_pil(picture), options, None), to_pil)
        if isinstance(picture, str | PathLike):
            path = Path(picture)
            report = upscale_file(self.engine, path, target_of(path, output), options)
            return report.output if isinstance(picture, str) else Path(report.output)
        raise UsageError(
            f"a {type(picture).__name__} is no picture",
            hint="give a path, a PIL image, a numpy array or a tensor",
        )

    def _through(self, job: Job, finish: Callable[..., Any]) -> Any:
        try:
            run_job(self.engine, job, Observer())
            return finish(job.picture, job.results, job.write)
        finally:
            job.close()

    def _tensor(self, images: Tensor, options: PictureOptions) -> Tensor:
        batch = images if images.ndim == 4 else images[None]
        if batch.ndim != 4 or batch.shape[1] != 3:
            raise UsageError(
                f"a tensor of shape {tuple(images.shape)} is no picture",
                hint="give (3, H, W) or (N, 3, H, W) with values in [0, 1]",
            )
        if options.strength != 1 or options.color_fix is ColorFix.ON:
            raise UsageError(
                "a tensor goes through the network only, without strength and color_fix",
                hint="give an array or a PIL image",
            )
        height, width = batch.shape[-2:]
        native = height * self.scale, width * self.scale
        if options.size.resolve(height, width, self.scale) != native:
            raise UsageError(
                f"a tensor is enlarged by the network's own x{self.scale} only",
                hint="give an array or a PIL image to have the result resized",
            )
        samples = batch.detach().float().cpu()
        if not torch.isfinite(samples).all():
            raise ImageError(
                "the tensor holds values that are not numbers, or infinite",
                hint="replace them, as torch.nan_to_num does",
            )
        restored = torch.stack([self._one(image) for image in samples])
        restored = restored.clamp_(0, 1).to(images.device, images.dtype)
        return restored if images.ndim == 4 else restored[0]

    def _one(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        restored = torch.empty(3, height * self.scale, width * self.scale)
        source: RowSource = TensorSource(image)
        sink: RowSink = TensorSink(restored)
        self.engine.run(source, sink)
        return restored


def upscale(
    picture: P, *, scale: float | None = None, model: str | PathLike[str] = DEFAULT_MODEL
) -> P:
    """One picture, once: `Upscaler(model)(picture, scale=scale)`."""
    return Upscaler(model)(picture, scale=scale)


def load_network(name_or_file: str | PathLike[str] = DEFAULT_MODEL) -> Network:
    """The network of a catalogue name, an alias, a file or `hf://owner/repo/file`.

    A torch module, (N, 3, H, W) in [0, 1] -> (N, 3, s·H, s·W), fp32, on the CPU, frozen. Raises
    UnknownWeightsError, UnavailableWeightsError or BadWeightsError.
    """
    return load(str(name_or_file)).network


def _choice(choices: type[Choice], word: str, what: str) -> Choice:
    try:
        return choices(word)
    except ValueError:
        known = ", ".join(choices)
        raise UsageError(f"{word!r} is no {what}", hint=f"say one of {known}") from None
