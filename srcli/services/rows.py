"""Pictures and spools of `io` as the row sources and sinks of `inference`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from srcli.io.pictures import Page
from srcli.io.spool import Spool
from srcli.io.vips import FULL_SCALE


@dataclass(slots=True)
class _PageSource:
    page: Page

    @property
    def height(self) -> int:
        return self.page.height

    @property
    def width(self) -> int:
        return self.page.width

    def restart(self) -> None:
        """Nothing to do: a page read from an earlier row goes back by itself."""


class ColourSource(_PageSource):
    """The colours of a page as the network sees them."""

    def read(self, start: int, stop: int) -> Tensor:
        rows = torch.from_numpy(np.ascontiguousarray(self.page.read_rows(start, stop)))
        return rows.permute(2, 0, 1)  # (3, rows, W)


class AlphaSource(_PageSource):
    """The transparency of a page as a gray picture."""

    def read(self, start: int, stop: int) -> Tensor:
        rows = torch.from_numpy(np.ascontiguousarray(self.page.read_alpha_rows(start, stop)))
        return rows.expand(3, -1, -1)  # (3, rows, W)


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
