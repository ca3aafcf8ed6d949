"""A sheet that shows how far a training is: low | before | now | target, a row for each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

CELL = 256  # px
GAP = 8
LINE = 20
TEXT_PX = 14
PAPER, INK = (250, 250, 250), (40, 40, 40)
COLUMNS = ("low", "before", "now", "target")

Levels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressRow:
    """A part of a picture: low (h, w, 3), the others (s·h, s·w, 3)."""

    title: str
    low: Levels
    before: Levels
    now: Levels
    target: Levels


def progress_sheet(rows: Sequence[ProgressRow]) -> Image.Image:
    """Draw the rows; each picture is enlarged to the same size with its pixels as squares."""
    width = len(COLUMNS) * (CELL + GAP) + GAP
    row_height = CELL + LINE + GAP
    sheet = Image.new("RGB", (width, LINE + GAP + len(rows) * row_height), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(TEXT_PX)
    for column, heading in enumerate(COLUMNS):
        draw.text((GAP + column * (CELL + GAP), GAP // 2), heading, fill=INK, font=font)
    for number, row in enumerate(rows):
        top = LINE + GAP + number * row_height
        for column, levels in enumerate((row.low, row.before, row.now, row.target)):
            sheet.paste(_cell(levels), (GAP + column * (CELL + GAP), top))
        draw.text((GAP, top + CELL + 2), row.title, fill=INK, font=font)
    return sheet


def _cell(levels: Levels) -> Image.Image:
    height, width = levels.shape[:2]
    factor = CELL / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return Image.fromarray(levels).resize(size, Image.Resampling.NEAREST)
