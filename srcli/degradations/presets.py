"""The degradations that have a name."""

from __future__ import annotations

from srcli.degradations.names import Preset
from srcli.degradations.ranges import (
    BlurRange,
    Degradation,
    EitherOrder,
    JpegRange,
    NoiseRange,
    ResizeRange,
    SincRange,
    ToLow,
)
from srcli.degradations.resize import Filter

ANY = (Filter.AREA, Filter.BILINEAR, Filter.BICUBIC)


DEGRADATIONS = {
    Preset.BICUBIC: Degradation(ranges=(ToLow(),)),
    Preset.AREA: Degradation(ranges=(ToLow(filters=(Filter.AREA,)),)),
    Preset.LANCZOS: Degradation(ranges=(ToLow(filters=(Filter.LANCZOS3,)),)),
    # First order, for decent photographs: some blur, shrunk, some noise, a good JPEG.
    Preset.LIGHT: Degradation(
        ranges=(
            BlurRange(probability=0.7, sizes=(7, 13), sigma=(0.2, 1.2), sinc=0.0),
            ToLow(filters=ANY),
            NoiseRange(probability=0.5, sigma=(1.0, 8.0), strength=(0.05, 0.6)),
            JpegRange(probability=0.7, quality=(60, 95)),
        )
    ),
    # Second order: arXiv:2107.10833, section 3, with the ranges of the released training options.
    Preset.REALESRGAN: Degradation(
        ranges=(
            BlurRange(),
            ResizeRange(),
            NoiseRange(),
            JpegRange(),
            BlurRange(probability=0.8, sigma=(0.2, 1.5)),
            ResizeRange(up_down_keep=(0.3, 0.4, 0.3), factor=(0.3, 1.2), of_low=True),
            NoiseRange(sigma=(1.0, 25.0), strength=(0.05, 2.5)),
            EitherOrder(
                one=(ToLow(filters=ANY, antialias=False), SincRange()),
                other=(JpegRange(),),
            ),
        )
    ),
}
