"""What the documentation takes from the code when it is built; no part of the installed package.

A page says where with a line of its own, `<!-- generated: command upscale -->`; the words after
the colon name a function of `srcli_docs.reference` and its arguments. A line is used, not a file
that is written before, so that pages stay whole on their own and nothing can be out of date.
"""

from __future__ import annotations

import re

from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor

from srcli_docs.reference import GENERATORS

PLACE = re.compile(r"^<!-- generated: (\S+)(?: (.*?))? -->$")
BEFORE_FENCES = 29  # pymdownx.superfences has 25


class _Generated(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        return [made for line in lines for made in generated(line)]


def generated(line: str) -> list[str]:
    """The line itself, or what it stands for."""
    found = PLACE.match(line)
    if found is None:
        return [line]
    name, argument = found.groups()
    make = GENERATORS[name]
    return ["", *make(argument or ""), ""]


class GeneratedExtension(Extension):
    """Replaces the lines described above in every page."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802, Python-Markdown calls it so
        md.preprocessors.register(_Generated(md), "srcli-generated", BEFORE_FENCES)


def makeExtension(**_: object) -> GeneratedExtension:  # noqa: N802, Python-Markdown calls it so
    return GeneratedExtension()
