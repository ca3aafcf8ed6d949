"""What a run tells its own folder, beside telling whoever watches: remarks, and the page."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from srcli import __version__
from srcli.errors import DiskFullError, OutputError
from srcli.services.training.log import MetricsLog
from srcli.services.training.observer import Beginning, TrainingObserver
from srcli.services.training.page import RunPage

if TYPE_CHECKING:
    from srcli.reports.run_page import State
    from srcli.services.training.pictures import Pictures
    from srcli.services.training.validation import Scores
    from srcli.services.weights import Event


class Scribe(TrainingObserver):
    """Hands everything on to `inner`, and writes it down once there is a folder to write in."""

    def __init__(self, inner: TrainingObserver) -> None:
        self._inner = inner
        self._log: MetricsLog | None = None
        self._page: RunPage | None = None
        self._early: list[tuple[str, str]] = []  # said before there was a folder
        self._step = 0
        self._has_begun = False  # without a line that says so there is no run to draw

    def attach(self, log: MetricsLog, page: RunPage, *, step: int) -> None:
        """From now on there is a folder."""
        self._log, self._page, self._step = log, page, step
        for kind, text in self._early:
            log.tell(kind, step, {"text": text})
        self._early.clear()

    def weights_event(self, event: Event) -> None:
        self._inner.weights_event(event)

    def surveyed(self, pictures: Pictures) -> None:
        if pictures.problems:
            self._write("note", f"{len(pictures.problems)} picture(s) of the folder were left out")
        self._inner.surveyed(pictures)

    def began(self, beginning: Beginning) -> None:
        if self._log is not None:
            self._log.tell("begin", beginning.first_step, _facts(beginning))
            self._has_begun = True
        self._inner.began(beginning)

    def advanced(self, step: int) -> None:
        self._step = step
        self._inner.advanced(step)

    def logged(self, step: int, numbers: Mapping[str, float]) -> None:
        self._inner.logged(step, numbers)

    def validated(self, step: int, scores: Scores, *, is_best: bool) -> None:
        self._inner.validated(step, scores, is_best=is_best)
        self._draw()

    def note(self, text: str) -> None:
        self._write("note", text)
        self._inner.note(text)

    def warning(self, text: str) -> None:
        self._write("warning", text)
        self._inner.warning(text)

    def went_back(self, step: int) -> None:
        """The run is at an earlier step again."""
        self._step = step

    def ended(self, state: State, seconds: float, *, why: str = "") -> None:
        """The run is over; why, if it failed. A full disk is no reason to fail here again."""
        with suppress(OutputError, DiskFullError):
            if why:
                self._write("warning", why)
            if self._log is not None:
                self._log.tell("end", self._step, {"state": state, "seconds": seconds})
        self._draw()

    def _write(self, kind: str, text: str) -> None:
        if self._log is None:
            self._early.append((kind, text))
        else:
            self._log.tell(kind, self._step, {"text": text})

    def _draw(self) -> None:
        if self._page is None or not self._has_begun:
            return
        try:
            self._page.write()
        except (OutputError, DiskFullError) as error:  # weights matter more than a page
            self._page = None
            self._inner.note(f"no more pages: {error}")


def _facts(beginning: Beginning) -> dict[str, object]:
    settled = beginning.settled
    return {
        "network": beginning.network,
        "base": beginning.base,
        "losses": list(beginning.losses),
        "device": beginning.device,
        "precision": str(settled.precision),
        "steps": settled.steps,
        "batch": settled.batch,
        "patch_px": settled.patch_px,
        "parts": beginning.parts,
        "training": beginning.training_pictures,
        "validation": beginning.validation_pictures,
        "time": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "software": f"srcli {__version__}",
    }
