"""The table in docs/reference/weights.md is that of the catalogue; run this file to rewrite it."""

import re
from pathlib import Path

from srcli.cli.render.weights import megabytes
from srcli.io.catalogue import catalogue

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "weights.md"
PLACE = re.compile(r"(<!-- table: .*? -->\n)(.*?)(<!-- end of table -->)", re.DOTALL)


def table():
    lines = ["| name | scale | size | licence | good for |", "| --- | --- | --- | --- | --- |"]
    for entry in catalogue():
        licence = entry.licence + ("" if entry.commercial else ", no commercial use")
        scale = f"x{entry.scale}" if entry.scale else "-"
        cells = (f"`{entry.name}`", scale, megabytes(entry.size), licence, entry.purpose)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_page_shows_the_catalogue():
    assert PLACE.search(PAGE.read_text("utf-8"))[2] == table()


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    PAGE.write_text(PLACE.sub(lambda found: found[1] + table() + found[3], text), "utf-8")
