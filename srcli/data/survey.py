"""Check a folder of training pictures before step 1: every problem at once, headers first."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from srcli.data.alignment import find_shift
from srcli.data.decode import Header, ReadPicture, is_transparent, read_header, read_picture
from srcli.degradations.resize import Filter, resize
from srcli.errors import ImageError, UsageError
from srcli.io.looks import is_file, is_folder

# A file with such a name ought to be a picture; any other is one only if it proves to be.
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".ppm")
THREADS = 4  # decoding lets go of the interpreter
COMPARED_PX = 256  # side of the low picture's middle in which a shift is looked for
SHIFT_PX = 0.5  # low pixels, beyond which a pair teaches the network to shift
CONFIDENCE = 0.15


class Trouble(StrEnum):
    """Why a picture cannot be learned from."""

    UNREADABLE = "unreadable"
    TOO_SMALL = "too small"
    WRONG_MODE = "wrong mode"
    DUPLICATE = "duplicate"
    NO_PARTNER = "no partner"
    WRONG_SIZE = "wrong size"
    MISALIGNED = "misaligned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with one file."""

    path: Path
    trouble: Trouble
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a folder holds: pictures to learn from, problems, files that are no pictures."""

    folder: Path
    pictures: tuple[Header, ...]
    problems: tuple[Problem, ...]
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A low picture and the high one it was made from."""

    low: Header
    high: Header


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSurvey:
    """What two folders hold: pairs to learn from, and problems."""

    low_folder: Path
    high_folder: Path
    pairs: tuple[Pair, ...]
    problems: tuple[Problem, ...]


def survey_folder(
    folder: Path, *, patch_px: int, is_thorough: bool = True, may_repeat: bool = False
) -> Survey:
    """Check every file below `folder`: its header, its size against the patch, its content.

    Pictures with equal bytes count once, unless they `may_repeat`. A thorough survey also decodes
    each picture that has no
    other problem, to find the damaged and the transparent ones. Raises UsageError if there is no
    such folder.
    """
    candidates = list(files_below(folder))
    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(_header, candidates))
    headers = [result for result in results if isinstance(result, Header)]
    problems = [result for result in results if isinstance(result, Problem)]
    problems += [problem for header in headers for problem in _unfit(header, patch_px)]
    if not may_repeat:
        problems += _duplicates([header.path for header in headers])
    if is_thorough:
        problems += _unfit_inside(_without(headers, problems))
    return Survey(
        folder=folder,
        pictures=tuple(_without(headers, problems)),
        problems=tuple(sorted(problems, key=lambda problem: problem.path)),
        others=sum(result is None for result in results),
    )


def survey_pairs(
    low_folder: Path,
    high_folder: Path,
    *,
    scale: int,
    patch_px: int,
    is_thorough: bool = True,
    read: ReadPicture = read_picture,
) -> PairSurvey:
    """Check both folders as `survey_folder` does, and each low picture against its high one.

    Partners have the same path below their folder, but for the suffix and an `x4` (`_x4`, `-x4`)
    at the end of the low one's name. The high one has exactly `scale` times the sides, and may be
    there again for another low one. A thorough survey also looks for a shift. `patch_px` is in
    high pixels.
    """
    low = survey_folder(low_folder, patch_px=patch_px // scale, is_thorough=is_thorough)
    high = survey_folder(high_folder, patch_px=patch_px, is_thorough=is_thorough, may_repeat=True)
    pairs, problems = _matched(low, high, scale)
    problems += [problem for pair in pairs for problem in _wrong_size(pair, scale)]
    if is_thorough:
        wrong = {problem.path for problem in problems}
        fitting = [pair for pair in pairs if pair.low.path not in wrong]
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(lambda pair: _misaligned(pair, scale, read), fitting)
            problems += [problem for problem in found if problem]
    wrong = {problem.path for problem in problems}
    return PairSurvey(
        low_folder=low_folder,
        high_folder=high_folder,
        pairs=tuple(pair for pair in pairs if pair.low.path not in wrong),
        problems=(*low.problems, *high.problems, *problems),
    )


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder, sorted, but hidden ones; UsageError if there is no such folder."""
    if not is_folder(folder):
        raise UsageError(f"{folder}: no such folder", hint="give a folder of pictures")
    for path in sorted(folder.rglob("*")):
        # Names with a dot in front are the system's: .DS_Store, ._photo.jpg, .thumbnails/
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if is_file(path) and not is_hidden:
            yield path


def claims_to_be_a_picture(path: Path) -> bool:
    """Whether its name says so: then it is a failure if it is none."""
    return path.suffix.lower() in SUFFIXES


def _header(path: Path) -> Header | Problem | None:
    """None for a file that neither is a picture nor claims to be."""
    try:
        return read_header(path)
    except ImageError as error:
        if claims_to_be_a_picture(path):
            return _unreadable(path, error)
        return None


def _unreadable(path: Path, error: ImageError) -> Problem:
    detail = str(error).removeprefix(str(path)).lstrip(": ").removeprefix("is ")
    return Problem(path=path, trouble=Trouble.UNREADABLE, detail=detail)


def _unfit(header: Header, patch_px: int) -> Iterator[Problem]:
    if min(header.height, header.width) < patch_px:
        detail = f"{header.width} x {header.height} px, the patch has {patch_px}"
        yield Problem(path=header.path, trouble=Trouble.TOO_SMALL, detail=detail)
    if header.frames > 1:
        detail = f"an animation of {header.frames} frames"
        yield Problem(path=header.path, trouble=Trouble.WRONG_MODE, detail=detail)


def _duplicates(paths: Sequence[Path]) -> Iterator[Problem]:
    by_length = defaultdict(list)
    for path in paths:
        by_length[path.stat().st_size].append(path)
    originals: dict[bytes, Path] = {}
    for path in (path for group in by_length.values() if len(group) > 1 for path in group):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "blake2b").digest()
        original = originals.setdefault(digest, path)
        if original != path:
            yield Problem(path=path, trouble=Trouble.DUPLICATE, detail=f"same as {original}")


def _unfit_inside(headers: Sequence[Header]) -> list[Problem]:
    def check(header: Header) -> Problem | None:
        try:
            if not is_transparent(header.path):
                return None
        except ImageError as error:
            return _unreadable(header.path, error)
        detail = "transparent: a network learns from what is seen"
        return Problem(path=header.path, trouble=Trouble.WRONG_MODE, detail=detail)

    with ThreadPoolExecutor(THREADS) as pool:
        return [problem for problem in pool.map(check, headers) if problem]


def _without(headers: Sequence[Header], problems: Sequence[Problem]) -> list[Header]:
    wrong = {problem.path for problem in problems}
    return [header for header in headers if header.path not in wrong]


def _matched(low: Survey, high: Survey, scale: int) -> tuple[list[Pair], list[Problem]]:
    """Pairs of sound pictures; a partner with a problem of its own is not reported as missing."""
    partners = {_key(header.path, high.folder): header for header in high.pictures}
    unsound = {_key(problem.path, high.folder) for problem in high.problems}
    pairs, problems, met = [], [], set()
    for header in low.pictures:
        exact = _key(header.path, low.folder)
        key = exact if exact in partners else re.sub(rf"[-_]?x{scale}$", "", exact)
        met.add(key)
        if key in partners:
            pairs.append(Pair(low=header, high=partners[key]))
        elif key not in unsound:
            problems.append(_lonely(header.path, high.folder))
    for problem in low.problems:
        key = _key(problem.path, low.folder)
        met |= {key, re.sub(rf"[-_]?x{scale}$", "", key)}
    problems += [_lonely(partners[key].path, low.folder) for key in partners if key not in met]
    return pairs, problems


def _key(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _lonely(path: Path, other: Path) -> Problem:
    return Problem(path=path, trouble=Trouble.NO_PARTNER, detail=f"nothing of its name in {other}")


def _wrong_size(pair: Pair, scale: int) -> Iterator[Problem]:
    low, high = pair.low, pair.high
    if (high.height, high.width) != (low.height * scale, low.width * scale):
        detail = (
            f"{low.width} x {low.height} px, times {scale} is not {high.width} x {high.height}"
            f" of {high.path}"
        )
        yield Problem(path=low.path, trouble=Trouble.WRONG_SIZE, detail=detail)


def _misaligned(pair: Pair, scale: int, read: ReadPicture) -> Problem | None:
    height, width = (min(side, COMPARED_PX) for side in (pair.low.height, pair.low.width))
    top, left = (pair.low.height - height) // 2, (pair.low.width - width) // 2
    low = read(pair.low.path)[:, top : top + height, left : left + width].float().mean(0)
    top, left = top * scale, left * scale
    high = read(pair.high.path)[:, top : top + height * scale, left : left + width * scale]
    shift = find_shift(resize(high.float().mean(0), (height, width), filter=Filter.AREA), low)
    if shift.confidence < CONFIDENCE or shift.pixels <= SHIFT_PX:
        return None
    detail = f"lies {shift.down:+.1f} px down, {shift.right:+.1f} px right of {pair.high.path}"
    return Problem(path=pair.low.path, trouble=Trouble.MISALIGNED, detail=detail)
