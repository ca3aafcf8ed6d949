"""Which restored picture belongs to which target: by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from srcli.data.survey import claims_to_be_a_picture, files_below
from srcli.errors import ImageError, UsageError
from srcli.io.looks import is_file, is_folder, is_gone

_SCALE = re.compile(r"[-_]?x\d+(\.\d+)?$")
NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Partners:
    """Pictures of several places, brought together by name."""

    rows: tuple[tuple[str, tuple[Path, ...]], ...]  # a name, and its file in every place
    lonely: tuple[Path, ...]  # without a partner in some place

    def __len__(self) -> int:
        return len(self.rows)


def pictures_in(place: Path) -> dict[str, Path]:
    """The picture itself, or all those below a folder, by their path in it without suffix.

    Raises ImageError if there is nothing of that name, UsageError for a folder without a picture.
    """
    if is_file(place):
        return {place.stem: place}
    if is_gone(place):
        hint = f"look in {place.parent.resolve()} for how it is spelled"
        raise ImageError(f"{place} does not exist", hint=hint)
    if not is_folder(place):
        raise ImageError(f"{place} may not be looked at", hint="check its permissions")
    found: dict[str, Path] = {}
    for path in filter(claims_to_be_a_picture, files_below(place)):
        other = found.setdefault(path.relative_to(place).with_suffix("").as_posix(), path)
        if other != path:
            message = f"{other} and {path.name} have one name"
            raise UsageError(message, hint="rename one, or move it out of the folder")
    if not found:
        raise UsageError(f"{place}: no picture in it", hint="give a folder of pictures")
    return found


def match(first: Path, *others: Path) -> Partners:
    """The pictures of `first` with those of each other place; two files are partners as they are.

    A partner has the same name but for its suffix; else the same with a scale at its end (photo
    and photo_x4); else it is the only one whose name goes on where the other's ends (baby and
    baby_bicubic). Raises UsageError where no picture has a partner in every place.
    """
    places = (first, *others)
    if all(is_file(place) for place in places):
        return Partners(rows=((first.stem, places),), lonely=())
    ours = pictures_in(first)
    rest = [_assigned(list(ours), pictures_in(place)) for place in others]
    rows = [
        (name, (path, *(found[name] for found, _ in rest)))
        for name, path in ours.items()
        if all(name in found for found, _ in rest)
    ]
    if not rows:
        raise UsageError(_nothing_in_common(places), hint="partners have the same name, or end _x4")
    met = {name for name, _ in rows}
    lonely = [path for name, path in ours.items() if name not in met]
    lonely += [path for _, unmatched in rest for path in unmatched]
    return Partners(rows=tuple(rows), lonely=tuple(lonely))


def _assigned(
    names: Sequence[str], pictures: dict[str, Path]
) -> tuple[dict[str, Path], list[Path]]:
    """For each of `names` its picture, and the pictures that nobody wants."""
    found: dict[str, Path] = {}
    free = dict(pictures)
    for name in names:
        if name in free:
            found[name] = free.pop(name)
    for name in (name for name in names if name not in found):
        close = [other for other in free if _without_scale(other) == _without_scale(name)]
        close = close or [other for other in free if _goes_on(other, name)]
        if len(close) == 1:
            found[name] = free.pop(close[0])
    return found, list(free.values())


def _without_scale(name: str) -> str:
    return _SCALE.sub("", name)


def _goes_on(longer: str, shorter: str) -> bool:
    return longer.startswith(tuple(f"{shorter}{mark}" for mark in "-_. "))


def _nothing_in_common(places: Sequence[Path]) -> str:
    shown = []
    for place in places:
        names = [path.name for path in pictures_in(place).values()]
        more = ", ..." if len(names) > NAMES_SHOWN else ""
        shown.append(f"{place} has {', '.join(names[:NAMES_SHOWN])}{more}")
    return f"nothing in common: {'; '.join(shown)}"
