"""A lazy image read from top to bottom, in windows that may overlap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from srcli.io.reasons import no_numbers, reading
from srcli.io.vips import NUMPY_DTYPE, Pixels, VipsImage, VipsRegion

# Each step on the way from the file has its own copy of the area that is asked for, in floats where
# colours are converted. So much is asked for at a time.
_AREA_PX = 1 << 14


class RowReader:
    """Rows of an image that libvips decodes as it goes, holding no more than one window.

    |----- window read before -----|
                   |-- shared ------|------ decoded now -----|     shared rows are kept, not redone

    A window that starts above the one before starts the decoder again from the top: right, but
    slow. So ask from top to bottom.
    """

    def __init__(self, open_image: Callable[[], VipsImage], name: str) -> None:
        self._open_image = open_image
        self._name = name
        self._start = 0
        self._window: Pixels
        self._restart()

    def read(self, start: int, stop: int) -> Pixels:
        """Rows [start, stop) in the image's own samples: (stop - start, W, C), not to be written.

        Raises ImageError where the file turns out to be damaged, or holds what is no number.
        """
        if not 0 <= start < stop <= self.height:
            raise ValueError(f"rows {start} to {stop} of {self.height}")
        if start < self._start:
            self._restart()
        kept = self._window[max(start - self._start, 0) :]
        ready = max(start, self._start + len(self._window))
        if stop > ready:
            fresh = self._fetch(ready, stop)
            kept = np.concatenate([kept, fresh]) if len(kept) else fresh
        self._window, self._start = kept, start
        asked: Pixels = kept[: stop - start]
        return asked

    def _restart(self) -> None:
        with reading(self._name, self._read_whole):
            image = self._open_image()
            self._region = VipsRegion.new(image)
        # A region of pyvips does not keep alive what its image reads: samples in memory that came
        # from Pillow or from an array, or the bytes of a file.
        self._image = image
        self.height, self.width, self.bands = image.height, image.width, image.bands
        self._dtype = np.dtype(NUMPY_DTYPE[image.format])
        self._window = np.empty((0, self.width, self.bands), self._dtype)
        self._start = 0

    def _fetch(self, start: int, stop: int) -> Pixels:
        fresh: Pixels = np.empty((stop - start, self.width, self.bands), self._dtype)
        step = max(_AREA_PX // self.width, 1)
        with reading(self._name, self._read_whole):
            for top in range(start, stop, step):
                count = min(step, stop - top)
                data = self._region.fetch(0, top, self.width, count)
                rows = np.frombuffer(data, self._dtype).reshape(count, self.width, self.bands)
                fresh[top - start : top - start + count] = rows
        if self._dtype.kind == "f" and not np.isfinite(fresh).all():
            raise no_numbers(self._name)
        return fresh

    def _read_whole(self) -> None:
        self._open_image().avg()
