"""What `srcli weights` shows, and what happens while weights are fetched for any command."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from srcli.cli import render
from srcli.cli.render.units import file_size

if TYPE_CHECKING:  # the services cost start-up time
    from srcli.io.openmodeldb import Model
    from srcli.services.blending import BlendReport
    from srcli.services.weights import Event, OnEvent, WeightsFile
    from srcli.services.weights_cache import Imported, Listed, Pulled, Removed, Shown, Verified

DAMAGED_EXIT = 3
SOME_FAILED_EXIT = 1
NARROW_COLUMNS = 110


@contextmanager
def events() -> Iterator[OnEvent]:
    """A listener that tells on stderr what happens: one line each, and a bar for a download."""
    from srcli.services.weights import Downloading

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    progress = Progress(*columns, console=render.err, transient=True)
    bars: dict[tuple[str, str], TaskID] = {}

    def on_event(event: Event) -> None:
        if not isinstance(event, Downloading):
            render.note(_sentence(event))
            return
        progress.start()
        place = (event.name, event.source)
        if place not in bars:
            bars[place] = progress.add_task(f"fetching {event.name}", total=event.total)
        progress.update(bars[place], completed=event.done, total=event.total)

    try:
        yield on_event
    finally:
        if bars:
            progress.stop()


def listed(rows: tuple[Listed, ...], *, is_json: bool) -> None:
    """The catalogue and the imported weights as a table."""
    if is_json:
        _json_lines(rows)
        return
    columns = {"name": "left", "scale": "left", "size": "right", "here": "left"}
    columns |= {"speed": "left", "GB/MP": "right", "licence": "left", "good for": "left"}
    is_narrow = render.out.width < NARROW_COLUMNS
    headings = [each for each in columns if not (is_narrow and each in ("GB/MP", "good for"))]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=True, justify=columns[heading])  # type: ignore[arg-type]
    for row in rows:
        cells = {
            "name": row.name,
            "scale": f"x{row.scale}" if row.scale else "-",
            "size": file_size(row.size),
            "here": "yes" if row.cached else "",
            "speed": row.speed or "-",
            "GB/MP": f"{row.memory:.1f}" if row.memory else "-",
            "licence": Text(row.licence, "" if row.commercial else "yellow"),
            "good for": row.purpose,
        }
        table.add_row(*(cells[heading] for heading in headings))
    render.out.print(table, soft_wrap=False)
    render.note(
        "speed: fast to 4, medium to 16, slow from there, in million operations per input pixel; "
        "GB/MP: memory for an input megapixel at once in fp16 (larger pictures go in bands)"
    )
    if is_narrow:
        render.note(
            "a wider terminal also shows what each is good for, as does `weights show NAME`"
        )


def found(models: Sequence[Model], *, is_json: bool) -> None:
    """What OpenModelDB has, a line each."""
    if is_json:
        for model in models:
            sources = [str(source) for source in model.sources]
            record = _plain(model) | {"sources": sources, "homepage": model.homepage}
            render.json_line(record)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "scale", "network", "size", "licence", "tags"):
        table.add_column(heading, no_wrap=True)
    for model in models:
        licence = Text(model.licence or "not stated", "" if _is_free(model.licence) else "yellow")
        size = file_size(model.size) if model.sources else "browser only"
        tags = ", ".join(model.tags)
        table.add_row(
            render.shown(model.name), f"x{model.scale}", model.architecture, size, licence, tags
        )
    if models:
        render.out.print(table, soft_wrap=False)
        render.note("fetch one: srcli weights pull openmodeldb:NAME")
    else:
        render.note("nothing found")


def _is_free(licence: str) -> bool:
    from srcli.services.weights_openmodeldb import is_commercial

    return bool(licence) and is_commercial(licence)


def shown(report: Shown, *, is_json: bool) -> None:
    """Everything about one name, a line for each fact."""
    if is_json:
        from srcli.io.catalogue import Entry

        every = dict.fromkeys(Entry.model_fields)  # imported weights have the same keys
        known = report.entry.model_dump(mode="json") if report.entry else {}
        files = list(map(str, report.files))
        sample = None if report.sample is None else str(report.sample)
        render.json_line(every | _plain(report.row) | known | {"files": files, "sample": sample})
        return
    row, entry = report.row, report.entry
    facts = [
        ("name", row.name),
        ("also", ", ".join(row.aliases)),
        ("good for", row.purpose),
        ("scale", f"x{row.scale}" if row.scale else ""),
        ("network", _network(entry.architecture.model_dump()) if entry else ""),
        ("speed", _speed(row)),
        (
            "memory",
            f"{row.memory:.1f} GB for an input megapixel at once, fp16" if row.memory else "",
        ),
        ("licence", row.licence + ("" if row.commercial else " (no commercial use)")),
        ("size", file_size(row.size)),
        ("homepage", entry.homepage if entry else ""),
        ("note", entry.note if entry else ""),
        *(("source", source) for source in report.sources),
        *(("here", str(path)) for path in report.files),
        ("sample", str(report.sample or "")),
    ]
    for fact, value in facts:
        if value:
            render.line(f"{fact:<9} {value}")


def pulled(results: Iterable[Pulled], *, count: int, is_json: bool) -> int:
    """Each result as it comes; returns the exit code."""
    failures = []
    for result in results:
        if is_json:
            render.json_line(_pulled_record(result))
        elif result.weights:
            render.line(f"{result.weights.name}: {', '.join(map(str, result.weights.files))}")
        if result.failure:
            failures.append(result.failure)
            render.error(result.failure)
    if not failures:
        return 0
    return failures[0].exit_code if count == 1 else SOME_FAILED_EXIT


def verified(results: Iterable[Verified], *, is_json: bool) -> int:
    """Each file as it is checked; returns the exit code."""
    counts = {"ok": 0, "damaged": 0}
    for result in results:
        counts[result.status] += 1
        if is_json:
            render.json_line(_plain(result))
        elif result.status == "damaged":
            render.line(f"{result.name or 'unknown'}: damaged, removed ({result.path})")
    if not is_json:
        render.line(f"files checked: {counts['ok']} right, {counts['damaged']} damaged")
    return DAMAGED_EXIT if counts["damaged"] else 0


def imported(report: Imported, *, is_json: bool) -> None:
    """The name under which a file can be used now."""
    if is_json:
        render.json_line(_plain(report))
        return
    known = ", which the catalogue knows" if report.known else ""
    render.line(f"imported {report.name}{known}: use it with `-m {report.name}`")


def located(weights: WeightsFile, *, is_json: bool) -> None:
    """The paths, one a line."""
    if is_json:
        files = list(map(str, weights.files))
        render.json_line({"name": weights.name, "files": files, "digest": weights.digest})
        return
    for path in weights.files:
        render.line(str(path))


def blended(report: BlendReport, *, is_json: bool) -> None:
    """What was mixed, and how to use it."""
    if is_json:
        render.json_line(_plain(report))
        return
    mixture = f"{1 - report.alpha:g} {report.first} + {report.alpha:g} {report.second}"
    render.line(f"{mixture}: use it with `-m {report.output}`")


def removed(report: Removed, *, is_json: bool) -> None:
    """What was freed, and copies of other programs that were left alone."""
    if is_json:
        render.json_line(_plain(report))
        return
    if report.files:
        render.line(f"removed {report.name}: {file_size(report.freed)} freed")
    else:
        render.line(f"{report.name} was not in the cache")
    for path in report.elsewhere:
        render.note(f"a copy that another program keeps stays: {path}")


def _sentence(event: Event) -> str:
    from srcli.services.weights import (
        CacheDamaged,
        Downloading,
        LicenceNotice,
        SourceFailed,
        Waiting,
    )

    match event:
        case SourceFailed(name=name, source=source, reason=reason):
            return f"{name}: not from {source}: {reason}"
        case LicenceNotice(name=name, licence=licence, homepage=homepage):
            return f"{name}: licence {licence}, not for commercial use (see {homepage})"
        case Waiting(name=name):
            return f"{name}: another process is fetching it; waiting"
        case CacheDamaged(name=name, path=path):
            return f"{name}: {path} was damaged and is removed"
        case Downloading(name=name):
            return f"{name}: fetching"


def _speed(row: Listed) -> str:
    if row.operations is None:
        return ""
    return f"{row.speed}, {row.operations / 1e6:.3g} million operations per input pixel"


def _network(parameters: dict[str, Any]) -> str:
    kind = parameters.pop("kind")
    return ", ".join([kind, *(f"{name} {value}" for name, value in parameters.items() if value)])


def _pulled_record(result: Pulled) -> dict[str, Any]:
    if result.weights:
        files = list(map(str, result.weights.files))
        return {
            "name": result.weights.name,
            "status": "ok",
            "files": files,
            "digest": result.weights.digest,
            "source": result.weights.source,
        }
    hint = result.failure.hint if result.failure else ""
    return {"name": result.name, "status": "failed", "error": str(result.failure), "hint": hint}


def _json_lines(rows: Iterable[Any]) -> None:
    for row in rows:
        render.json_line(_plain(row))


def _plain(report: Any) -> dict[str, Any]:
    record: dict[str, Any] = dataclasses.asdict(report)
    return {name: _text(value) for name, value in record.items()}


def _text(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    return [_text(each) for each in value] if isinstance(value, tuple) else value
