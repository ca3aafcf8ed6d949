"""The JSON objects of `srcli upscale --json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # these import torch
    from srcli.services.clerk import Outcome
    from srcli.services.dryrun import Forecast, Planned
    from srcli.services.observer import EngineFacts
    from srcli.services.offer import Offer

STEP_DIGITS = 3


def of_outcome(outcome: Outcome, engine: EngineFacts | None) -> dict[str, object]:
    """The object of one input; the same keys whether it went well or not."""
    report, error = outcome.report, outcome.error
    return {
        "type": "file",
        "source": outcome.source,
        "output": report.output if report else outcome.skipped,
        "width": report and report.width,
        "height": report and report.height,
        "model": engine and engine.name,
        "digest": engine and engine.digest,
        "scale": report and report.scale,
        "passes": report and report.passes,
        "device": report.device if report else engine and engine.device,
        "precision": report.precision if report else engine and engine.precision,
        "plan": report and report.plan,
        "tiles": report and report.tiles,
        "bytes": report and report.bytes,
        "seconds": report and round(report.seconds, STEP_DIGITS),
        "notes": list(report.notes) if report else [],
        "status": "failed" if error else "done" if report else "skipped",
        "error": None if error is None else str(error),
        "hint": None if error is None else error.hint,
    }


def of_plan(planned: Planned) -> dict[str, object]:
    """The object of one input in a dry run."""
    error = planned.error
    return {
        "type": "file",
        "source": planned.source,
        "output": planned.output,
        "width": planned.width or None,
        "height": planned.height or None,
        "megapixels": round(planned.megapixels, 6),
        "bytes": planned.bytes,
        "notes": list(planned.notes),
        "status": "failed" if error else "skipped" if planned.is_done else "planned",
        "error": None if error is None else str(error),
        "hint": None if error is None else error.hint,
    }


def of_offer(offer: Offer) -> dict[str, object]:
    """The object of a run that an option would shorten; before all others."""
    return {
        "type": "offer",
        "model": offer.model,
        "seconds": round(offer.seconds, STEP_DIGITS),
        "option": offer.option,
        "faster_seconds": round(offer.faster_seconds, STEP_DIGITS),
    }


def of_forecast(forecast: Forecast) -> dict[str, object]:
    """The object of a dry run's end."""
    return {
        "type": "forecast",
        "files": forecast.files,
        "megapixels": round(forecast.megapixels, 6),
        "megapixels_per_second": round(forecast.rate, 6),
        "seconds": round(forecast.seconds, STEP_DIGITS),
        "bytes": forecast.bytes,
        "free_bytes": forecast.free_bytes,
    }
