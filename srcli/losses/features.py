"""One pass through VGG19 for all the terms that look at features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srcli.models.vgg import VGG19


@dataclass(frozen=True, slots=True)
class FeaturePair:
    """Features by tap, (N, C, H/2^k, W/2^k): the restored ones with gradient, the target's not."""

    restored: Mapping[str, Tensor]
    target: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class _Seen:
    restored: Tensor
    target: Tensor
    versions: tuple[int, int]  # a picture changed in place is another picture
    pair: FeaturePair

    def is_of(self, restored: Tensor, target: Tensor) -> bool:
        same = self.restored is restored and self.target is target
        return same and self.versions == (restored._version, target._version)


class FeatureExtractor(nn.Module):
    """VGG19 features of a restored picture and its target, (N, 3, H, W) RGB in [0, 1].

    Several terms share one extractor, made for all the taps they need together. Within
    `with extractor.sharing():` a pair of pictures goes through the network once, however many
    terms ask; outside, nothing is kept. `LossStack` opens the block around each batch.
    """

    def __init__(self, state_dict: Mapping[str, Tensor] | None, taps: Iterable[str]) -> None:
        super().__init__()
        self.vgg = VGG19.from_weights(state_dict, taps)
        # A tenth faster than NCHW on a CPU, and what tensor cores read.
        self.vgg.to(memory_format=torch.channels_last)
        self._shares = False
        self._seen: _Seen | None = None

    def forward(self, restored: Tensor, target: Tensor) -> FeaturePair:
        if self._seen is not None and self._seen.is_of(restored, target):
            return self._seen.pair
        with torch.no_grad():
            wanted = self.vgg(target)
        pair = FeaturePair(restored=self.vgg(restored), target=wanted)
        if self._shares:
            versions = (restored._version, target._version)
            self._seen = _Seen(restored, target, versions, pair)
        return pair

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Remember the last pair while the block lasts; forget it, and its memory, at the end."""
        self._shares = True
        try:
            yield
        finally:
            self._shares, self._seen = False, None
