"""A few pictures of one scene in memory, brought to one size where they are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from srcli.errors import ImageError, UsageError
from srcli.io.pictures import open_picture
from srcli.reports.difference import Levels, enlarged
from srcli.reports.sheet import Box
from srcli.services.levels import page_levels

SHAPE_TOLERANCE = 0.02  # of the quotient of the sides: 100 x 75 and 401 x 300 are one shape


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSet:
    """Pictures of one shape, in their own sizes."""

    labels: tuple[str, ...]
    levels: tuple[Levels, ...]
    notes: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the largest."""
        return _largest(self.levels)

    def at_one_size(self) -> tuple[Levels, ...]:
        """All as large as the largest, by nearest."""
        return tuple(enlarged(levels, *self.size) for levels in self.levels)

    def part(self, box: Box) -> PictureSet:
        check_box(box, self.size)
        return replace(self, levels=tuple(box.cut(levels) for levels in self.at_one_size()))

    def shrunk(self, limit_megapixels: float) -> PictureSet:
        """Within the limit, by whole factors, so that pixels stay a mean of pixels."""
        height, width = self.size
        factor = math.ceil(math.sqrt(height * width / (limit_megapixels * 1e6)))
        if factor <= 1:
            return self
        note = (
            f"shown at 1/{factor} of {width} x {height} px, which is more than "
            f"{limit_megapixels:g} megapixels; figures are of the whole size. "
            "--part X,Y,W,H shows a part as it is, --limit raises the limit."
        )
        size = math.ceil(width / factor), math.ceil(height / factor)
        levels = tuple(
            each
            if each.shape[1] <= size[0]
            else np.asarray(Image.fromarray(each).resize(size, Image.Resampling.BOX))
            for each in self.levels
        )
        return replace(self, levels=levels, notes=(*self.notes, note))


def read_set(paths: Sequence[Path], labels: Sequence[str]) -> PictureSet:
    """Decode the first page of each. Raises ImageError if one cannot be, or shapes differ."""
    levels: list[Levels] = []
    notes: list[str] = []
    for path, label in zip(paths, labels, strict=True):
        picture = open_picture(path)
        page = picture.page(0)
        if picture.pages > 1:
            notes.append(f"{label}: the first of {picture.pages} pages")
        if page.layout.has_alpha:
            notes.append(f"{label}: transparency is left out")
        levels.append(page_levels(page))
    notes += _size_notes(paths, labels, levels)
    return PictureSet(labels=tuple(labels), levels=tuple(levels), notes=tuple(notes))


def _size_notes(
    paths: Sequence[Path], labels: Sequence[str], levels: Sequence[Levels]
) -> list[str]:
    """How each smaller one is shown. Raises ImageError where the shapes differ."""
    height, width = _largest(levels)
    notes = []
    for path, label, each in zip(paths, labels, levels, strict=True):
        rows, columns = each.shape[:2]
        down, across = height / rows, width / columns
        if abs(across / down - 1) > SHAPE_TOLERANCE:
            raise ImageError(
                f"{path} has {columns} x {rows} px and another has {width} x {height}: "
                "they are not of one shape",
                hint="compare pictures of the same part of the same scene",
            )
        if (rows, columns) == (height, width):
            continue
        note = f"{label} has {columns} x {rows} px and is shown ×{across:.4g} by nearest"
        is_whole = height % rows == 0 and width % columns == 0
        notes.append(note if is_whole else f"{note}: no whole factor, so pixels do not line up")
    return notes


def check_box(box: Box, size: tuple[int, int]) -> None:
    """Raise UsageError where a box is not inside (height, width)."""
    height, width = size
    is_inside = 0 <= box.left <= width - box.width and 0 <= box.top <= height - box.height
    if not is_inside or box.width < 1 or box.height < 1:
        raise UsageError(
            f"{box.left},{box.top},{box.width},{box.height} is no part of {width} x {height} px",
            hint="say X,Y,WIDTH,HEIGHT in pixels of the largest picture",
        )


def _largest(levels: Sequence[Levels]) -> tuple[int, int]:
    height, width = max((each.shape[:2] for each in levels), key=lambda size: size[0] * size[1])
    return height, width
