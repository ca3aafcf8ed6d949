"""Which of the services an upscale command calls, and what it listens to meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srcli.cli import interrupts, render, streams
from srcli.cli.interrupts import Interrupted
from srcli.errors import SrcliError, UsageError, memory_errors
from srcli.io.addresses import Address, Remote, is_remote

if TYPE_CHECKING:  # the services import torch
    from srcli.cli.render.upscale import UpscaleView
    from srcli.services.clerk import Outcome
    from srcli.services.request import UpscaleRequest


def run(
    request: UpscaleRequest,
    inputs: Sequence[Address],
    output: str | None,
    view: UpscaleView,
    *,
    compares: bool = False,
) -> None:
    """Enlarge what was named, and show it; with `compares`, make a page beside each result.

    Raises UsageError where a page cannot lie beside them, and for what a pipe cannot do.
    """
    is_in_store = any(isinstance(each, Remote) for each in inputs) or is_remote(output or "")
    if compares and is_in_store:
        raise UsageError("--compare needs files of this machine", hint="copy them here first")
    if streams.is_piped(inputs, output):
        _refuse_of_pipe({"--compare": compares, "--watch": request.folder.watch})
        _refuse_of_pipe({"--engine ray": request.cluster is not None})
        _run_piped(request, inputs, output, view)
    else:
        _run_files(request, inputs, output, view, compares=compares)


def preview(
    request: UpscaleRequest, inputs: Sequence[Address], output: str | None, view: UpscaleView
) -> None:
    """Show what would be done. Raises UsageError of a pipe."""
    from srcli.services.dryrun import Forecast, preview_files

    if streams.is_piped(inputs, output):
        _refuse_of_pipe({"--dry-run": True})
    for each in preview_files(request, inputs, output, view):
        if isinstance(each, Forecast):
            view.forecast(each)
        else:
            view.planned(each)


def _refuse_of_pipe(options: Mapping[str, bool]) -> None:
    given = [name for name, is_given in options.items() if is_given]
    if given:
        raise UsageError(f"{given[0]} needs files, not a pipe", hint="leave one of the two out")


def _run_piped(
    request: UpscaleRequest, inputs: Sequence[Address], output: str | None, view: UpscaleView
) -> None:
    from srcli.services.batch import upscale_stream

    with streams.piped(inputs, output) as (source, target):
        view.ended(upscale_stream(request, source, target, view))


def _run_files(
    request: UpscaleRequest,
    inputs: Sequence[Address],
    output: str | None,
    view: UpscaleView,
    *,
    compares: bool,
) -> None:
    from srcli.services.batch import upscale_files
    from srcli.services.stop import Stop

    if not view.is_many:  # an interrupt may strike at once: nothing else is under way
        for outcome in upscale_files(request, inputs, output, view):
            view.ended(outcome)
            _compare(outcome, view, wanted=compares)
        return
    stop = Stop()
    with view.stoppable(stop, at_once=request.cluster is not None):
        for outcome in upscale_files(request, inputs, output, view, stop=stop):
            view.ended(outcome)
            _compare(outcome, view, wanted=compares)
        was_interrupted = interrupts.was_heard()
    if was_interrupted and not request.folder.watch:
        view.was_interrupted = True
        raise Interrupted


def _compare(outcome: Outcome, view: UpscaleView, *, wanted: bool) -> None:
    from srcli.services.compare import compare_upscaled

    if not wanted or outcome.report is None:
        return
    source, output = outcome.report.source, outcome.report.output
    try:
        with memory_errors(f"the page of {output}"):
            compared = compare_upscaled(Path(source), Path(output))
    except SrcliError as error:  # told however little is: it stops no run and has no code
        render.note(f"no page compares {output} with {source}: {error}")
    else:
        view.note(f"compare them in {compared.page}")
