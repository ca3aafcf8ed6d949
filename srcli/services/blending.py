"""Two weights mixed into a file of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from srcli.errors import OutputError
from srcli.io.looks import is_there
from srcli.io.tensors import write_safetensors
from srcli.services.network import blend, load_network
from srcli.services.weights import OnEvent, ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class BlendReport:
    """What was mixed, and where it is."""

    first: str
    second: str
    alpha: float
    output: Path
    architecture: str
    scale: int


def blend_weights(
    first: str,
    second: str,
    alpha: float,
    output: Path,
    *,
    overwrite: bool = False,
    offline: bool | None = None,
    trust: bool = False,
    on_event: OnEvent = ignore,
) -> BlendReport:
    """Write (1 - alpha)·first + alpha·second as safetensors in the released naming.

    ESRGAN's network interpolation (arXiv:1809.00219, section 3.4), where `first` is the
    PSNR-oriented network, `second` the GAN, and the demonstration used alpha 0.8. Raises
    WeightsError, UsageError when the two do not match, or OutputError.
    """
    if is_there(output) and not overwrite:
        raise OutputError(f"{output} exists already", hint="use --overwrite to replace it")
    loaded = [
        load_network(name, offline=offline, trust=trust, on_event=on_event)
        for name in (first, second)
    ]
    mixed = blend(loaded[0], loaded[1], alpha)
    metadata = {
        "architecture": mixed.network.traits.architecture,
        "scale": str(mixed.network.scale),
        "blend": f"{1 - alpha:g} {loaded[0].name} ({loaded[0].digest})"
        f" + {alpha:g} {loaded[1].name} ({loaded[1].digest})",
    }
    write_safetensors(output, mixed.network.released_state_dict(), metadata)
    return BlendReport(
        first=loaded[0].name,
        second=loaded[1].name,
        alpha=alpha,
        output=output,
        architecture=mixed.network.traits.architecture,
        scale=mixed.network.scale,
    )
