"""`srcli serve`: pictures enlarged over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srcli.cli import options as shared
from srcli.cli.render.serve import ServeView
from srcli.errors import UsageError
from srcli.web.settings import KEY_VARIABLE, api_key

PACKAGES = ("fastapi", "starlette", "uvicorn", "prometheus_client", "python_multipart")
LISTEN, LIMITS, RUN = "Where it listens", "Limits", "How it runs"

ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        help="Weights that clients may ask for; say it again for more, the first is the default. "
        f"Default: {shared.DEFAULT_MODEL}.",
        show_default=False,
    ),
]
HostOption = Annotated[
    str,
    typer.Option(
        "--host", help="Address to listen on; 0.0.0.0 is every one.", rich_help_panel=LISTEN
    ),
]
PortOption = Annotated[
    int, typer.Option("--port", "-p", min=0, max=65535, help="0 is any.", rich_help_panel=LISTEN)
]
HostsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        help="Name by which it may be asked for, behind a proxy; say it again for more.",
        show_default=False,
        rich_help_panel=LISTEN,
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file",
        help=f"File with the key that clients must send; or set {KEY_VARIABLE}.",
        show_default=False,
        rich_help_panel=LISTEN,
    ),
]
BytesOption = Annotated[
    float, typer.Option("--max-mib", min=0.001, help="MiB of a body.", rich_help_panel=LIMITS)
]
PixelsOption = Annotated[
    float,
    typer.Option(
        "--max-megapixels", min=1e-6, help="Of a picture, all its pages.", rich_help_panel=LIMITS
    ),
]
ResultOption = Annotated[
    float,
    typer.Option(
        "--max-result-megapixels",
        min=1e-6,
        help="Of a result, and of what the network makes on the way to it.",
        rich_help_panel=LIMITS,
    ),
]
QueueOption = Annotated[
    int,
    typer.Option(
        "--queue",
        min=1,
        help="Pictures that are here at once: waiting, in work, or being sent.",
        rich_help_panel=LIMITS,
    ),
]
UploadsOption = Annotated[
    int,
    typer.Option("--uploads", min=1, help="Pictures that arrive at once.", rich_help_panel=LIMITS),
]
ConnectionsOption = Annotated[
    int,
    typer.Option("--connections", min=1, help="Connections at once.", rich_help_panel=LIMITS),
]
PatienceOption = Annotated[
    float,
    typer.Option(
        "--patience",
        min=0.1,
        help="Seconds that a client may be silent, or slower than 16 KiB a second.",
        rich_help_panel=LIMITS,
    ),
]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout", min=0.1, help="Seconds from picture to result.", rich_help_panel=LIMITS
    ),
]
DrainOption = Annotated[
    float,
    typer.Option(
        "--drain",
        min=0.1,
        help="Seconds that a polite kill leaves to what is under way.",
        rich_help_panel=LIMITS,
    ),
]
BatchOption = Annotated[
    int | None,
    typer.Option(
        "--batch",
        min=1,
        help="Small pictures of one size that share a run. Default: 8 on a GPU, 1 on a CPU.",
        show_default=False,
        rich_help_panel=RUN,
    ),
]


def serve(
    model: ModelsOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    allow_host: HostsOption = None,
    api_key_file: KeyOption = None,
    max_mib: BytesOption = 32.0,
    max_megapixels: PixelsOption = 16.0,
    max_result_megapixels: ResultOption = 256.0,
    queue: QueueOption = 32,
    uploads: UploadsOption = 64,
    connections: ConnectionsOption = 256,
    patience: PatienceOption = 20.0,
    timeout: TimeoutOption = 300.0,
    drain: DrainOption = 60.0,
    device: shared.DeviceOption = "auto",
    precision: shared.PrecisionOption = shared.PrecisionChoice.AUTO,
    batch: BatchOption = None,
    offline: shared.OfflineOption = False,
    trust: shared.TrustOption = False,
    quiet: shared.QuietOption = False,
) -> None:
    """Enlarge pictures over HTTP, with a page to drop them on.

    [bold]srcli serve[/bold] listens on this machine only; the page is at http://127.0.0.1:8000, and
    [bold]curl --data-binary @photo.jpg http://127.0.0.1:8000/upscale -o large.jpg[/bold] does
    without it.
    """
    _check_packages()
    from srcli.inference.precision import Precision
    from srcli.services.engine import EngineOptions
    from srcli.services.request import UpscaleRequest
    from srcli.web.settings import Limits, ServeSettings
    from srcli.web.start import serve as run

    limits = Limits(
        body_bytes=round(max_mib * 2**20),
        pixels=round(max_megapixels * 1e6),
        result_pixels=round(max_result_megapixels * 1e6),
        inside=queue,
        uploads=uploads,
        connections=connections,
        patience_seconds=patience,
        work_seconds=timeout,
        drain_seconds=drain,
    )
    settings = ServeSettings(
        host=host,
        port=port,
        hosts=tuple(allow_host or ()),
        api_key=_api_key(api_key_file),
        limits=limits,
    )
    engine = EngineOptions(device=device, precision=Precision(precision), batch=batch)
    request = UpscaleRequest(offline=offline or None, trust=trust, engine=engine)
    with ServeView(quiet=quiet) as view:
        view.warn(settings)
        run(model or [shared.DEFAULT_MODEL], request, settings, view, on_listening=view.listening)
        view.ended()


def _api_key(file: Path | None) -> str | None:
    """From a file or the environment: a command line is for everybody to see."""
    if file is None:
        return api_key()
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} cannot be read: {error}", hint="name a file with the key in it"
        ) from None


def _check_packages() -> None:
    from importlib.util import find_spec

    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"srcli serve needs {', '.join(missing)}", hint="pip install 'srcli[serve]'"
        )
