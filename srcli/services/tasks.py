"""The work of a run: which pictures, where each result goes, which journal knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from srcli.errors import ImageError, SrcliError
from srcli.io.formats import PictureFormat
from srcli.services.fingerprint import Settings
from srcli.services.folder import Found, Survey, WalkRules, survey
from srcli.services.job import Source, name_of
from srcli.services.journal import Journal, results_in
from srcli.services.mirror import mirror
from srcli.services.targets import Place, Target, make_folder


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
    journal: Journal | None = None
    problem: SrcliError | None = None  # known before it was opened

    @property
    def name(self) -> str:
        return name_of(self.source)


def look(inputs: Sequence[Path], output: Path | None, options: FolderOptions) -> Survey:
    """Walk the inputs now. The output folder and results of earlier runs are no inputs."""
    return survey(inputs, options.rules, avoid=output, results_in=results_in)


def uses_journal(inputs: Sequence[Path], options: FolderOptions) -> bool:
    """Whether a run over these inputs keeps a journal: where folders are walked."""
    return options.journal and (options.recursive or any(path.is_dir() for path in inputs))


class Journals:
    """The journals of a run: that of the output folder, or one in each input folder."""

    def __init__(
        self, output: Path | None, settings: Settings, model: str, *, read_only: bool = False
    ) -> None:
        self._output, self._settings, self._model = output, settings, model
        self._is_read_only = read_only
        self._open: dict[Path, Journal | None] = {}

    def of(self, found: Found) -> Journal | None:
        """The journal that knows of a picture; None for a file named by itself, done in place."""
        folder = self._output or found.root
        if folder is None:
            return None
        if folder not in self._open:
            self._open[folder] = self._enter(folder)
        return self._open[folder]

    def close(self) -> None:
        for journal in self._open.values():
            if journal is not None:
                journal.close()

    def _enter(self, folder: Path) -> Journal | None:
        if self._is_read_only:
            return Journal.peek(folder, self._settings, self._model)
        make_folder(folder)
        return Journal(folder, self._settings, self._model)


@dataclass(slots=True)
class Listing:
    """Turns what was found into tasks."""

    output: Path | None
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
        return Task(source=found.path, target=place, journal=journal)

    def _problem(self, path: Path, error: ImageError) -> Task:
        return Task(source=path, target=path, problem=error)
