"""Weights on their way to a worker: from its own cache by their digest, else as bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from srcli.errors import BadWeightsError
from srcli.io.cache import Cache, sha256
from srcli.io.catalogue import WantedFile
from srcli.io.files import scratch
from srcli.io.sources.network import is_offline
from srcli.models.network import build_network
from srcli.services.network import (
    DEFAULT_MODEL,
    LoadedNetwork,
    blend,
    blended_name,
    parse_blend,
    read_weights,
)
from srcli.services.observer import Observer
from srcli.services.request import UpscaleRequest, offline_default
from srcli.services.weights import WeightsFile, obtain


@dataclass(frozen=True, slots=True, kw_only=True)
class Portable:
    """Weights as they are named to a worker; their bytes come apart, and only where missing."""

    name: str
    digest: str
    files: tuple[WantedFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A network to build: one set of weights, or two and the share of the second."""

    parts: tuple[Portable, ...]
    share: float = 0.0

    @property
    def name(self) -> str:
        return blended_name(*(part.name for part in self.parts), share=self.share)

    @property
    def digest(self) -> str:
        return blended_name(*(part.digest for part in self.parts), share=self.share)


def obtain_recipe(request: UpscaleRequest, observer: Observer) -> tuple[Recipe, list[bytes]]:
    """The weights of a request, on this machine, and the bytes of all their files in order.

    Raises WeightsError or UsageError.
    """
    get = partial(
        obtain, offline=request.offline, trust=request.trust, on_event=observer.weights_event
    )
    other, share = parse_blend(request.blend) if request.blend is not None else (None, 0.0)
    if request.model is None and other is None and is_offline(request.offline):
        held = [offline_default(get, observer)]
    else:
        held = [get(request.model or DEFAULT_MODEL)]
    if other is not None:
        held.append(get(other))
    recipe = Recipe(parts=tuple(map(_portable, held)), share=share)
    return recipe, [path.read_bytes() for weights in held for path in weights.files]


def load_recipe(recipe: Recipe, get: Sequence[Callable[[], bytes]]) -> LoadedNetwork:
    """Build the network; `get` gives the bytes of each file, asked only of those not held here.

    Raises BadWeightsError where bytes are not what their digest says.
    """
    sources = iter(get)
    with scratch() as folder:
        loaded = []
        for part in recipe.parts:
            paths = tuple(_file(wanted, next(sources), folder) for wanted in part.files)
            weights = WeightsFile(
                name=part.name, files=paths, entry=None, digest=part.digest, source=part.name
            )
            network = build_network(read_weights(weights))
            loaded.append(LoadedNetwork(network=network, name=part.name, digest=part.digest))
    return loaded[0] if len(loaded) == 1 else blend(loaded[0], loaded[1], recipe.share)


def _portable(weights: WeightsFile) -> Portable:
    files = tuple(WantedFile(path=path.name, sha256=sha256(path)) for path in weights.files)
    return Portable(name=weights.name, digest=weights.digest, files=files)


def _file(wanted: WantedFile, get: Callable[[], bytes], scratch: Path) -> Path:
    held = _held(wanted)
    if held is not None:
        return held
    data = get()
    if hashlib.sha256(data).hexdigest() != wanted.sha256:
        raise BadWeightsError(
            f"{wanted.path} changed on its way to a worker", hint="start the command again"
        )
    path = scratch / f"{wanted.sha256}{wanted.suffix}"
    path.write_bytes(data)
    return path


def _held(wanted: WantedFile) -> Path | None:
    try:
        return Cache().find(wanted)
    except BadWeightsError:  # damaged here: the driver's are whole
        return None
