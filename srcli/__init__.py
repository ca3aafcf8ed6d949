"""Enlarge pictures with pretrained ESRGAN-family networks, exactly, at any size.

    import srcli

    upscaler = srcli.Upscaler(model="realesrgan-x4plus")
    larger = upscaler(picture)  # path, PIL image, array or tensor: the same kind comes back

Names are resolved when they are first used: `import srcli` alone does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["SrcliError", "TargetSize", "Upscaler", "load_network", "upscale"]

if TYPE_CHECKING:
    from srcli.errors import SrcliError
    from srcli.services.sizes import TargetSize
    from srcli.services.upscaler import Upscaler, load_network, upscale

_PLACES = {
    "SrcliError": "srcli.errors",
    "TargetSize": "srcli.services.sizes",
    "Upscaler": "srcli.services.upscaler",
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
