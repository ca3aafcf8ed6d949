"""Pictures and spools of `io` as the row sources and sinks of `inference`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from srcli.io.pictures import Page
from srcli.io.spool import Spool
from srcli.io.vips import FULL_SCALE


class _PageSource(ABC):
    """A page read by rows as the network asks, or from memory once it was read ahead.

    Read ahead it keeps the samples as the file has them, a quarter of the floats.
    """

    def __init__(self, page: Page, pixel_bytes: int) -> None:
        self.height, self.width = page.height, page.width
        self.nbytes = page.height * page.width * pixel_bytes  # once read ahead
        self._page: Page | None = page
        self._samples: npt.NDArray[np.generic] | None = None

    def read_ahead(self) -> None:
        """Decode all of it now. Raises ImageError where the file is damaged."""
        if self._page is not None:
            self._samples = self._decode(self._page)
            self._page = None  # and what it holds of its own

    def restart(self) -> None:
        """Read from the top again."""
        if self._page is not None:
            self._page.rewind()

    @abstractmethod
    def _decode(self, page: Page) -> npt.NDArray[np.generic]: ...


class ColourSource(_PageSource):
    """The colours of a page as the network sees them."""

    def __init__(self, page: Page) -> None:
        sample_bytes = 4 if page.layout.is_wide else np.dtype(page.layout.dtype).itemsize
        super().__init__(page, sample_bytes * (1 if page.layout.is_gray else 3))
        self._unit = np.float32(page.sample_scale)

    def read(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop): (3, stop - start, W), in [0, 1]."""
        if self._samples is None:
            assert self._page is not None
            rows = np.ascontiguousarray(self._page.read_rows(start, stop))
        else:
            rows = np.divide(self._samples[start:stop], self._unit, dtype=np.float32)
        return torch.from_numpy(rows).permute(2, 0, 1).expand(3, -1, -1)

    def _decode(self, page: Page) -> npt.NDArray[np.generic]:
        return page.rows().read(0, self.height)


class AlphaSource(_PageSource):
    """The transparency of a page as a gray picture."""

    def __init__(self, page: Page) -> None:
        super().__init__(page, 4)

    def read(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop): (3, stop - start, W), in [0, 1]."""
        if self._samples is None:
            assert self._page is not None
            rows: npt.NDArray[np.generic] = self._page.read_alpha_rows(start, stop)
        else:
            rows = self._samples[start:stop]
        return torch.from_numpy(np.ascontiguousarray(rows)).expand(3, -1, -1)

    def _decode(self, page: Page) -> npt.NDArray[np.generic]:
        return page.read_alpha_rows(0, self.height)


@dataclass(slots=True)
class SpoolSource:
    """A spool of the pass before as the input of the next."""

    spool: Spool

    @property
    def height(self) -> int:
        return self.spool.height

    @property
    def width(self) -> int:
        return self.spool.width

    def read(self, start: int, stop: int) -> Tensor:
        rows = self.spool.read_rows(start, stop)
        floats = rows.astype(np.float32) / np.float32(FULL_SCALE[self.spool.dtype])
        return torch.from_numpy(floats).permute(2, 0, 1).expand(3, -1, -1)

    def restart(self) -> None:
        """Nothing to do: a spool is read in any order."""


@dataclass(slots=True)
class SpoolSink:
    """Finished rows into a spool of three channels, or of one: their mean."""

    spool: Spool

    def write(self, start: int, rows: Tensor) -> None:
        if self.spool.channels == 1:
            rows = rows.mean(0, keepdim=True)
        self.spool.write_rows(start, rows.permute(1, 2, 0).contiguous().numpy())

    def restart(self) -> None:
        self.spool.reset()
