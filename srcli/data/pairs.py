"""Training pairs, without end: cut from pictures, degraded on the device or read from a folder."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from srcli.data.crops import Crop, Order, draw_crop, mixed_seed
from srcli.data.decode import ReadPicture, read_picture
from srcli.degradations.ranges import Degradation
from srcli.degradations.recipe import degrade
from srcli.degradations.usm import sharpen
from srcli.errors import ConfigError

GIBIBYTE = 2**30
# Low pixels by which a patch is degraded larger than it is used: a 4:2:0 JPEG has units of 16 px,
# so that the patch meets the grid of its blocks in every position, and no border is left.
MARGIN_PX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Pairs on the device: low (N, 3, h, w), high and sharpened (N, 3, s·h, s·w), in [0, 1].

    `sharpened` is the high picture itself unless sharpened targets were asked for.
    """

    low: Tensor
    high: Tensor
    sharpened: Tensor


class PairSource(Protocol):
    """Any sample by its position; the same position gives the same pair."""

    @property
    def fingerprint(self) -> str:
        """Changes with whatever changes the samples."""
        ...

    def batch(self, positions: Sequence[int], device: torch.device) -> Batch:
        """The samples at these positions."""
        ...


class PictureCache:
    """Decoded pictures, kept from the first on until the budget is used up, and no other.

    A shuffled walk through more pictures than fit would throw each one out just before its turn
    if the oldest had to go; so those that are in stay in. Threads may share it.
    """

    def __init__(self, read: ReadPicture = read_picture, *, budget: int = 2 * GIBIBYTE) -> None:
        self._read = read
        self._left = budget
        self._kept: dict[Path, Tensor] = {}
        self._lock = threading.Lock()

    def __call__(self, path: Path) -> Tensor:
        """The picture as uint8 (3, H, W); not to be written to."""
        kept = self._kept.get(path)
        if kept is not None:
            return kept
        picture = self._read(path)
        with self._lock:
            if path not in self._kept and picture.nbytes <= self._left:
                self._kept[path] = picture
                self._left -= picture.nbytes
        return picture


class DegradedPairs:
    """Pairs whose low half is made from the high one by a degradation, anew for each sample.

    `patch_px` is the side of a high patch. With `is_sharpened` the low half is made from the
    sharpened high one, as Real-ESRGAN does.
    """

    def __init__(
        self,
        pictures: Sequence[Path],
        degradation: Degradation,
        *,
        scale: int,
        patch_px: int,
        seed: int = 0,
        is_sharpened: bool = False,
        read: ReadPicture | None = None,
    ) -> None:
        self._pictures = tuple(pictures)
        self._degradation = degradation
        self._scale = scale
        self._patch = _low_patch(patch_px, scale)
        self._order = Order(pictures=len(pictures), seed=seed)
        self._is_sharpened = is_sharpened
        self._read = read or PictureCache()

    @property
    def fingerprint(self) -> str:
        """Changes with the pictures, the degradation and the sizes."""
        settings = (self._scale, self._patch, self._is_sharpened, self._order, self._degradation)
        return _fingerprint(settings, self._pictures)

    def batch(self, positions: Sequence[int], device: torch.device) -> Batch:
        """The samples at these positions, degraded on the device."""
        samples = [self._sample(position, device) for position in positions]
        low, high, sharpened = (torch.cat(part) for part in zip(*samples, strict=True))
        return Batch(low=low, high=high, sharpened=sharpened if self._is_sharpened else high)

    def _sample(self, position: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        generator = self._order.generator(position)
        picture = self._read(self._pictures[self._order.picture(position)])
        crop, inner = self._draw(picture.shape[-2], picture.shape[-1], generator)
        high = _to_device(crop.of(picture), device)
        sharpened = sharpen(high) if self._is_sharpened else high
        low = degrade(sharpened, [self._degradation.draw(self._scale, generator)])
        high, sharpened = inner.of(high[0], self._scale), inner.of(sharpened[0], self._scale)
        return inner.of(low[0])[None], high[None], sharpened[None]

    def _draw(self, height: int, width: int, generator: torch.Generator) -> tuple[Crop, Crop]:
        """What is degraded, in high pixels, and the patch in it, in low pixels."""
        spare = [side // self._scale - self._patch for side in (height, width)]
        room = [min(max(pixels, 0), MARGIN_PX) for pixels in spare]
        sides = (self._patch + room[0]) * self._scale, (self._patch + room[1]) * self._scale
        crop = draw_crop((height, width), sides, generator)
        down, right = reversed(room) if crop.is_transposed else room
        top = int(torch.randint(down + 1, (), generator=generator))
        left = int(torch.randint(right + 1, (), generator=generator))
        return crop, Crop(top=top, left=left, height=self._patch, width=self._patch)


class PairedPictures:
    """Pairs of files: a low picture and a high one of `scale` times its sides."""

    def __init__(
        self,
        pairs: Sequence[tuple[Path, Path]],
        *,
        scale: int,
        patch_px: int,
        seed: int = 0,
        is_sharpened: bool = False,
        read: ReadPicture | None = None,
    ) -> None:
        self._pairs = tuple(pairs)
        self._scale = scale
        self._patch = _low_patch(patch_px, scale)
        self._order = Order(pictures=len(pairs), seed=seed)
        self._is_sharpened = is_sharpened
        self._read = read or PictureCache()

    @property
    def fingerprint(self) -> str:
        """Changes with the pictures and the sizes."""
        settings = (self._scale, self._patch, self._is_sharpened, self._order)
        return _fingerprint(settings, [path for pair in self._pairs for path in pair])

    def batch(self, positions: Sequence[int], device: torch.device) -> Batch:
        """The samples at these positions."""
        samples = [self._sample(position, device) for position in positions]
        low, high = (torch.cat(part) for part in zip(*samples, strict=True))
        return Batch(low=low, high=high, sharpened=sharpen(high) if self._is_sharpened else high)

    def _sample(self, position: int, device: torch.device) -> tuple[Tensor, Tensor]:
        paths = self._pairs[self._order.picture(position)]
        low, high = (self._read(path) for path in paths)
        size = (low.shape[-2], low.shape[-1])
        crop = draw_crop(size, (self._patch, self._patch), self._order.generator(position))
        return _to_device(crop.of(low), device), _to_device(crop.of(high, self._scale), device)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """Where a stream stands, for a checkpoint: plain values."""

    position: int  # samples given out, by all processes together
    fingerprint: str


class PairStream:
    """Batches without end, prepared ahead by threads; the state is one position.

    Process `rank` of `ranks` takes its part of a joint batch of `ranks` times `batch_size`.
    """

    def __init__(
        self,
        source: PairSource,
        *,
        batch_size: int,
        device: torch.device,
        workers: int = 0,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self._source = source
        self._device = device
        self._workers = workers
        self._stride = batch_size * ranks
        self._mine = range(batch_size * rank, batch_size * (rank + 1))
        self._position = 0

    def state(self) -> StreamState:
        """What was given out so far; what is only prepared does not count."""
        return StreamState(position=self._position, fingerprint=self._source.fingerprint)

    def restore(self, state: StreamState) -> None:
        """Go on where `state` was taken, before iterating; ConfigError if the data changed."""
        if state.fingerprint != self._source.fingerprint:
            raise ConfigError(
                "the pictures or their settings are not those the run was started with",
                hint="restore them, or start a new run from the last weights",
            )
        self._position = state.position

    def __iter__(self) -> Iterator[Batch]:
        if not self._workers:
            while True:
                self._position += self._stride
                yield self._batch(self._position - self._stride)
        pool = ThreadPoolExecutor(self._workers)
        try:
            yield from self._ahead(pool)
        finally:
            pool.shutdown(cancel_futures=True)

    def _ahead(self, pool: ThreadPoolExecutor) -> Iterator[Batch]:
        start = self._position
        waiting: deque[Future[Batch]] = deque()
        while True:
            while len(waiting) <= self._workers:
                waiting.append(pool.submit(self._batch, start))
                start += self._stride
            batch = waiting.popleft().result()
            self._position += self._stride
            yield batch

    def _batch(self, start: int) -> Batch:
        return self._source.batch([start + place for place in self._mine], self._device)


def _low_patch(patch_px: int, scale: int) -> int:
    if patch_px < scale or patch_px % scale:
        raise ConfigError(
            f"a patch of {patch_px} px is no multiple of the scale {scale}",
            hint=f"use {max(1, round(patch_px / scale)) * scale} px",
        )
    return patch_px // scale


def _to_device(picture: Tensor, device: torch.device) -> Tensor:
    """uint8 (3, H, W) to [0, 1] (1, 3, H, W); the bytes travel, not the floats."""
    # CUDA has taken ordinary memory over by the time it returns. MPS has not, and would read it
    # after it was given to something else (pytorch/pytorch#189690).
    does_not_wait = device.type == "cuda"
    there = picture.contiguous().to(device, non_blocking=does_not_wait)
    return there.unsqueeze(0).float() / 255


def _fingerprint(settings: object, paths: Sequence[Path]) -> str:
    return f"{mixed_seed(repr(settings), *(path.name for path in paths)):016x}"
