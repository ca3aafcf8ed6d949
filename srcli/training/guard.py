"""What is done about steps whose numbers are not finite: ever stronger measures, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What becomes of a step."""

    TAKEN = "taken"
    SKIPPED = "skipped"  # left out: the weights stay as they were
    RESCALED = "rescaled"  # left out: fp16 overflowed, its scaler takes a smaller scale
    LOWERED = "lowered"  # left out, and the learning rate is lower from now on
    ROLLED_BACK = "rolled back"  # the run is to go back to its last good state
    STOPPED = "stopped"  # nothing helped


# What each full measure of patience ends in; after the last the run stops.
MEASURES = (Verdict.LOWERED, Verdict.ROLLED_BACK, Verdict.STOPPED)


@dataclass(slots=True)
class Guard:
    """Judges steps: a bad one is skipped; `patience` + 1 of them in a row take the next measure.

    The measures are to lower the rate, to roll back, and to stop. After `recovery_steps` good
    steps in a row the measures start over; a lowered rate stays.
    """

    patience: int = 3
    lower_by: float = 0.5
    recovery_steps: int = 200
    rate_factor: float = 1.0
    bad_in_row: int = 0
    good_in_row: int = 0
    measures_taken: int = 0
    skipped: int = 0  # in the whole run

    def judge(self, *, is_finite: bool) -> Verdict:
        """Take notice of one step and say what becomes of it."""
        if is_finite:
            self.bad_in_row = 0
            self.good_in_row += 1
            if self.good_in_row >= self.recovery_steps:
                self.measures_taken = 0
            return Verdict.TAKEN
        self.good_in_row = 0
        self.bad_in_row += 1
        self.skipped += 1
        if self.bad_in_row <= self.patience:
            return Verdict.SKIPPED
        self.bad_in_row = 0
        measure = MEASURES[self.measures_taken]
        self.measures_taken = min(self.measures_taken + 1, len(MEASURES) - 1)
        if measure is Verdict.LOWERED:
            self.rate_factor *= self.lower_by
        return measure

    def state_dict(self) -> dict[str, float]:
        """What a resumed run needs."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from a saved guard; its settings stay our own."""
        self.rate_factor = float(state["rate_factor"])
        self.bad_in_row = int(state["bad_in_row"])
        self.good_in_row = int(state["good_in_row"])
        self.measures_taken = int(state["measures_taken"])
        self.skipped = int(state["skipped"])
