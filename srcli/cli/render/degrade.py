"""What `srcli degrade` shows: a line for each picture and one for all; or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from srcli.cli import render

if TYPE_CHECKING:  # these import torch
    from srcli.services.degrade import Degraded, DegradeReport, NotDegraded


def picture(result: Degraded | NotDegraded, *, as_json: bool) -> None:
    """One picture, as it ends."""
    from srcli.services.degrade import Degraded

    if as_json:
        render.json_line(_record(result))
    elif isinstance(result, Degraded):
        height, width = result.size
        render.note(f"{result.output}  {width}x{height}")
    else:
        render.error(result.error)


def summary(report: DegradeReport, *, as_json: bool) -> None:
    """What became of the folder."""
    done, failed = len(report.done), len(report.failed)
    if as_json:
        render.json_line(
            {
                "type": "summary",
                "files": done + failed,
                "done": done,
                "failed": failed,
                "recipes": report.recipes and str(report.recipes),
                "sheet": report.sheet and str(report.sheet),
            }
        )
        return
    render.line(f"{done} done, {failed} failed")
    if report.recipes:
        render.line(f"recipes: {report.recipes}")
    if report.sheet:
        render.line(f"contact sheet: {report.sheet}")


def _record(result: Degraded | NotDegraded) -> dict[str, object]:
    """The JSON object of one picture; the same keys whether it went well or not."""
    from srcli.services.degrade import Degraded

    done = result if isinstance(result, Degraded) else None
    error = None if isinstance(result, Degraded) else result.error
    return {
        "type": "file",
        "source": str(result.source),
        "output": done and str(done.output),
        "width": done and done.size[1],
        "height": done and done.size[0],
        "status": "done" if error is None else "failed",
        "error": None if error is None else str(error),
        "hint": None if error is None else error.hint,
    }
