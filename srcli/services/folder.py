"""Which pictures a folder holds: walked once, in natural order, nothing read but names.

Folders of a store are listed by services.store_folder, by the same rules.

What is left out is left out for one of these reasons:

    hidden, or litter of an operating system            silently
    the suffix is no picture's, and no --include names it    silently
    --exclude names it                                       silently
    it is the output folder, or a result in a journal        silently
    it was found before, by another name or link             silently
    a folder cannot be read, a link leads nowhere            a problem, and the rest goes on
"""

from __future__ import annotations

import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from srcli.errors import ImageError
from srcli.io.addresses import Address, relative_to
from srcli.io.formats import format_of_name
from srcli.io.looks import is_folder, is_there
from srcli.services.fingerprint import Content

LITTER = frozenset(
    ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle")
    + ("$recycle.bin", "system volume information")
)
# What Pillow reads beyond the kinds that srcli writes, as far as people keep pictures in it.
OTHER_SUFFIXES = frozenset(
    (".pbm", ".pgm", ".ppm", ".pnm", ".pfm", ".tga", ".jp2", ".j2k", ".jpx", ".qoi")
    + (".psd", ".sgi", ".pcx", ".dds", ".ico")
)
_DIGITS = re.compile(r"([0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkRules:
    """What counts. Globs are tried on the name, and with a slash on the path below the root.

    They ignore case, and `*` matches slashes too. A folder that `exclude` matches is not entered.
    """

    recursive: bool = False
    include: tuple[str, ...] = ()  # none: every file with the suffix of a picture
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A picture to do: its path, and the folder it was found below (None: named by itself)."""

    path: Address
    root: Address | None = None
    content: Content | None = field(default=None, compare=False)  # what the listing told of it

    @property
    def below(self) -> PurePath:
        """The folders between the root and the file."""
        return relative_to(self.path, self.root).parent if self.root else PurePath()


@dataclass(frozen=True, slots=True)
class Problem:
    """A place that could not be looked at."""

    path: Address
    error: ImageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found, in natural order."""

    found: tuple[Found, ...]
    problems: tuple[Problem, ...]
    passed_over: int  # folders below that were not entered because nobody said so


def survey(
    inputs: Sequence[Path],
    rules: WalkRules | None = None,
    *,
    avoid: Path | None = None,
    results_in: Callable[[Path], frozenset[Address]] = lambda folder: frozenset(),
) -> Survey:
    """Every picture among `inputs`, files and folders, each once.

    `avoid` is a folder not to enter: that of the results, where it lies inside an input.
    `results_in(folder)` names files, by their real paths, that an earlier run wrote.
    """
    avoided = _identity(avoid) if avoid and is_there(avoid) else None
    walk = _Walk(rules or WalkRules(), avoided, results_in)
    for path in inputs:
        if is_folder(path):
            walk.enter_root(path)
        else:
            walk.take(Found(path), os.path.realpath(path))
    return walk.survey()


def natural_key(path: Address) -> list[list[tuple[str, int]]]:
    """Sorts as people count: `img2` before `img10`, whatever the case.

    >>> sorted(map(Path, ["img10", "Img2", "img1/b", "img1/a"]), key=natural_key)
    [PosixPath('img1/a'), PosixPath('img1/b'), PosixPath('Img2'), PosixPath('img10')]
    """
    return [_natural(part) for part in path.parts]


def is_litter(name: str) -> bool:
    """Whether a name is hidden or belongs to an operating system: `.x`, `._x`, `Thumbs.db`.

    >>> is_litter("._a.jpg"), is_litter("Thumbs.db"), is_litter("a.jpg")
    (True, True, False)
    """
    return name.startswith(".") or name.lower() in LITTER


def is_named_like_picture(path: PurePath) -> bool:
    """Whether the suffix is that of a kind of picture that can be read."""
    return format_of_name(Path(path)) is not None or path.suffix.lower() in OTHER_SUFFIXES


@dataclass(slots=True)
class _Walk:
    rules: WalkRules
    avoid: tuple[int, int] | None
    results_in: Callable[[Path], frozenset[Address]]
    found: list[tuple[Found, str]] = field(default_factory=list)  # with the real path
    problems: list[Problem] = field(default_factory=list)
    passed_over: int = 0
    _seen: set[str] = field(default_factory=set)  # real paths of files
    _entered: set[tuple[int, int]] = field(default_factory=set)  # device and inode of folders
    _results: set[str] = field(default_factory=set)
    _links: deque[Path] = field(default_factory=deque)  # to folders, for after the real ones

    def enter_root(self, root: Path) -> None:
        """Real folders first: what a link shows again is then already known by its own name."""
        before = len(self.found)
        self._walk(root, root, is_root=True)
        while self._links:
            self._walk(root, self._links.popleft())
        self.found[before:] = sorted(self.found[before:], key=lambda one: _order(one[0].path))

    def take(self, found: Found, real: str) -> None:
        if real not in self._seen:
            self._seen.add(real)
            self.found.append((found, real))

    def survey(self) -> Survey:
        kept = tuple(found for found, real in self.found if real not in self._results)
        return Survey(found=kept, problems=tuple(self.problems), passed_over=self.passed_over)

    def _walk(self, root: Path, folder: Path, *, is_root: bool = False) -> None:
        """Depth first, by a list: a tree may be deeper than Python's own stack."""
        under_way = [self._enter(root, folder, is_root=is_root)]
        while under_way:
            below = next(under_way[-1], None)
            if below is None:
                under_way.pop()
            else:
                under_way.append(self._enter(root, below))

    def _enter(self, root: Path, folder: Path, *, is_root: bool = False) -> Iterator[Path]:
        """Take the pictures of one folder, and give those below that are to be entered."""
        try:
            identity = _identity(folder)
            if identity in self._entered or (identity == self.avoid and not is_root):
                return
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: _order(Path(entry.name)))
        except OSError as error:
            self._report(folder, f"{folder} cannot be read: {error.strerror}")
            return
        self._entered.add(identity or (0, 0))
        self._results.update(map(str, self.results_in(folder)))
        real = os.path.realpath(folder)
        for entry in entries:
            if not self._is_left_out(root, entry):
                yield from self._look(root, entry, real)

    def _look(self, root: Path, entry: os.DirEntry[str], real_folder: str) -> Iterator[Path]:
        path = Path(entry.path)
        try:
            mode = entry.stat().st_mode
        except OSError:
            if is_named_like_picture(path):
                self._report(path, f"{path} is a link that leads nowhere")
            return
        if stat.S_ISDIR(mode):
            yield from self._meet_folder(path, is_link=entry.is_symlink())
        elif stat.S_ISREG(mode) and self._is_wanted(root, path):
            is_link = entry.is_symlink()
            real = os.path.realpath(path) if is_link else os.path.join(real_folder, entry.name)  # noqa: PTH118
            self.take(Found(path, root), real)

    def _meet_folder(self, path: Path, *, is_link: bool) -> Iterator[Path]:
        if not self.rules.recursive:
            self.passed_over += 1
        elif is_link:
            self._links.append(path)
        else:
            yield path

    def _is_left_out(self, root: Path, entry: os.DirEntry[str]) -> bool:
        return is_litter(entry.name) or _matches_in(self.rules.exclude, root, Path(entry.path))

    def _is_wanted(self, root: Path, path: Path) -> bool:
        if self.rules.include:
            return _matches_in(self.rules.include, root, path)
        return is_named_like_picture(path)

    def _report(self, path: Path, message: str) -> None:
        hint = "check its permissions, or leave it out with --exclude"
        self.problems.append(Problem(path, ImageError(message, hint=hint)))


def _matches_in(globs: Sequence[str], root: Path, path: Path) -> bool:
    return matches(globs, path.relative_to(root))


def matches(globs: Sequence[str], path: PurePath) -> bool:
    """Whether one of the globs names a path below the root.

    >>> matches(["*.JPG"], PurePath("d/a.jpg")), matches(["d/*"], PurePath("d/a.jpg"))
    (True, True)
    """
    below = path.as_posix().lower()
    name = path.name.lower()
    tidy = (glob.lower().removeprefix("./").rstrip("/") for glob in globs)
    return any(fnmatchcase(below if "/" in glob else name, glob) for glob in tidy)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        facts = folder.stat()
    except FileNotFoundError:
        return None
    return facts.st_dev, facts.st_ino


def _order(path: Address) -> tuple[list[list[tuple[str, int]]], str]:
    return natural_key(path), str(path)  # the second for names that differ only in case or zeros


def _natural(text: str) -> list[tuple[str, int]]:
    return list(_pairs(_DIGITS.split(text.casefold())))


def _pairs(pieces: list[str]) -> Iterator[tuple[str, int]]:
    """Words with the number that follows each; -1 where none does."""
    for place in range(0, len(pieces), 2):
        number = int(pieces[place + 1]) if place + 1 < len(pieces) else -1
        yield pieces[place], number
