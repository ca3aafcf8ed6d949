"""A picture file opened: what it is, and its pages as rows a network can read.

path or bytes -> open_picture -> Picture -> page(i) -> read_rows: float32 sRGB in [0, 1]
                                                    -> read_alpha_rows
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from math import isfinite
from pathlib import Path
from typing import BinaryIO
from weakref import proxy

import numpy as np
import numpy.typing as npt

from srcli.errors import ImageError
from srcli.io.alpha import AlphaKind, bleed
from srcli.io.decode import decode
from srcli.io.decoded import PIXEL_LIMIT, Decoded
from srcli.io.metadata import Metadata
from srcli.io.pixels import Layout, describe, normalise
from srcli.io.profiles import IccMode
from srcli.io.reasons import no_numbers, reading
from srcli.io.rows import RowReader
from srcli.io.spool import SpoolDtype
from srcli.io.vips import VipsImage, in_tiles

_HELD_BYTES = 64 << 20  # of all pages together, decoded: so much is held, not decoded again

FloatRows = npt.NDArray[np.float32]


def open_picture(
    source: Path | bytes | BinaryIO,
    *,
    name: str | None = None,
    icc: IccMode = IccMode.KEEP,
    pixel_limit: int = PIXEL_LIMIT,
) -> Picture:
    """Open a picture by its content, whatever its name says; only the header is read now.

    `name` is what errors call it. `icc` is what becomes of the profile when the picture is
    written, unless that is told otherwise. A stream is read to its end and kept as bytes.

    Raises ImageError where the source is missing, empty, no picture, or claims more than
    `pixel_limit` pixels; damage further on is an ImageError from the rows.
    """
    if isinstance(source, Path):
        return Picture(decode(source, name or str(source), pixel_limit=pixel_limit), icc)
    data = source if isinstance(source, bytes) else source.read()
    return Picture(decode(data, name or "the input", pixel_limit=pixel_limit), icc)


class Picture:
    """An opened picture. Sizes are upright: after EXIF orientation."""

    def __init__(self, decoded: Decoded, icc: IccMode = IccMode.KEEP) -> None:
        self._decoded = decoded
        self.icc = icc
        self.name = decoded.name
        self.format = decoded.format
        self.metadata: Metadata = decoded.metadata
        self.pages = decoded.pages
        self.decoder_bytes = decoded.decoder_bytes  # where pages cannot be read by rows
        self._opened: dict[int, Page] = {}
        first = self.page(0)
        self.width, self.height = first.width, first.height
        self.dtype: SpoolDtype = first.layout.dtype
        self.is_gray = first.layout.is_gray
        self.is_lossless = decoded.is_lossless
        self.notes = (*decoded.notes, *first.layout.notes)

    @property
    def is_animated(self) -> bool:
        """Whether the pages are frames to be played, not pages to be turned."""
        return self.metadata.animation is not None and self.pages > 1

    @cached_property
    def alpha(self) -> AlphaKind:
        """Whether there is alpha and whether it varies; reads all of it, once."""
        kinds = {self.page(index).alpha for index in range(self.pages)}
        return kinds.pop() if len(kinds) == 1 else AlphaKind.VARYING

    @property
    def is_opaque(self) -> bool:
        """Whether nothing can be seen through it: no alpha, or alpha 1 everywhere."""
        ranges = (self.page(index).alpha_range for index in range(self.pages))
        return all(reach is None or reach[0] == 1 for reach in ranges)

    def page(self, index: int) -> Page:
        """One frame or page, counted from 0; the same object every time."""
        if not 0 <= index < self.pages:
            raise IndexError(f"page {index} of {self.pages}")
        if index not in self._opened:
            budget = 0 if self._decoded.is_held else _HELD_BYTES // self.pages
            # Without `self` in it: in a circle, decoder and pixels stay until garbage is collected.
            open_page = partial(self._decoded.open_page, index)
            self._opened[index] = Page(open_page, self.name, held_bytes=budget)
        return self._opened[index]


class Page:
    """One raster of a picture, read by rows any number of times."""

    def __init__(
        self, open_image: Callable[[], VipsImage], name: str, *, held_bytes: int = 0
    ) -> None:
        self.name = name
        self._open_image = open_image
        self._held: VipsImage | None = None
        self._is_small = False
        image = self._open()  # only the header is read
        self.width, self.height = int(image.width), int(image.height)
        self.layout: Layout = describe(image)
        self._is_small = self.width * self.height * image.bands * 4 <= held_bytes

    @cached_property
    def alpha_range(self) -> tuple[float, float] | None:
        """The least and the greatest alpha in [0, 1], None without alpha; reads all of it, once."""
        samples = self.alpha_image()
        if samples is None:
            return None
        with reading(self.name, self._read_whole):
            statistics = samples.stats()
            least, most, total = (float(statistics(column, 0)[0]) for column in range(3))
        if not isfinite(total):  # the extremes pass over what is no number
            raise no_numbers(self.name)
        return least, most

    @property
    def alpha(self) -> AlphaKind:
        """Whether there is alpha and whether it varies."""
        if self.alpha_range is None:
            return AlphaKind.NONE
        least, most = self.alpha_range
        return AlphaKind.CONSTANT if least == most else AlphaKind.VARYING

    def rows(self) -> RowReader:
        """A fresh reader of what the network sees: 1 or 3 channels, `sample_scale` means 1."""
        return RowReader(self.network_image, self.name)

    def read_rows(self, start: int, stop: int) -> FloatRows:
        """Rows [start, stop) for the network: (stop - start, W, 3), sRGB in [0, 1].

        Gray is repeated in three channels, colours outside sRGB are clipped, and under fully
        transparent pixels lie the colours beside them. Windows may overlap; ask from top to
        bottom. Raises ImageError where the file is damaged.
        """
        floats = _to_floats(self._colour_reader.read(start, stop), self.sample_scale)
        return np.repeat(floats, 3, axis=2) if self.layout.is_gray else floats

    def read_alpha_rows(self, start: int, stop: int) -> FloatRows:
        """Rows [start, stop) of alpha: (stop - start, W), in [0, 1]; ones where there is none."""
        if not self.layout.has_alpha:
            return np.ones((stop - start, self.width), np.float32)
        return _to_floats(self._alpha_reader.read(start, stop), 1.0)[:, :, 0]

    def rewind(self) -> None:
        """Make the next `read_rows` start a fresh decoder."""
        for reader in ("_colour_reader", "_alpha_reader"):
            self.__dict__.pop(reader, None)

    @property
    def sample_scale(self) -> float:
        """The value in `network_image` that means 1."""
        return 1.0 if self.layout.is_wide else self.layout.full_scale

    def network_image(self) -> VipsImage:
        """What the network sees, lazily: native samples where they are sRGB, else floats."""
        image = self._open()
        colour = self._clipped(image) if self.layout.is_wide else self.layout.colour(image)
        alpha = self.layout.alpha(image)
        if alpha is None or self._is_never_clear:
            return colour
        return in_tiles(bleed(colour, alpha))

    def coded_image(self) -> VipsImage:
        """What the network sees as floats in [0, 1], lazily, 1 or 3 channels."""
        return (self.network_image().cast("float") / self.sample_scale).cast("float")

    def residual_image(self) -> VipsImage | None:
        """What clipping took from the colours, sRGB-coded; None where it can take nothing."""
        if not self.layout.is_wide:
            return None
        image = self._open()
        coded = self.layout.coded(image)
        residual = coded - _clip(coded)
        alpha = self.layout.alpha(image)
        return residual if alpha is None else (alpha > 0).ifthenelse(residual, 0)

    def alpha_image(self) -> VipsImage | None:
        """Alpha as floats in [0, 1], lazily; None where there is none."""
        return self.layout.alpha(self._open())

    def _open(self) -> VipsImage:
        """A fresh image of normalised samples; a small page is decoded once and held."""
        if self._held is not None:
            return self._held
        with reading(self.name, self._read_whole):
            image = normalise(self._open_image(), self.name)
            if self._is_small:
                image = self._held = image.copy_memory()
        return image

    def _read_whole(self) -> None:
        self._open_image().avg()

    @property
    def _is_never_clear(self) -> bool:
        return self.alpha_range is None or self.alpha_range[0] > 0

    def _clipped(self, image: VipsImage) -> VipsImage:
        coded = self.layout.coded(image)
        if self.layout.dtype != "float32":
            return _clip(coded)
        # No colour is near an infinite sample: it becomes what is no number, as such a sample stays
        # one, and whoever reads the rows refuses both.
        return _clip(coded) + coded * 0

    @cached_property
    def _colour_reader(self) -> RowReader:
        page = proxy(self)  # which holds the reader: no circle, as in Picture.page
        return RowReader(lambda: page.network_image(), self.name)

    @cached_property
    def _alpha_reader(self) -> RowReader:
        page = proxy(self)
        return RowReader(lambda: page._open_alpha(), self.name)

    def _open_alpha(self) -> VipsImage:
        image = self.alpha_image()
        if image is None:
            raise ImageError(f"{self.name} has no alpha", hint="ask `page.alpha` first")
        return image


def _clip(image: VipsImage) -> VipsImage:
    return image.clamp(min=0, max=1)


def _to_floats(rows: npt.NDArray[np.generic], scale: float) -> FloatRows:
    floats = rows.astype(np.float32)
    if scale != 1:
        floats /= np.float32(scale)
    return floats
