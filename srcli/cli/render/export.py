"""What `srcli export` shows."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from srcli.cli import render
from srcli.cli.render.units import file_size

if TYPE_CHECKING:  # this imports torch
    from srcli.services.exporting.export import ExportReport


def exported(report: ExportReport, *, is_json: bool, is_quiet: bool) -> None:
    """How near the export is to the original, then the files."""
    if is_json:
        files = list(map(str, report.files))
        render.json_line({"type": "export", **asdict(report), "files": files})
        return
    if not is_quiet:
        for each in report.differences:
            height, width = each.size
            render.note(
                f"{each.what}, {width} x {height}: off by {each.largest:.2g} levels of 255 at "
                f"most, {each.mean:.2g} on average"
            )
        half = ", half precision" if report.half else ""
        render.note(f"{file_size(report.bytes)}{half}, licence {report.facts['licence']}")
    for file in report.files:
        render.line(str(file))
