"""What `srcli doctor` shows."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from srcli.cli import render

if TYPE_CHECKING:
    from srcli.services.doctor import DoctorReport


def show(report: DoctorReport, *, json: bool) -> None:
    """The report as one JSON object, or as tables."""
    if json:
        render.json_line({**asdict(report), "cache": str(report.cache)})
        return
    render.line(f"srcli {report.srcli}, Python {report.python}, {report.system}")
    render.out.print(_devices(report))
    packages = (f"{name} {found or 'missing'}" for name, found in report.packages.items())
    render.line("packages: " + ", ".join(packages))
    if report.libvips_refused is not None:
        render.line(f"no pictures: {report.libvips_refused}")
    else:
        render.line(f"libvips {report.libvips} writes {' '.join(report.formats)}")
    render.line(f"cache: {report.cache}, {report.cache_free_bytes / 1e9:.0f} GB free on its disk")
    if report.is_offline:
        render.line("sources: offline, none was asked")
    for source in report.sources:
        answer = "answers in" if source.is_reachable else "does not answer:"
        render.line(f"{source.address} {answer} {source.detail}")


def _devices(report: DoctorReport) -> Table:
    table = Table("device", "what it is", "memory", "free", "precisions")
    for device in report.devices:
        if device.refused is not None:
            table.add_row(device.name, f"not used: {device.refused}", "", "", "")
            continue
        table.add_row(
            device.name,
            device.description,
            f"{device.memory_bytes / 2**30:.1f} GiB",
            f"{device.free_bytes / 2**30:.1f} GiB",
            " ".join(device.precisions),
        )
    return table
