"""What `srcli compare` shows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from srcli.cli import render

if TYPE_CHECKING:
    from srcli.reports.page import Pair
    from srcli.services.compare import Compared, CompareReport, NotCompared


class CompareView:
    """A line for each pair of pictures, and where to look."""

    def __init__(self, *, json: bool, quiet: bool) -> None:
        self._json, self._quiet = json, quiet

    def compared(self, result: Compared | NotCompared) -> None:
        """One set of pictures is done."""
        from srcli.services.compare import Compared

        if self._json:
            render.json_line(_record(result))
        elif not isinstance(result, Compared):
            render.error(result.error)
        elif not self._quiet:
            for pair in result.pairs:
                names = result.labels[pair.first], result.labels[pair.second]
                render.note(f"{result.title}: {' | '.join(names)}: {_words(pair)}")
            for note in result.notes:
                render.note(f"note: {note}")

    def show(self, report: CompareReport) -> None:
        """The whole report, after the last."""
        if self._json:
            render.json_line(_summary(report))
            return
        for path in report.lonely:
            render.note(f"note: {path} has no partner and is left out")
        places = [report.index] if report.index else []
        places += [place for each in report.done for place in (each.page, each.sheet) if place]
        for place in places[:1] if report.index else places:
            render.line(str(place))


def _words(pair: Pair) -> str:
    found = pair.difference
    if math.isinf(found.psnr):
        return "equal"
    levels = f"mean difference {found.mean:.3f} levels of 255, largest {found.largest}"
    return f"PSNR {found.psnr:.2f} dB, {levels}"


def _record(result: Compared | NotCompared) -> dict[str, object]:
    """The JSON object of one set; the same keys whether it went well or not."""
    from srcli.services.compare import Compared

    done = result if isinstance(result, Compared) else None
    error = None if isinstance(result, Compared) else result.error
    return {
        "type": "comparison",
        "title": result.title,
        "status": "failed" if error else "done",
        "labels": list(done.labels) if done else [],
        "pairs": [_pair_record(pair) for pair in done.pairs] if done else [],
        "notes": list(done.notes) if done else [],
        "page": str(done.page) if done and done.page else None,
        "sheet": str(done.sheet) if done and done.sheet else None,
        "error": str(error) if error else None,
        "hint": error.hint if error else None,
    }


def _pair_record(pair: Pair) -> dict[str, object]:
    found = pair.difference
    return {
        "first": pair.first,
        "second": pair.second,
        "psnr": "inf" if math.isinf(found.psnr) else found.psnr,
        "mean": found.mean,
        "largest": found.largest,
        "changed": found.changed,
    }


def _summary(report: CompareReport) -> dict[str, object]:
    return {
        "type": "summary",
        "done": len(report.done),
        "failed": len(report.failed),
        "index": str(report.index) if report.index else None,
        "without_partner": list(map(str, report.lonely)),
        "exit_code": report.exit_code,
    }
