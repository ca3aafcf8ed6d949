"""The names of the degradations, for those who must not wait for torch."""

from __future__ import annotations

from enum import StrEnum


class Preset(StrEnum):
    """A degradation by name; `presets.DEGRADATIONS` has what each does."""

    BICUBIC = "bicubic"  # the protocol of the published tables
    AREA = "area"
    LANCZOS = "lanczos"
    LIGHT = "light"
    REALESRGAN = "realesrgan"
