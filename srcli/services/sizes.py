"""How large the result shall be: pure arithmetic from what was asked to exact pixels and passes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil, isfinite, log, sqrt

from srcli.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSize:
    """What was asked for: a factor, or a size in pixels. Nothing at all is the network's scale.

    `width` and `height` together are a box that the result fits in; its shape never changes.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    long_side: int | None = None
    short_side: int | None = None
    megapixels: float | None = None

    def __post_init__(self) -> None:
        given = [field.name for field in fields(self) if getattr(self, field.name) is not None]
        if len(given) > 1 and set(given) != {"width", "height"}:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise UsageError(
                f"{names} contradict each other",
                hint="give one of them; only --width and --height go together, as a box to fit in",
            )
        for name in given:
            value = getattr(self, name)
            if not (isfinite(value) and value > 0):
                raise UsageError(
                    f"--{name.replace('_', '-')} {value} is no size", hint="it must be above 0"
                )

    def resolve(self, height: int, width: int, native: int) -> tuple[int, int]:
        """Height and width of the result for an input of this height and width, at least 1 px."""
        factor = self._factor(height, width, native)
        exact_height = self.height if self.width is None and self.height else None
        exact_width = self.width if self.height is None and self.width else None
        return (
            exact_height or max(round(height * factor), 1),
            exact_width or max(round(width * factor), 1),
        )

    def _factor(self, height: int, width: int, native: int) -> float:
        if self.width is not None or self.height is not None:
            across = self.width / width if self.width is not None else None
            down = self.height / height if self.height is not None else None
            return min(factor for factor in (across, down) if factor is not None)
        if self.long_side is not None:
            return self.long_side / max(height, width)
        if self.short_side is not None:
            return self.short_side / min(height, width)
        if self.megapixels is not None:
            return sqrt(self.megapixels * 1e6 / (height * width))
        return float(self.scale if self.scale is not None else native)


def passes_for(factor: float, native: int) -> int:
    """How often a network of scale `native` must run so that nothing is enlarged after it.

    A network that does not enlarge runs once, whatever is asked for.
    """
    if native == 1 or factor <= native:
        return 1
    # The small allowance keeps 16.0000001 from costing a third pass of a x4 network.
    return ceil(log(factor) / log(native) - 1e-6)
