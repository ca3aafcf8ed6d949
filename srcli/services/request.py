"""What a run is asked to do, checked before anything is fetched for it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from srcli.errors import ImageError, UnavailableWeightsError, UsageError
from srcli.io import stores
from srcli.io.addresses import Address, Remote, address_of
from srcli.io.looks import is_file, is_gone
from srcli.io.sources.network import is_offline
from srcli.services.cluster.options import ClusterOptions
from srcli.services.devices import expand_devices
from srcli.services.engine import Engine, EngineOptions
from srcli.services.job import PictureOptions
from srcli.services.network import (
    DEFAULT_MODEL,
    SHIPPED_MODEL,
    LoadedNetwork,
    blend,
    load_network,
    parse_blend,
)
from srcli.services.observer import Observer
from srcli.services.targets import names_folder
from srcli.services.tasks import FolderOptions, is_folder_input

Gotten = TypeVar("Gotten")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleRequest:
    """Everything about a run but its inputs and outputs."""

    model: str | None = None  # None: DEFAULT_MODEL, or SHIPPED_MODEL where only that can be had
    blend: str | None = None  # OTHER=SHARE
    offline: bool | None = None  # None: as the environment says
    trust: bool = False
    engine: EngineOptions = field(default_factory=EngineOptions)
    picture: PictureOptions = field(default_factory=PictureOptions)
    folder: FolderOptions = field(default_factory=FolderOptions)
    cluster: ClusterOptions | None = None  # None: this machine does it


def load_engines(request: UpscaleRequest, observer: Observer) -> list[Engine]:
    """An engine for each device of the request. Raises WeightsError or UsageError."""
    devices = expand_devices(request.engine.device)
    loaded = _load(request, observer)
    engines: list[Engine] = []
    for device in devices:
        # A network of its own for each: measuring the need of one must not disturb another.
        own = replace(loaded, network=copy.deepcopy(loaded.network)) if engines else loaded
        options = replace(request.engine, device=device)
        engines.append(Engine(own, options, on_note=observer.note))
        observer.engine_ready(engines[-1].facts)
    return engines


def check_sources(sources: Sequence[Address], output: str | None, folder: FolderOptions) -> None:
    """Refuse what cannot work for any input before weights are fetched for it."""
    has_folder = any(map(is_folder_input, sources))
    target = None if output is None else address_of(output)
    if isinstance(target, Remote):
        stores.check_writable(target)
    if folder.watch and not all(isinstance(source, Path) for source in sources):
        raise UsageError("a store cannot be watched", hint="run the same command now and then")
    if len(sources) > 1 and not has_folder and output is not None and not names_folder(output):
        raise UsageError(
            f"{len(sources)} pictures cannot all become {output}",
            hint="name a folder with --output, ending in a slash",
        )
    for source in sources if len(sources) == 1 else ():
        if isinstance(source, Path) and is_gone(source):
            hint = f"look in {source.parent.resolve()} for how it is spelled"
            raise ImageError(f"{source} does not exist", hint=hint)
    if has_folder:
        _check_folder(output, folder)
    elif folder.watch:
        raise UsageError("there is no folder to watch", hint="name a folder with --watch")


def _check_folder(output: str | None, folder: FolderOptions) -> None:
    if output is not None and is_file(Path(output)):
        raise UsageError(
            f"{output} is a file: the pictures of a folder cannot become it",
            hint="name a folder with --output",
        )
    if output is None and not folder.journal:
        raise UsageError(
            "without a journal, results beside their sources would be enlarged again next time",
            hint="name a folder with --output, or leave --no-journal out",
        )


def _load(request: UpscaleRequest, observer: Observer) -> LoadedNetwork:
    if request.model is None and request.blend is None and is_offline(request.offline):
        return offline_default(
            partial(load_network, offline=True, on_event=observer.weights_event), observer
        )
    names = [request.model or DEFAULT_MODEL]
    share = 0.0
    if request.blend is not None:
        other, share = parse_blend(request.blend)
        names.append(other)
    loaded = [
        load_network(
            name, offline=request.offline, trust=request.trust, on_event=observer.weights_event
        )
        for name in names
    ]
    return loaded[0] if len(loaded) == 1 else blend(loaded[0], loaded[1], share)


def offline_default(get: Callable[[str], Gotten], observer: Observer) -> Gotten:
    """The default weights if they are here, else those that always are, and a note of it."""
    try:
        return get(DEFAULT_MODEL)
    except UnavailableWeightsError:
        observer.note(
            f"{DEFAULT_MODEL} is not on this machine: using {SHIPPED_MODEL}, which comes with srcli"
        )
        return get(SHIPPED_MODEL)
