"""Names that must differ from each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, count


def distinct(names: Iterable[str]) -> Iterator[str]:
    """The names in their order; of equal ones those after the first with a number.

    >>> list(distinct(["a", "b", "a", "a-2"]))
    ['a', 'b', 'a-2', 'a-2-2']
    """
    taken: set[str] = set()
    for name in names:
        free = next(each for each in numbered(name) if each not in taken)
        taken.add(free)
        yield free


def numbered(name: str) -> Iterator[str]:
    """`a`, `a-2`, `a-3` and so on."""
    return chain([name], (f"{name}-{number}" for number in count(2)))
