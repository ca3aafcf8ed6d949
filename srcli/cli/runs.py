"""Which of the services an upscale command calls, and what it listens to meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srcli.cli import interrupts, streams
from srcli.cli.interrupts import Interrupted
from srcli.errors import UsageError
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

    Raises UsageError where a page cannot lie beside them.
    """
    is_in_store = any(isinstance(each, Remote) for each in inputs) or is_remote(output or "")
    if compares and is_in_store:
        raise UsageError("--compare needs files of this machine", hint="copy them here first")
    if streams.is_piped(inputs, output):
        _run_piped(request, inputs, output, view)
    else:
        _run_files(request, inputs, output, view, compares=compares)


def preview(
    request: UpscaleRequest, inputs: Sequence[Address], output: str | None, view: UpscaleView
) -> None:
    """Show what would be done. Raises UsageError of a pipe."""
    if streams.is_piped(inputs, output):
        raise UsageError(
            "a dry run takes and names files, no pipe", hint="leave out - or --dry-run"
        )
    from srcli.services.dryrun import Forecast, preview_files

    for each in preview_files(request, inputs, output, view):
        if isinstance(each, Forecast):
            view.forecast(each)
        else:
            view.planned(each)


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

    if wanted and outcome.report is not None:
        compared = compare_upscaled(Path(outcome.report.source), Path(outcome.report.output))
        view.note(f"compare them in {compared.page}")
