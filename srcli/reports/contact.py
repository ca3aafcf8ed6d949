"""A contact sheet: what a degradation did to each picture, side by side at the pixel's scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

CELL = 256  # px, side of a picture on the sheet
GAP = 12
LINE = 16
TEXT_PX = 13
CAPTION_LINES = 3
CAPTION_COLUMNS = 110
PAPER, INK = (250, 250, 250), (40, 40, 40)

Levels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One picture: high (s·h, s·w, 3) and low (h, w, 3), and what was done to it."""

    title: str
    caption: str
    high: Levels
    low: Levels


def contact_sheet(rows: Sequence[Row]) -> Image.Image:
    """A row for each picture: the whole of it, and its middle high and low, pixels enlarged alike.

    |  whole picture  |  middle of the high one  |  the same of the low one, each pixel a square  |
    """
    height = CELL + (1 + CAPTION_LINES) * LINE + 2 * GAP
    sheet = Image.new("RGB", (3 * CELL + 4 * GAP, max(1, len(rows)) * height), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(TEXT_PX)
    for number, row in enumerate(rows):
        top = number * height + GAP
        for column, picture in enumerate(_cells(row)):
            sheet.paste(picture, (GAP + column * (CELL + GAP), top))
        lines = [row.title, *wrap(row.caption, CAPTION_COLUMNS)[:CAPTION_LINES]]
        for place, text in enumerate(lines):
            draw.text((GAP, top + CELL + 4 + place * LINE), text, fill=INK, font=font)
    return sheet


def _cells(row: Row) -> list[Image.Image]:
    scale = row.high.shape[0] // row.low.shape[0]
    side = max(1, CELL // 2 // scale)  # of the middle, in low pixels: high ones are shown doubled
    height, width = (min(side, length) for length in row.low.shape[:2])
    top, left = (row.low.shape[0] - height) // 2, (row.low.shape[1] - width) // 2
    low = row.low[top : top + height, left : left + width]
    top, left, height, width = (number * scale for number in (top, left, height, width))
    high = row.high[top : top + height, left : left + width]
    whole = Image.fromarray(row.high)
    whole.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    shown = (2 * width, 2 * height)
    enlarged = [
        Image.fromarray(part).resize(shown, Image.Resampling.NEAREST) for part in (high, low)
    ]
    return [whole, *enlarged]
