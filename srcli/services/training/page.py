"""The page of a run, from what lies in its folder: while it goes, afterwards, and for several."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

from srcli.errors import UsageError
from srcli.io.files import replacing
from srcli.reports.document import picture_address
from srcli.reports.progress import read_sheet
from srcli.reports.run_page import Remark, RunView, SampleRow, Samples, State, run_page_html
from srcli.services.training.folder import RunFolder
from srcli.services.training.log import read_log

SHEETS = 30  # on a page: of more, the first, the last and as many evenly between
KINDS = {"loss", "weighted", "discriminator"}  # of numbers, before the slash of their names
PLAIN = {"rate": "learning rate", "gradient_norm": "gradient norm"}
Record = Mapping[str, Any]
Curve = list[tuple[int, float | None]]


class RunPage:
    """The page of one run. What was made of an earlier sheet is kept for the next time."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._samples: dict[tuple[int, int], Samples] = {}  # by step and time of the sheet

    def write(self) -> Path:
        """Write report.html; it appears whole. Raises OutputError or DiskFullError."""
        return _write(self._folder.page, [self.view()])

    def view(self, name: str = "") -> RunView:
        """What the folder tells. Raises UsageError where there is no run in it."""
        folder = self._folder
        records = read_log(folder.metrics)
        if not records:
            raise UsageError(
                f"{folder.path} holds no run",
                hint="name a folder that srcli finetune or train made",
            )
        by_type = defaultdict(list)
        for record in records:
            by_type[record["type"]].append(record)
        begin: Record = (by_type["begin"] or [{}])[-1]
        done = max(record["step"] for record in records)
        sheets = [(step, path) for step, path in folder.sheets() if step <= done]
        return RunView(
            name=name or folder.path.resolve().name,
            state=_state(records),
            steps=done,
            wanted_steps=begin.get("steps", done),
            seconds=max((record.get("seconds") or 0.0 for record in records), default=0.0),
            curves=_curves(by_type["train"], by_type["validation"]),
            start=_scores(each for each in by_type["validation"] if each["step"] == 0),
            bicubic=_scores(by_type["bicubic"]),
            rows=_rows(sheets),
            samples=tuple(self._drawn(step, path) for step, path in _spread(sheets, SHEETS)),
            warnings=_remarks(by_type["warning"]),
            notes=_remarks(by_type["note"]),
            facts=_facts(begin),
            config=folder.config.read_text("utf-8", "replace") if folder.config.is_file() else "",
        )

    def _drawn(self, step: int, path: Path) -> Samples:
        key = step, path.stat().st_mtime_ns
        if key not in self._samples:
            now = tuple(picture_address(row.now) for row in read_sheet(path))
            self._samples[key] = Samples(step=step, now=now)
        return self._samples[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReport:
    """A page that was made of runs."""

    page: Path
    runs: tuple[str, ...]  # their names on it


def report_runs(folders: Sequence[Path], output: Path | None = None) -> PageReport:
    """Make the page of a run anew, in its folder, or one of several runs: `output` or runs.html.

    Raises UsageError where there is no run in a folder, OutputError or DiskFullError.
    """
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    pages = [RunPage(RunFolder(folder)) for folder in folders]
    views = [page.view(name) for page, name in zip(pages, names, strict=True)]
    alone = RunFolder(folders[0]).page if len(folders) == 1 else Path("runs.html")
    return PageReport(page=_write(output or alone, views), runs=tuple(names))


def _write(path: Path, views: Sequence[RunView]) -> Path:
    with replacing(path) as partial:
        html = run_page_html(views, written=time())
        partial.write_text(html, "utf-8", "backslashreplace")  # the name of a folder may be no text
    return path


def _state(records: Sequence[Record]) -> State:
    last = next((each for each in reversed(records) if each["type"] in ("begin", "end")), None)
    if last is None:
        return "stopped"
    state: State = last["state"] if last["type"] == "end" else "running"
    return state


def _curves(train: Sequence[Record], scored: Sequence[Record]) -> dict[str, dict[str, Curve]]:
    found: dict[str, dict[str, Curve]] = defaultdict(lambda: defaultdict(list))
    before: Record = {"step": 0, "seconds": None}
    for record in train:
        for key in record.keys() - {"type", "step", "seconds"}:
            kind, _, name = key.partition("/")
            kind, name = (kind, name) if kind in KINDS else ("step", PLAIN.get(key, key))
            found[kind][name].append((record["step"], record[key]))
        if before["seconds"] is not None and record["step"] > before["step"]:
            pace = (record["seconds"] - before["seconds"]) / (record["step"] - before["step"])
            found["step"]["seconds per step, validation included"].append(
                (record["step"], max(pace, 0.0))
            )
        before = record
    for record in scored:
        for name in record.keys() - {"type", "step"}:
            found["validation"][name].append((record["step"], record[name]))
    order = ("psnr", "ssim", "lpips", "total", "learning rate")
    rank = {name: place for place, name in enumerate(order)}
    return {
        kind: {name: named[name] for name in sorted(named, key=lambda n: (rank.get(n, 9), n))}
        for kind, named in found.items()
    }


def _scores(records: Iterable[Record]) -> dict[str, float]:
    """The numbers of the last of the records."""
    last: Record = ([*records] or [{}])[-1]
    return {name: value for name, value in last.items() if isinstance(value, float)}


def _remarks(records: Sequence[Record]) -> tuple[Remark, ...]:
    in_order = sorted(records, key=lambda record: record["step"])
    return tuple(Remark(record["step"], record["text"]) for record in in_order)


def _rows(sheets: Sequence[tuple[int, Path]]) -> tuple[SampleRow, ...]:
    return tuple(
        SampleRow(
            title=row.title,
            low=picture_address(row.low),
            before=picture_address(row.before),
            target=picture_address(row.target),
        )
        for row in (read_sheet(sheets[-1][1]) if sheets else ())
    )


def _spread(sheets: Sequence[tuple[int, Path]], most: int) -> list[tuple[int, Path]]:
    """At most so many, the first and the last among them.

    >>> [step for step, _ in _spread([(step, Path()) for step in range(1, 10)], 3)]
    [1, 5, 9]
    """
    if len(sheets) <= most:
        return list(sheets)
    last = len(sheets) - 1
    return [sheets[round(place * last / (most - 1))] for place in range(most)]


def _facts(begin: Record) -> tuple[tuple[str, str], ...]:
    if not begin:
        return ()
    parts = f", in {begin['parts']} parts" if begin["parts"] > 1 else ""
    return (
        ("network", begin["network"]),
        ("started from", begin["base"]),
        ("losses", " + ".join(begin["losses"])),
        ("batch", f"{begin['batch']} patches of {begin['patch_px']} px{parts}"),
        ("pictures", f"{begin['training']} to learn from, {begin['validation']} to validate on"),
        ("device", f"{begin['device']}, {begin['precision']}"),
        ("begun", begin["time"]),
        ("software", begin["software"]),
    )
