"""Where each picture of a folder goes: the tree mirrored, no two results with one name.

photos/a.jpg              OUT/a_x4.jpg
photos/trip/b.png         OUT/trip/b_x4.png
photos/c.jpg  --format png    OUT/c.jpg_x4.png   (they would both be c_x4.png,
photos/c.tif  --format png    OUT/c.tif_x4.png    so both keep their suffix in the name)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TypeAlias

from srcli.errors import ImageError
from srcli.io import stores
from srcli.io.addresses import Address
from srcli.io.formats import HEAD_BYTES, PictureFormat, format_of_name, sniff
from srcli.services.folder import Found
from srcli.services.naming import numbered
from srcli.services.targets import Place, ending_for

Key: TypeAlias = tuple[Address, str, str]  # folder, stem and ending of a result, without case


def mirror(
    found: Sequence[Found], output: Address | None, kind: PictureFormat | None = None
) -> list[Place]:
    """A place for each picture, in the tree below `output`, or beside it where that is None.

    Several input folders get a folder each below `output`. `kind` is the format asked for.
    Names are compared without case, so that a tree can move to a disk that ignores it. No result
    lies outside `output`, whatever the keys of a store are.
    """
    roots = _folder_names({one.root for one in found if one.root is not None})
    places = [Place(_folder(one, output, roots), one.path.stem) for one in found]
    keys = _keys(found, places, kind)
    sharing = Counter(keys)
    distinct = [
        replace(place, stem=one.path.name) if sharing[key] > 1 else place
        for one, place, key in zip(found, places, keys, strict=True)
    ]
    return _numbered(distinct, _keys(found, distinct, kind))


def _folder(one: Found, output: Address | None, roots: dict[Address, str]) -> Address:
    if output is None:
        return one.path.parent
    if one.root is None:
        return output
    return output / roots[one.root] / _within(one.below)


def _within(below: PurePath) -> PurePath:
    """A path that stays below what it is put below: `a//b` and `../b` are keys like any other.

    >>> _within(Path("/etc/a")), _within(Path("a/../../b"))
    (PosixPath('etc/a'), PosixPath('a/__/__/b'))
    """
    parts = below.relative_to(below.anchor).parts
    return type(below)(*("__" if part == ".." else part for part in parts))


def _folder_names(roots: set[Address]) -> dict[Address, str]:
    """The folder below the output for each input folder: none for an only one."""
    if len(roots) < 2:
        return dict.fromkeys(roots, "")
    names: dict[Address, str] = {}
    for root in sorted(roots, key=str):
        taken = {name.casefold() for name in names.values()}
        candidates = numbered(_name(root) or "root")
        names[root] = next(name for name in candidates if name.casefold() not in taken)
    return names


def _name(root: Address) -> str:
    return root.resolve().name if isinstance(root, Path) else root.name


def _keys(found: Sequence[Found], places: Sequence[Place], kind: PictureFormat | None) -> list[Key]:
    """What must differ between two results. Files are looked into only where names are close."""
    close = Counter((place.folder, place.stem.casefold()) for place in places)
    return [
        _key(place, _ending(one.path, kind, close[place.folder, place.stem.casefold()] > 1))
        for one, place in zip(found, places, strict=True)
    ]


def _key(place: Place, ending: str) -> Key:
    return place.folder, place.stem.casefold(), ending.casefold()


def _ending(path: Address, kind: PictureFormat | None, look: bool) -> str:
    wanted = kind or (_really(path) if look else None) or format_of_name(Path(path.name))
    return ending_for(path.suffix, wanted or PictureFormat.OTHER)


def _really(path: Address) -> PictureFormat | None:
    try:
        if not isinstance(path, Path):
            return sniff(stores.read(path, HEAD_BYTES))
        with path.open("rb") as file:
            return sniff(file.read(HEAD_BYTES))
    except (OSError, ImageError):  # told when the picture's turn comes
        return None


def _numbered(places: Sequence[Place], keys: Sequence[Key]) -> list[Place]:
    """The last resort, for `A.jpg` beside `a.jpg`: `A.jpg`, `a.jpg-2`."""
    taken: set[Key] = set()
    settled = []
    for place, (folder, _, ending) in zip(places, keys, strict=True):
        places_to_try = (Place(folder, stem) for stem in numbered(place.stem))
        free = next(each for each in places_to_try if _key(each, ending) not in taken)
        taken.add(_key(free, ending))
        settled.append(free)
    return settled
