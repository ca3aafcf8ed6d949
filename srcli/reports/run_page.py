"""The page of a training run, or of several against each other: curves, samples, what was set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

from srcli.reports.document import document
from srcli.reports.durations import duration

POINTS = 1000  # of a curve on the page; of more, neighbours are averaged
REFRESH_SECONDS = 20  # between two looks of an open page at a run that is under way

State = Literal["running", "done", "stopped", "failed"]
Points = Sequence[tuple[int, float | None]]  # step and value; None where it was no number
Curves = Mapping[str, Mapping[str, Points]]  # kind -> name -> points


@dataclass(frozen=True, slots=True)
class Remark:
    """What was said at a step."""

    step: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """A part of a picture, as data addresses: what stays the same at every step."""

    title: str
    low: str
    before: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What the network made of each row at a step, as data addresses."""

    step: int
    now: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """All that a page shows of a run."""

    name: str
    state: State
    steps: int  # done
    wanted_steps: int
    seconds: float
    curves: Curves  # kinds: validation, loss, weighted, discriminator, step
    start: Mapping[str, float] = field(default_factory=dict)  # scores before the training
    bicubic: Mapping[str, float] = field(default_factory=dict)
    rows: tuple[SampleRow, ...] = ()
    samples: tuple[Samples, ...] = ()
    warnings: tuple[Remark, ...] = ()
    notes: tuple[Remark, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    config: str = ""


def run_page_html(runs: Sequence[RunView], *, written: float) -> str:
    """The page as a text. `written` is the time in seconds since 1970.

    While a run is under way an open page loads itself anew every 20 seconds; it keeps what was
    chosen on it in its own address.
    """
    is_under_way = any(run.state == "running" for run in runs)
    data = {
        "written": written,
        "refresh": REFRESH_SECONDS if is_under_way else 0,
        "runs": [_run_data(run, is_alone=len(runs) == 1) for run in runs],
    }
    title = " and ".join(run.name for run in runs)
    return document("run", title, {"settings": "".join(map(_settings, runs))}, data)


def thinned(points: Points, most: int = POINTS) -> list[tuple[int, float | None]]:
    """At most so many points: the means of as many neighbours each, at the last one's step.

    >>> thinned([(1, 2.0), (2, 4.0), (3, None), (4, 8.0), (5, 1.0)], most=3)
    [(2, 3.0), (4, 8.0), (5, 1.0)]
    """
    size = -(-len(points) // most) or 1
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], _mean([value for _, value in group])) for group in groups]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _run_data(run: RunView, *, is_alone: bool) -> dict[str, object]:
    return {
        "name": run.name,
        "state": run.state,
        "figures": _figures(run, is_alone=is_alone),
        "curves": {
            kind: {name: thinned(points) for name, points in named.items()}
            for kind, named in run.curves.items()
        },
        "start": dict(run.start),
        "bicubic": dict(run.bicubic),
        "rows": [
            {"title": row.title, "low": row.low, "before": row.before, "target": row.target}
            for row in run.rows
        ],
        "samples": [{"step": each.step, "now": each.now} for each in run.samples],
        "warnings": [{"step": each.step, "text": each.text} for each in run.warnings],
    }


def _figures(run: RunView, *, is_alone: bool) -> list[dict[str, str]]:
    """What is told in large type: name, value, detail."""
    own = "" if is_alone else f"{run.name}: "
    pace = run.seconds / run.steps if run.steps else 0.0
    left = pace * (run.wanted_steps - run.steps)
    is_going = run.state == "running" and run.steps > 0
    found = [
        (f"{own}steps", f"{run.steps} of {run.wanted_steps}", f"{pace:.2g} s each" if pace else ""),
        (f"{own}time", duration(run.seconds), f"about {duration(left)} left" if is_going else ""),
    ]
    for name, points in run.curves.get("validation", {}).items():
        best = _best(points, is_less_better=name == "lpips")
        if best is not None:
            step, value = best
            others = {"before": run.start.get(name), "bicubic": run.bicubic.get(name)}
            compared = [f"{each} {score(name, known)}" for each, known in others.items() if known]
            detail = ", ".join([f"step {step}", *compared])
            found.append((f"{own}best {name.upper()}", score(name, value), detail))
    return [{"name": name, "value": value, "detail": detail} for name, value, detail in found]


def _best(points: Points, *, is_less_better: bool) -> tuple[int, float] | None:
    """The best step of the training; step 0, before it, is no step of it and is never kept."""
    known = [(step, value) for step, value in points if value is not None and step > 0]
    if not known:
        return None
    return (min if is_less_better else max)(known, key=lambda point: point[1])


def score(name: str, value: float) -> str:
    """A score as tables print it.

    >>> score("psnr", 28.4187), score("ssim", 0.81024)
    ('28.42 dB', '0.8102')
    """
    return f"{value:.2f} dB" if name == "psnr" else f"{value:.4f}"


def _settings(run: RunView) -> str:
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in run.facts)
    notes = "".join(f"<li>step {note.step}: {escape(note.text)}</li>" for note in run.notes)
    shown = [f"<article><h2>{escape(run.name)}</h2><dl>{facts}</dl>"]
    if notes:
        shown.append(f'<ul class="notes">{notes}</ul>')
    if run.config:
        code = escape(run.config.strip())
        shown.append(f"<details><summary>config.toml</summary><pre>{code}</pre></details>")
    return "".join([*shown, "</article>"])
