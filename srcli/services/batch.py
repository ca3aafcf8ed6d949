"""Many pictures: each succeeds or fails alone, and folders go on where the last run ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import BinaryIO

from srcli.errors import ImageError, SrcliError
from srcli.io.addresses import Address, Remote, address_of
from srcli.io.pictures import open_picture
from srcli.services.clerk import Outcome
from srcli.services.fingerprint import settings_of
from srcli.services.folder import Survey
from srcli.services.job import Source, name_of
from srcli.services.observer import Observer
from srcli.services.request import UpscaleRequest, check_sources, load_engines
from srcli.services.stop import Stop
from srcli.services.targets import Target, make_folder, target_of
from srcli.services.tasks import (
    Journals,
    Listing,
    Task,
    alone,
    is_folder_input,
    look,
    uses_journal,
)
from srcli.services.upscale import upscale_file
from srcli.services.watch import Watch
from srcli.services.workforce import hired

__all__ = ["Outcome", "UpscaleRequest", "upscale_files", "upscale_stream"]


def upscale_files(
    request: UpscaleRequest,
    sources: Sequence[Address],
    output: str | None = None,
    observer: Observer | None = None,
    *,
    stop: Stop | None = None,
) -> Iterator[Outcome]:
    """Enlarge files and the pictures of folders; a bad one is an outcome with an error.

    Outcomes come as pictures end, which is not the order of `sources`. A full disk ends the run:
    what follows would fail the same way. Setting `stop` ends it after the pictures that are
    nearly done; the same call does the others another time. What concerns all inputs (weights,
    device, options, another run on the same folder) raises before the first.
    """
    check_sources(sources, output, request.folder)
    observer = observer or Observer()
    is_one = len(sources) == 1 and not is_folder_input(sources[0])
    if is_one and request.cluster is None:
        yield _alone(request, sources[0], target_of(sources[0], output), observer)
    else:
        run = _Run(request, sources, output, observer, stop or Stop())
        yield from run.outcomes()


def upscale_stream(
    request: UpscaleRequest,
    source: Source,
    target: str | BinaryIO | None,
    observer: Observer | None = None,
) -> Outcome:
    """Enlarge one picture from or into a stream, such as standard input and output.

    A stream of input is read whole. A stream of output gets a whole picture or nothing. A name
    that must come from somewhere is `stdin`.
    """
    place: Target
    if target is None or isinstance(target, str):
        named = source if isinstance(source, Path | Remote) else Path("stdin")
        place = target_of(named, target)
    else:
        place = target
    return _alone(request, source, place, observer or Observer())


def _alone(request: UpscaleRequest, source: Source, target: Target, observer: Observer) -> Outcome:
    """One picture without a journal and without threads."""
    name = name_of(source)
    observer.listed((name,))
    engine = load_engines(request, observer)[0]
    try:
        report = upscale_file(engine, source, target, request.picture, observer=observer)
    except SrcliError as error:
        return Outcome(source=name, error=error)
    return Outcome(source=name, report=report)


class _Run:
    """A run over many pictures."""

    def __init__(
        self,
        request: UpscaleRequest,
        sources: Sequence[Address],
        output: str | None,
        observer: Observer,
        stop: Stop,
    ) -> None:
        self._request, self._sources = request, sources
        self._target = output
        self._output = None if output is None else address_of(output)
        self._observer, self._stop = observer, stop

    def outcomes(self) -> Iterator[Outcome]:
        request = self._request
        surveyed = self._look()
        if not request.folder.watch:
            check_found(surveyed, self._sources)
        with hired(request, surveyed, self._output, self._observer, self._stop) as force:
            if self._output is not None and not self._is_one:
                make_folder(self._output)
            with closing(self._listing(force.digest)) as listing:
                yield from force.outcomes(self._tasks(listing, surveyed))

    @property
    def _is_one(self) -> bool:
        """Whether the output is the name of a picture, not of a folder."""
        return len(self._sources) == 1 and not is_folder_input(self._sources[0])

    def _look(self) -> Survey:
        return look(self._sources, self._output, self._request.folder)

    def _listing(self, digest: str) -> Listing:
        journals = None
        if uses_journal(self._sources, self._request.folder):
            settings = settings_of(self._request.engine, self._request.picture)
            journals = Journals(self._output, settings, digest)
        return Listing(self._output, self._request.picture.format, journals)

    def _tasks(self, listing: Listing, surveyed: Survey) -> Iterator[Task]:
        if surveyed.passed_over and not self._request.folder.watch:
            self._observer.note(f"{surveyed.passed_over} folders below are left out: add -r")
        if self._request.folder.watch:
            yield from self._arriving(listing)
            return
        is_one, output = self._is_one, self._target
        tasks = [alone(self._sources[0], output)] if is_one else listing.tasks(surveyed)
        self._observer.listed(tuple(task.name for task in tasks))
        if self._observer.wants_megapixels:
            Thread(target=self._measure, args=(tasks,), daemon=True, name="srcli measure").start()
        yield from tasks

    def _arriving(self, listing: Listing) -> Iterator[Task]:
        for surveyed, ready in Watch(self._look, self._stop).arrivals():
            tasks = listing.tasks(surveyed, ready)
            self._observer.listed(tuple(task.name for task in tasks))
            yield from tasks

    def _measure(self, tasks: Iterable[Task]) -> None:
        """Read the headers while the work goes on, for a forecast of its end."""
        for task in tasks:
            if self._stop.is_set():
                return
            if (megapixels := _megapixels(task)) is not None:
                self._observer.measured(task.name, megapixels)


def check_found(surveyed: Survey, sources: Sequence[Address]) -> None:
    """Raise ImageError where there is nothing to do."""
    if surveyed.found or surveyed.problems:
        return
    where = ", ".join(map(str, sources))
    hint = "look below with -r" if surveyed.passed_over else "name other kinds with --include"
    raise ImageError(f"no pictures in {where}", hint=hint)


def _megapixels(task: Task) -> float | None:
    if isinstance(task.source, Remote):  # its header is in a store: its area counts as the mean
        return None
    try:
        picture = open_picture(task.source)
    except SrcliError:  # told when the picture's turn comes
        return 0.0
    return picture.height * picture.width * picture.pages / 1e6
