"""A sheet for a paper or a message: the same crops of several pictures, side by side, labelled.

|  first picture, boxes 1 2 3  |  crop 1 of A  |  crop 1 of B  |
|                              |  crop 2 of A  |  crop 2 of B  |
|                              |  crop 3 of A  |  crop 3 of B  |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from srcli.reports.difference import Levels

CELL = 300  # px, side of a crop on the sheet
GAP = 14
TEXT_PX = 17
HEAD = TEXT_PX + 9  # px, a label
PAPER, INK = (255, 255, 255), (30, 30, 32)
COLOURS = ((214, 40, 40), (30, 110, 200), (20, 140, 80), (190, 110, 0), (130, 60, 170))
CROP_SHARE = 6  # an automatic crop is this part of the shorter side
SMALLEST_CROP, LARGEST_CROP = 32, 160  # px


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels of the largest picture."""

    left: int
    top: int
    width: int
    height: int

    def cut(self, picture: Levels) -> Levels:
        """The part of (H, W, 3) inside the box."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


def comparison_sheet(pictures: Sequence[tuple[str, Levels]], boxes: Sequence[Box]) -> Image.Image:
    """Labelled pictures (H, W, 3) of one size; a row for each box, a column for each picture."""
    crops = _crops(pictures, boxes)
    last = pictures[-1][1]
    is_wide = last.shape[1] > last.shape[0]
    room = (crops.width, crops.width) if is_wide else (2 * CELL, crops.height)
    overview = _overview(last, boxes, *room)
    if is_wide:
        size = crops.width, overview.height + GAP + crops.height
        place = 0, overview.height + GAP
    else:
        size = overview.width + GAP + crops.width, crops.height
        place = overview.width + GAP, 0
    sheet = Image.new("RGB", (size[0] + 2 * GAP, size[1] + 2 * GAP), PAPER)
    top = GAP if is_wide else GAP + HEAD
    sheet.paste(overview, (GAP, top))
    sheet.paste(crops, (GAP + place[0], GAP + place[1]))
    return sheet


def _crops(pictures: Sequence[tuple[str, Levels]], boxes: Sequence[Box]) -> Image.Image:
    """A column for each picture with its label on top, a row for each box."""
    rows = [[_cell(box.cut(levels)) for _, levels in pictures] for box in boxes]
    width = len(pictures) * (CELL + GAP) - GAP
    height = HEAD + sum(row[0].height + GAP for row in rows) - GAP
    image = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(TEXT_PX)
    for column, (label, _) in enumerate(pictures):
        left, top = column * (CELL + GAP), HEAD
        draw.text((left, 0), _shortened(label, font), fill=INK, font=font)
        for number, row in enumerate(rows):
            cell = row[column]
            image.paste(cell, (left, top))
            frame = (left, top, left + cell.width - 1, top + cell.height - 1)
            draw.rectangle(frame, outline=_colour(number), width=3)
            top += cell.height + GAP
    return image


def interesting_boxes(pictures: Sequence[Levels], count: int = 3) -> tuple[Box, ...]:
    """Where pictures (H, W, 3) of one size differ most in detail: at most `count` squares apart.

    Detail is the variance of the luma inside the square; what counts is the largest difference of
    its square root between any two of the pictures.
    """
    height, width = pictures[0].shape[:2]
    side = min(max(min(height, width) // CROP_SHARE, SMALLEST_CROP), LARGEST_CROP, height, width)
    spreads = [_spread(picture, side) for picture in pictures]
    score = np.max([np.abs(a - b) for a, b in combinations(spreads, 2)], axis=0)
    boxes = []
    for _ in range(count):
        top, left = divmod(int(score.argmax()), score.shape[1])
        if score[top, left] < 0:
            break
        boxes.append(Box(left, top, side, side))
        score[max(0, top - side) : top + side, max(0, left - side) : left + side] = -1
    return tuple(boxes)


def _spread(picture: Levels, side: int) -> npt.NDArray[np.float64]:
    """Standard deviation of the luma in every square: (H - side + 1, W - side + 1)."""
    luma = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    mean, square = (_window_mean(values, side) for values in (luma, luma**2))
    deviation: npt.NDArray[np.float64] = np.sqrt(np.maximum(square - mean**2, 0))
    return deviation


def _window_mean(values: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float64]:
    sums = np.pad(values.cumsum(0, dtype=np.float64).cumsum(1), ((1, 0), (1, 0)))
    total: npt.NDArray[np.float64] = (
        sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    )
    return total / side**2


def _cell(crop: Levels) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(crop))
    height = max(1, round(image.height * CELL / image.width))
    kind = Image.Resampling.NEAREST if image.width <= CELL else Image.Resampling.BOX
    return image.resize((CELL, height), kind)


def _overview(picture: Levels, boxes: Sequence[Box], width: int, height: int) -> Image.Image:
    whole = Image.fromarray(picture)
    scale = min(height / whole.height, width / whole.width)
    size = max(1, round(whole.width * scale)), max(1, round(whole.height * scale))
    overview = whole.resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(overview)
    for row, box in enumerate(boxes):
        corners = (box.left, box.top, box.left + box.width, box.top + box.height)
        draw.rectangle([round(edge * scale) for edge in corners], outline=_colour(row), width=3)
    return overview


def _colour(row: int) -> tuple[int, int, int]:
    return COLOURS[row % len(COLOURS)]


def _shortened(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The label, or as much of its end as a column is wide."""

    def candidates() -> Iterator[str]:
        yield label
        yield from (f"…{label[start:]}" for start in range(1, len(label)))

    return next((text for text in candidates() if font.getlength(text) <= CELL), "…")
