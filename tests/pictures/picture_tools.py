"""A stand-in for the network: every pixel repeated, through the same rows and spools."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from srcli.io.encode import WriteOptions, WrittenPicture, write_picture
from srcli.io.pictures import Picture, open_picture
from srcli.io.spool import Spool, SpoolDtype

BAND = 37  # rows at a time: odd, so that windows fall across every boundary

Network = Callable[[np.ndarray], np.ndarray]


def enlarge(
    source: Path | bytes | Picture,
    target: Path | io.BytesIO,
    *,
    scale: int = 1,
    network: Network = lambda rows: rows,
    alpha_network: Network = lambda rows: rows,
    memory_limit: int = 1 << 30,
    dtype: SpoolDtype = "float32",
    **options: Any,
) -> WrittenPicture:
    """Send every page through `network` and a pixel repetition, by bands, and write the result."""
    picture = source if isinstance(source, Picture) else open_picture(source)
    size = (picture.height * scale, picture.width * scale)
    with ExitStack() as stack:
        pages = []
        for index in range(picture.pages):
            page = picture.page(index)
            shape = (page.height * scale, page.width * scale)
            colour = stack.enter_context(_spool(shape, dtype, memory_limit))
            alpha = stack.enter_context(_spool(shape, dtype, memory_limit))
            for start in range(0, page.height, BAND):
                stop = min(start + BAND, page.height)
                rows = page.read_rows(start, stop)
                colour.write_rows(start * scale, _repeat(network(rows), scale))
                gray = np.repeat(page.read_alpha_rows(start, stop)[:, :, None], 3, axis=2)
                alpha.write_rows(start * scale, _repeat(alpha_network(gray), scale))
            pages.append((colour, alpha))
        options = {"size": size, **options}
        return write_picture(picture, pages, target, WriteOptions(**options))


def _spool(shape: tuple[int, int], dtype: SpoolDtype, memory_limit: int) -> Spool:
    return Spool.create(*shape, 3, dtype, memory_limit=memory_limit)


def encoded(pixels: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes that Pillow makes of an array or image."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(*shape: int, dtype: type = np.uint8, top: int | None = None) -> np.ndarray:
    """Random samples over the whole range, or below `top`; the same every time."""
    most = np.iinfo(dtype).max + 1 if top is None else top
    return np.random.default_rng(0).integers(0, most, shape, dtype=dtype)


def smooth(height: int, width: int) -> np.ndarray:
    """A gentle (height, width, 3) uint8 gradient that lossy codecs keep."""
    down, across = np.mgrid[0:height, 0:width]
    return np.stack(
        [down * 255 // height, across * 255 // width, (down + across) * 255 // (height + width)], -1
    ).astype(np.uint8)


def _repeat(rows: np.ndarray, scale: int) -> np.ndarray:
    return rows.repeat(scale, axis=0).repeat(scale, axis=1)
