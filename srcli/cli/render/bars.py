"""Bars of `srcli upscale` on a terminal: a picture in the network each, and the whole folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from time import perf_counter

from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn

from srcli.cli import render
from srcli.cli.render.progress import Bar
from srcli.reports.durations import duration

WHOLE = 1 - 1e-9


class Bars:
    """Shown while started and wanted. Any thread may tell it what happened."""

    def __init__(self, *, is_shown: bool, is_many: bool) -> None:
        self.is_shown = is_shown and render.err.is_terminal
        self._is_many = is_many
        columns = [
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[facts]}"),
        ]
        self._pictures = Bar(
            *columns,
            *(() if is_many else (TimeRemainingColumn(),)),
            console=render.err,
            transient=True,
            disable=not self.is_shown,
        )
        self._bars: dict[str, tuple[TaskID, float]] = {}  # and when it was put up
        self._folder = Forecast()
        self._folder_bar: TaskID | None = None
        self._mutex = Lock()

    def start(self) -> None:
        """Draw from now on."""
        self._pictures.start()

    def stop(self) -> None:
        """Leave the terminal clean."""
        self._pictures.stop()

    def add(self, sources: Sequence[str]) -> None:
        """More pictures to do."""
        with self._mutex:
            self._folder.add(sources)
            self._refresh()

    def measure(self, source: str, megapixels: float) -> None:
        """How large a picture is."""
        with self._mutex:
            self._folder.measure(source, megapixels)
            self._refresh()

    def open(self, source: str) -> None:
        """The network begins with a picture."""
        with self._mutex:
            bar = self._pictures.add_task(render.shown(Path(source).name), total=1.0, facts="")
            self._bars[source] = bar, perf_counter()

    def progress(self, source: str, share: float, tiles: str, megapixels: float) -> None:
        """A share of the network's work on a picture is done."""
        with self._mutex:
            if source not in self._bars:
                return
            bar, started = self._bars[source]
            speed = share * megapixels / max(perf_counter() - started, 1e-6)
            self._pictures.update(bar, completed=share, facts=f"{tiles} {speed:.3f} MP/s")
            if share >= WHOLE and self._is_many:
                self._pictures.remove_task(self._bars.pop(source)[0])

    def end(self, source: str, *, was_worked_on: bool) -> None:
        """Nothing more will happen to a picture."""
        with self._mutex:
            if source in self._bars:
                self._pictures.remove_task(self._bars.pop(source)[0])
            self._folder.end(source, was_worked_on=was_worked_on)
            self._refresh()

    def _refresh(self) -> None:
        if not (self._is_many and self.is_shown):
            return
        if self._folder_bar is None:
            self._folder_bar = self._pictures.add_task("all pictures", total=1.0, facts="")
        self._pictures.update(
            self._folder_bar, completed=self._folder.share, facts=self._folder.facts
        )


class Forecast:
    """How far a folder is, by area: a large picture is more work than a small one.

    Areas are in megapixels of the sources. What was not measured yet counts as the mean.
    """

    def __init__(self) -> None:
        self._areas: dict[str, float | None] = {}
        self._known = 0  # how many areas
        self._known_area = 0.0
        self._ended = 0
        self._ended_area = 0.0
        self._worked_area = 0.0
        self._started = perf_counter()

    def add(self, sources: Sequence[str]) -> None:
        if not self._areas:
            self._started = perf_counter()
        for source in sources:
            self._areas.setdefault(source, None)

    def measure(self, source: str, area: float) -> None:
        if self._areas.get(source) is None:
            self._areas[source] = area
            self._known += 1
            self._known_area += area

    def end(self, source: str, *, was_worked_on: bool) -> None:
        self.measure(source, 0.0)  # if nobody did: what cannot be read has no area
        area = self._areas[source] or 0.0
        self._ended += 1
        self._ended_area += area
        self._worked_area += area if was_worked_on else 0.0

    @property
    def total_area(self) -> float:
        unknown = len(self._areas) - self._known
        return self._known_area + unknown * self._known_area / max(self._known, 1)

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self._ended_area / self.total_area if self.total_area else 0.0

    @property
    def seconds_left(self) -> float | None:
        """From the pace so far; None while there is none."""
        if not self._worked_area:
            return None
        pace = (perf_counter() - self._started) / self._worked_area
        return pace * (self.total_area - self._ended_area)

    @property
    def facts(self) -> str:
        left = self.seconds_left
        time = "" if left is None else f", {duration(left)} left"
        area = f"{self._ended_area:.1f}/{self.total_area:.1f} MP"
        return f"{self._ended}/{len(self._areas)} pictures, {area}{time}"
