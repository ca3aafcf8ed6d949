"""The work of a run: which pictures, where each result goes, which journal knows of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from srcli.errors import ImageError, SrcliError
from srcli.io import stores
from srcli.io.addresses import Address, Remote
from srcli.io.formats import PictureFormat
from srcli.io.looks import is_folder
from srcli.services.fingerprint import Content, Settings
from srcli.services.folder import (
    Found,
    Survey,
    WalkRules,
    is_named_like_picture,
    natural_key,
    survey,
)
from srcli.services.job import Source, name_of
from srcli.services.journal import Journal, results_in
from srcli.services.manifest import is_manifest, read_manifest
from srcli.services.mirror import mirror
from srcli.services.store_folder import pictures_below
from srcli.services.targets import Place, Target, make_folder, target_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderOptions:
    """How folders are walked, and what a run over many pictures does about trouble."""

    recursive: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    journal: bool = True
    fail_fast: bool = False
    watch: bool = False

    @property
    def rules(self) -> WalkRules:
        return WalkRules(recursive=self.recursive, include=self.include, exclude=self.exclude)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One picture to do."""

    source: Source
    target: Target
    content: Content | None = None  # what a listing told of the source
    journal: Journal | None = None
    problem: SrcliError | None = None  # known before it was opened

    @property
    def name(self) -> str:
        return name_of(self.source)


def alone(source: Address, output: str | None) -> Task:
    """The task of a picture that is the only input: its output may be the name of a picture."""
    return Task(source=source, target=target_of(source, output))


def look(inputs: Sequence[Address], output: Address | None, options: FolderOptions) -> Survey:
    """Walk the inputs now. The output folder and results of earlier runs are no inputs.

    Raises ImageError where a store or a list of pictures cannot be read at all.
    """
    paths = [path for path in inputs if isinstance(path, Path) and not is_manifest(path)]
    avoid = output if isinstance(output, Path) else None
    here = survey(paths, options.rules, avoid=avoid, results_in=results_in)
    found, passed_over = list(here.found), here.passed_over
    for address in inputs:
        if is_manifest(address):
            found += read_manifest(address)
        elif isinstance(address, Remote):
            listed = list(_listed(address, output, options))
            passed_over += listed.count(None)
            pictures = (each for each in listed if each is not None)
            found += sorted(pictures, key=lambda each: natural_key(each.path))
    once = {_spelled(each.path): each for each in reversed(found)}  # the first of equals stays
    return Survey(
        found=tuple(reversed(once.values())), problems=here.problems, passed_over=passed_over
    )


def _spelled(address: Address) -> str:
    """One spelling for each picture: a list may name what is in a folder that is named too."""
    return os.path.abspath(address) if isinstance(address, Path) else str(address)  # noqa: PTH100


def _listed(
    address: Remote, output: Address | None, options: FolderOptions
) -> Iterator[Found | None]:
    if is_folder_input(address):
        results = frozenset[Address]() if output is not None else results_in(address)
        yield from pictures_below(address, options.rules, avoid=output, results=results)
    else:
        yield Found(address)


def is_folder_input(address: Address) -> bool:
    """Whether an input is many pictures: a folder or a list."""
    if is_manifest(address):
        return True
    if isinstance(address, Path):
        return is_folder(address)
    if is_named_like_picture(PurePosixPath(address.name)):  # a store need not be asked
        return False
    entry = stores.entry_at(address)
    return entry is None or entry.is_folder


def uses_journal(inputs: Sequence[Address], options: FolderOptions) -> bool:
    """Whether a run over these inputs keeps a journal: where folders are walked."""
    return options.journal and (options.recursive or any(map(is_folder_input, inputs)))


class Journals:
    """The journals of a run: that of the output folder, or one in each input folder."""

    def __init__(
        self, output: Address | None, settings: Settings, model: str, *, read_only: bool = False
    ) -> None:
        self._output, self._settings, self._model = output, settings, model
        self._is_read_only = read_only
        self._open: dict[Address, Journal | None] = {}

    def of(self, found: Found) -> Journal | None:
        """The journal that knows of a picture; None for a file named by itself, done in place."""
        folder = self._output or found.root
        if folder is None:
            return None
        if folder not in self._open:
            self._open[folder] = self._enter(folder)
        return self._open[folder]

    def close(self) -> None:
        """Give all of them back, though one of them may fail at its end."""
        with ExitStack() as stack:
            for journal in self._open.values():
                if journal is not None:
                    stack.callback(journal.close)

    def _enter(self, folder: Address) -> Journal | None:
        if self._is_read_only:
            return Journal.peek(folder, self._settings, self._model)
        make_folder(folder)
        return Journal(folder, self._settings, self._model)


@dataclass(slots=True)
class Listing:
    """Turns what was found into tasks."""

    output: Address | None
    kind: PictureFormat | None
    journals: Journals | None

    def tasks(self, surveyed: Survey, chosen: Sequence[Found] | None = None) -> list[Task]:
        """A task for each picture found, or for the `chosen` of them; problems come first.

        Places are always chosen among all that was found: names depend on their neighbours.
        """
        wanted = None if chosen is None else set(chosen)
        places = mirror(surveyed.found, self.output, self.kind)
        return [self._problem(each.path, each.error) for each in surveyed.problems] + [
            self._task(found, place)
            for found, place in zip(surveyed.found, places, strict=True)
            if wanted is None or found in wanted
        ]

    def close(self) -> None:
        """Give the journals back."""
        if self.journals is not None:
            self.journals.close()

    def _task(self, found: Found, place: Place) -> Task:
        journal = self.journals.of(found) if self.journals else None
        return Task(source=found.path, target=place, content=found.content, journal=journal)

    def _problem(self, path: Address, error: ImageError) -> Task:
        return Task(source=path, target=path, problem=error)
