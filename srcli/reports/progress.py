"""A sheet that shows how far a training is: low | before | now | target, a row for each picture.

As a PNG it says in a text chunk what its rows are, so that they can be cut out again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

CELL = 256  # px
GAP = 8
LINE = 20
TEXT_PX = 14
_MOST_PX = 4096
PAPER, INK = (250, 250, 250), (40, 40, 40)
COLUMNS = ("low", "before", "now", "target")
CHUNK = "srcli:rows"
# What a text of other kinds of values ends in, or of sizes that no row of a sheet has.
_DAMAGED = (AttributeError, LookupError, TypeError, ValueError, RecursionError)

Levels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressRow:
    """A part of a picture: low (h, w, 3), the others (s·h, s·w, 3)."""

    title: str
    low: Levels
    before: Levels
    now: Levels
    target: Levels


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A row cut out of a sheet, its pictures in the sizes that they had."""

    title: str
    low: Image.Image
    before: Image.Image
    now: Image.Image
    target: Image.Image


def save_sheet(path: Path, rows: Sequence[ProgressRow]) -> None:
    """Draw the rows and write them as PNG."""
    described = [
        {"title": row.title, "sizes": [levels.shape[:2] for levels in _pictures(row)]}
        for row in rows
    ]
    information = PngInfo()
    information.add_itxt(CHUNK, json.dumps(described))
    progress_sheet(rows).save(path, "PNG", pnginfo=information)


def read_sheet(path: Path) -> tuple[SheetRow, ...]:
    """The rows of a sheet that `save_sheet` wrote; none of another picture or a damaged one."""
    try:
        with Image.open(path) as sheet:
            sheet.load()
            described = json.loads(sheet.text[CHUNK])  # type: ignore[attr-defined]
            return tuple(
                SheetRow(row["title"], *_cut(sheet, number, row["sizes"]))
                for number, row in enumerate(described)
            )
    except (*_DAMAGED, OSError, Image.DecompressionBombError):
        return ()


def progress_sheet(rows: Sequence[ProgressRow]) -> Image.Image:
    """Draw the rows; each picture is enlarged to the same size with its pixels as squares."""
    width = len(COLUMNS) * (CELL + GAP) + GAP
    sheet = Image.new("RGB", (width, _top(len(rows))), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(TEXT_PX)
    for column, heading in enumerate(COLUMNS):
        draw.text((_left(column), GAP // 2), heading, fill=INK, font=font)
    for number, row in enumerate(rows):
        top = _top(number)
        for column, levels in enumerate(_pictures(row)):
            sheet.paste(_cell(levels), (_left(column), top))
        draw.text((GAP, top + CELL + 2), row.title, fill=INK, font=font)
    return sheet


def _pictures(row: ProgressRow) -> tuple[Levels, Levels, Levels, Levels]:
    return row.low, row.before, row.now, row.target


def _left(column: int) -> int:
    return GAP + column * (CELL + GAP)


def _top(row: int) -> int:
    return LINE + GAP + row * (CELL + LINE + GAP)


def _cell(levels: Levels) -> Image.Image:
    return Image.fromarray(levels).resize(_shown(*levels.shape[:2]), Image.Resampling.NEAREST)


def _shown(height: int, width: int) -> tuple[int, int]:
    """Width and height of a picture on the sheet."""
    factor = CELL / max(height, width)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _cut(sheet: Image.Image, row: int, sizes: Sequence[tuple[int, int]]) -> list[Image.Image]:
    found = []
    are_possible = all(0 < side <= _MOST_PX for size in sizes for side in size)
    if len(sizes) != len(COLUMNS) or not are_possible:
        raise ValueError("no sizes of a row")
    for column, (height, width) in enumerate(sizes):
        left, top = _left(column), _top(row)
        right, bottom = _shown(height, width)
        cell = sheet.crop((left, top, left + right, top + bottom))
        # The middle of each square: the pixel as it was.
        found.append(cell.resize((width, height), Image.Resampling.NEAREST))
    return found
