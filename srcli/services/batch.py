"""Many pictures, one after another: each succeeds or fails alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from srcli.errors import DiskFullError, ImageError, OutputError, SrcliError, UsageError
from srcli.services.engine import Engine, EngineOptions
from srcli.services.network import DEFAULT_MODEL, blend, load_network, parse_blend
from srcli.services.observer import Observer
from srcli.services.targets import is_folder
from srcli.services.upscale import PictureOptions, UpscaleReport, upscale_file


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleRequest:
    """Everything about a run but its inputs and outputs."""

    model: str = DEFAULT_MODEL
    blend: str | None = None  # OTHER=SHARE
    offline: bool | None = None  # None: as the environment says
    trust: bool = False
    engine: EngineOptions = field(default_factory=EngineOptions)
    picture: PictureOptions = field(default_factory=PictureOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one input ended: with a report, or with the error that stopped it."""

    source: str
    report: UpscaleReport | None = None
    error: SrcliError | None = None


def load_engine(request: UpscaleRequest, observer: Observer) -> Engine:
    """The engine that a request describes. Raises WeightsError or UsageError."""
    names = [request.model]
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
    network = loaded[0] if len(loaded) == 1 else blend(loaded[0], loaded[1], share)
    engine = Engine(network, request.engine, on_note=observer.note)
    observer.engine_ready(engine)
    return engine


def upscale_files(
    request: UpscaleRequest,
    sources: Sequence[Path],
    output: str | None,
    observer: Observer | None = None,
) -> Iterator[Outcome]:
    """Enlarge each source; a bad one is an outcome with an error, and the rest goes on.

    A full disk ends it: what follows would fail the same way. What concerns all inputs (weights,
    device, options) raises before the first.
    """
    observer = observer or Observer()
    _check_sources(sources, output)
    engine = load_engine(request, observer)
    if output is not None and is_folder(output):
        _make_folder(Path(output))
    for source in sources:
        try:
            report = upscale_file(engine, source, output, request.picture, observer=observer)
        except SrcliError as error:
            yield Outcome(source=str(source), error=error)
            if isinstance(error, DiskFullError):
                return
        else:
            yield Outcome(source=str(source), report=report)


def _check_sources(sources: Sequence[Path], output: str | None) -> None:
    """Refuse what cannot work for any input before weights are fetched for it."""
    if len(sources) > 1 and output is not None and not is_folder(output):
        raise UsageError(
            f"{len(sources)} pictures cannot all become {output}",
            hint="name a folder with --output, ending in a slash",
        )
    if len(sources) == 1 and not sources[0].exists():
        hint = f"look in {sources[0].parent.resolve()} for how it is spelled"
        raise ImageError(f"{sources[0]} does not exist", hint=hint)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be made: {error.strerror}", hint="name another folder with --output"
        ) from None
