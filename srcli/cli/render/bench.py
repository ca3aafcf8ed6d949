"""What `srcli bench` shows: a table, or JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from srcli.cli import render
from srcli.cli.render.units import counted

if TYPE_CHECKING:  # imports torch
    from srcli.services.bench.bench import BenchReport, Row


@contextmanager
def turns(rounds: int, *, shown: bool) -> Iterator[Callable[[int, str], None]]:
    """Says on stderr whose turn it is."""
    if not shown:
        yield lambda turn, name: None
    elif not render.err.is_terminal:
        yield lambda turn, name: render.note(f"round {turn + 1} of {rounds}: {name}")
    else:
        with render.err.status("preparing") as status:
            yield lambda turn, name: status.update(f"round {turn + 1} of {rounds}: {name}")


def show(report: BenchReport, *, json: bool) -> None:
    """The report as one JSON object, or as a table."""
    if json:
        render.json_line(asdict(report))
        return
    render.line(f"{report.machine}, {counted(report.threads, 'thread')}, torch {report.torch}")
    rates = ", ".join(f"{rate:.0f} in {name}" for name, rate in report.matrix_gflops.items())
    render.line(f"matrix product: {rates} GFLOP/s; shares are of that in fp32")
    render.line(
        f"{report.model}: {report.width}x{report.height} pixels, "
        f"{report.operations / 1e6:.1f} MFLOP each, median of {report.rounds}; "
        "differences from srcli's fp32, in levels of 255"
    )
    render.out.print(_table(report))
    for row in report.rows:
        if row.refused is None:
            render.line(f"{row.contestant}: {row.what}{f', {row.version}' if row.version else ''}")
    for row in report.rows:
        if row.refused is not None:
            render.note(f"{row.contestant} is left out: {row.refused}")


def _table(report: BenchReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    for heading in ("seconds", "GFLOP/s", "share", "MB", "max diff", "dB"):
        table.add_column(heading, justify="right")
    done = [row for row in report.rows if row.seconds is not None]
    for row in sorted(done, key=lambda row: row.seconds or 0):
        table.add_row(*_cells(row))
    return table


def _cells(row: Row) -> list[Text]:
    memory = row.host_bytes if row.device_bytes is None else row.device_bytes
    figures = (
        (row.seconds, "{:.2f}", 1.0),
        (row.gflops, "{:.0f}", 1.0),
        (row.share, "{:.2f}", 1.0),
        (memory, "{:.0f}", 1e-6),
        (row.difference, "{:.2f}", 1.0),
        (row.psnr, "{:.1f}", 1.0),
    )
    cells = ["" if value is None else form.format(value * unit) for value, form, unit in figures]
    return [Text(row.contestant), *map(Text, cells)]
