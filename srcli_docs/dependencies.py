"""The table of docs/reference/dependencies.md: `python -m srcli_docs.dependencies` prints it.

Bounds come from pyproject.toml, licences from the metadata of what is installed. A test compares
the page with both.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, metadata
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
ABSENT = "(not installed)"
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[\w,]+\])?(.*)")
# Every family of licences is known by what its names have in common, in the words of classifiers,
# of SPDX and of people.
_FAMILIES = {
    "Apache-2.0": r"apache",
    "BSD": r"bsd",
    "BSL-1.0": r"bsl-1",
    "CC0": r"cc0",
    "GPL": r"(?<![la])gpl|(?<!lesser )general public",
    "ISC": r"isc\b",
    "LGPL": r"lgpl|lesser general public",
    "MIT": r"\bmit\b(?!-cmu)",
    "MIT-CMU": r"mit-cmu|hpnd",
    "MPL-2.0": r"mpl|mozilla",
    "PSF": r"psf|python software",
    "Zlib": r"zlib",
}
_LONGEST_NAME = 200  # a field that is longer holds the text of a licence, not its name


@dataclass(frozen=True, slots=True)
class Dependency:
    """A package that srcli, or one of its extras, asks for."""

    extra: str  # "" for srcli itself
    package: str
    bounds: str


def dependencies() -> list[Dependency]:
    """What pyproject.toml asks for, extra by extra."""
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    found = []
    for extra, requirements in groups.items():
        for requirement in requirements:
            parts = _REQUIREMENT.fullmatch(requirement)
            if parts and parts[1] != "srcli":
                found.append(Dependency(extra, parts[1], parts[2]))
    return found


def licence(package: str) -> str:
    """The families of licences that the installed package names, or ABSENT."""
    try:
        about = metadata(package)
    except PackageNotFoundError:
        return ABSENT
    named = [each for each in about.get_all("Classifier") or [] if each.startswith("License ::")]
    named += about.get_all("License-Expression") or about.get_all("License") or []
    told = " ".join(each for each in named if len(each) < _LONGEST_NAME).lower()
    for file in about.get_all("License-File") or [] if not told else []:
        told += (distribution(package).read_text(f"licenses/{file}") or "")[:_LONGEST_NAME].lower()
    return ", ".join(name for name, known in _FAMILIES.items() if re.search(known, told))


def table() -> Iterator[str]:
    """All of them as lines of Markdown."""
    yield from ("| needed by | package | bounds | licence |", "| --- | --- | --- | --- |")
    for each in dependencies():
        needed_by = f"`{each.extra}`" if each.extra else "srcli"
        bounds = each.bounds.replace(",", ", ")
        yield f"| {needed_by} | {each.package} | {bounds} | {licence(each.package)} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()) + "\n")
