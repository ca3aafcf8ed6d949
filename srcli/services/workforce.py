"""Who does the pictures of a run: the devices of this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from srcli.io.addresses import Address, Remote
from srcli.services.clerk import Outcome
from srcli.services.cluster.options import ClusterOptions
from srcli.services.folder import Survey
from srcli.services.line import Carrying, Line
from srcli.services.observer import EngineFacts, Observer
from srcli.services.request import UpscaleRequest, load_engines
from srcli.services.stop import Stop
from srcli.services.tasks import Task


@dataclass(frozen=True, slots=True)
class Force:
    """Workers with one network among them."""

    digest: str  # of its weights
    outcomes: Callable[[Iterable[Task]], Iterator[Outcome]]


@contextmanager
def hired(
    request: UpscaleRequest,
    surveyed: Survey,
    output: Address | None,
    observer: Observer,
    stop: Stop,
) -> Iterator[Force]:
    """The workers of a run while the block lasts. Raises what concerns all pictures."""
    if request.cluster is not None:
        with _on_cluster(request, request.cluster, observer, stop) as force:
            yield force
        return
    engines = load_engines(request, observer)
    line = Line(
        engines,
        request.picture,
        observer,
        stop,
        fail_fast=request.folder.fail_fast,
        carrying=_carrying(surveyed, output),
    )
    yield Force(engines[0].loaded.digest, line.outcomes)


def _carrying(surveyed: Survey, output: Address | None) -> Carrying:
    fetches = any(isinstance(each.path, Remote) for each in surveyed.found)
    stores = fetches if output is None else isinstance(output, Remote)
    return Carrying(fetches=fetches, stores=stores)


@contextmanager
def _on_cluster(
    request: UpscaleRequest, options: ClusterOptions, observer: Observer, stop: Stop
) -> Iterator[Force]:
    from srcli.services.cluster.connect import connected, shape_of  # ray is an extra

    with connected(options):
        import ray

        from srcli.services.cluster.crew import Crew
        from srcli.services.cluster.hiring import Hiring, Starter
        from srcli.services.cluster.line import ClusterLine
        from srcli.services.cluster.weights import obtain_recipe

        shape = shape_of(options, request.engine.device, ray.nodes())
        recipe, files = obtain_recipe(request, observer)
        crew = Crew(shape.slots, stop, on_note=observer.note)
        starter = Starter(shape, request.engine, recipe, files)
        first = _Once(observer.engine_ready)
        most = options.workers
        with Hiring(
            crew, starter, stop, most=most, on_ready=first, on_note=observer.note
        ) as hiring:
            pictures = shape.slots * hiring.most_workers
            fail_fast = request.folder.fail_fast
            line = ClusterLine(crew, pictures, request.picture, observer, stop, fail_fast=fail_fast)
            yield Force(recipe.digest, line.outcomes)


class _Once:
    """Tells of the first worker that is ready: the others are its like."""

    def __init__(self, tell: Callable[[EngineFacts], None]) -> None:
        self._tell: Callable[[EngineFacts], None] | None = tell
        self._mutex = Lock()

    def __call__(self, facts: EngineFacts) -> None:
        with self._mutex:
            tell, self._tell = self._tell, None
        if tell is not None:
            tell(facts)
