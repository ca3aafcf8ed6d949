"""Enlarge pictures with pretrained ESRGAN-family networks, exactly, at any size.

    import srcli

    upscaler = srcli.Upscaler(model="realesrgan-x4plus")
    larger = upscaler(picture)  # path, PIL image, array or tensor: the same kind comes back

    report = srcli.finetune("photos/")  # weights that know these pictures
    mine = srcli.Upscaler(model=report.weights)

Names are resolved when they are first used: `import srcli` alone does not import torch.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "SrcliError",
    "Stop",
    "TargetSize",
    "TrainingObserver",
    "TrainingReport",
    "Upscaler",
    "finetune",
    "load_network",
    "upscale",
]

# Nobody is told what a user does. These libraries report home unless they are asked not to, and
# look when they are imported: ONNX Runtime, the library of the Hugging Face hub, Ray.
_NO_TELEMETRY = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
for _name, _value in _NO_TELEMETRY.items():
    os.environ.setdefault(_name, _value)

if TYPE_CHECKING:
    from srcli.errors import SrcliError
    from srcli.services.finetuning import finetune
    from srcli.services.sizes import TargetSize
    from srcli.services.stop import Stop
    from srcli.services.training.observer import TrainingObserver
    from srcli.services.training.result import TrainingReport
    from srcli.services.upscaler import Upscaler, load_network, upscale

_PLACES = {
    "SrcliError": "srcli.errors",
    "Stop": "srcli.services.stop",
    "TargetSize": "srcli.services.sizes",
    "TrainingObserver": "srcli.services.training.observer",
    "TrainingReport": "srcli.services.training.result",
    "Upscaler": "srcli.services.upscaler",
    "finetune": "srcli.services.finetuning",
    "load_network": "srcli.services.upscaler",
    "upscale": "srcli.services.upscaler",
}


def __getattr__(name: str) -> object:
    try:
        module = import_module(_PLACES[name])
    except KeyError:
        raise AttributeError(f"module 'srcli' has no attribute {name!r}") from None
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
