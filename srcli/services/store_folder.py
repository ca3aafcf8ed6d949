"""Which pictures a folder of a store holds: listed by pages, nothing read but names and sizes.

The rules are those of services.folder. Stores have no links and no locked folders within, so what
is left to go wrong is the listing as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from srcli.errors import ImageError
from srcli.io import stores
from srcli.io.addresses import Address, Remote
from srcli.services.fingerprint import Content
from srcli.services.folder import Found, WalkRules, is_litter, is_named_like_picture, matches


def pictures_below(
    root: Remote, rules: WalkRules, *, avoid: Address | None, results: frozenset[Address]
) -> Iterator[Found | None]:
    """The pictures of a folder in the store's order; None for a folder that is not entered.

    Raises ImageError where the folder is not there or cannot be read.
    """
    is_there = False
    for entry in stores.listing(root, below=rules.recursive):
        is_there = True
        if entry.address in results or (isinstance(avoid, Remote) and _is_in(entry.address, avoid)):
            continue
        below = entry.address.below(root)
        if _is_left_out(below, rules):
            continue
        if entry.is_folder:
            yield None
        elif _is_wanted(below, rules):
            content = Content(bytes=entry.bytes, stamp=entry.stamp)
            yield Found(entry.address, root, content)
    if not is_there and stores.entry_at(root) is None:
        raise ImageError(f"{root} does not exist", hint="check how it is spelled")


def _is_in(address: Remote, folder: Remote) -> bool:
    return address.is_below(folder) or address == folder


def _is_left_out(below: PurePosixPath, rules: WalkRules) -> bool:
    """Hidden, litter or excluded, itself or a folder above it."""
    return any(
        is_litter(place.name) or matches(rules.exclude, place)
        for place in (below, *below.parents[:-1])
    )


def _is_wanted(below: PurePosixPath, rules: WalkRules) -> bool:
    return matches(rules.include, below) if rules.include else is_named_like_picture(below)
