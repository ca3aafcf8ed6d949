"""`srcli bench`: how fast a network runs here, and beside others."""

from __future__ import annotations

from typing import Annotated

import typer

from srcli.cli import options as shared
from srcli.cli.render import bench as render
from srcli.errors import UsageError

SizeOption = Annotated[
    str,
    typer.Option("--size", metavar="PX", help="Side of the picture in pixels, or WIDTHxHEIGHT."),
]
VersusOption = Annotated[
    str | None,
    typer.Option(
        "--vs",
        metavar="NAMES",
        help="Others, with commas: spandrel, spandrel-channels-last, spandrel-compiled, "
        "spandrel-compiled-fp16, realesrgan-tiles, onnxruntime, openvino, openvino-bf16, ncnn; "
        "or all.",
        show_default=False,
    ),
]
OwnOption = Annotated[
    str,
    typer.Option(
        "--own",
        metavar="NAMES",
        help="srcli's ways, with commas: srcli, srcli-bf16, srcli-fp16, srcli-whole, srcli-tiles.",
    ),
]
RoundsOption = Annotated[
    int, typer.Option("--rounds", min=1, help="Turns that everyone has; medians are shown.")
]


def bench(
    model: shared.ModelOption = None,
    size: SizeOption = "512",
    own: OwnOption = "srcli,srcli-bf16",
    versus: VersusOption = None,
    rounds: RoundsOption = 3,
    device: shared.DeviceOption = "auto",
    json: shared.JsonOption = False,
) -> None:
    """Measure seconds, share of the machine's matrix rate, memory and exactness, in turns.

    Everyone gets the same picture in memory and gives the result back there, in a process of its
    own. A program that is not installed is named and left out.
    """
    from srcli.services.bench.bench import PEERS, BenchRequest, run_bench

    width, height = _sides(size)
    names = list(PEERS) if versus == "all" else _names(versus)
    request = BenchRequest(
        model=model or shared.DEFAULT_MODEL,
        height=height,
        width=width,
        device=device,
        own=tuple(_names(own)),
        versus=tuple(names),
        rounds=rounds,
    )
    with render.turns(rounds, shown=not json) as on_turn:
        report = run_bench(request, on_turn=on_turn)
    render.show(report, json=json)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _sides(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    try:
        return int(width), int(height or width)
    except ValueError:
        raise UsageError(f"{text!r} is no size", hint="say 512 or 1920x1080") from None
