"""`srcli train`: everything that can be trained, in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srcli.cli import finetune, render
from srcli.cli import options as shared
from srcli.cli.render.training import TrainingView
from srcli.errors import UsageError

ConfigArgument = Annotated[
    Path | None, typer.Argument(metavar="CONFIG.toml", help="The training file.")
]
PrintConfigOption = Annotated[
    finetune.PresetChoice | None,
    typer.Option("--print-config", help="Print a whole training file and stop."),
]
PrintSchemaOption = Annotated[
    bool,
    typer.Option("--print-schema", help="Print the JSON schema of the file, for editors."),
]


def train(
    config: ConfigArgument = None,
    print_config: PrintConfigOption = None,
    print_schema: PrintSchemaOption = False,
    vgg_weights: finetune.VggOption = None,
    device: shared.DeviceOption = "auto",
    output: finetune.RunFolderOption = None,
    resume: finetune.ResumeOption = False,
    offline: shared.OfflineOption = False,
    trust: shared.TrustOption = False,
    json: shared.JsonOption = False,
    quiet: shared.QuietOption = False,
) -> None:
    """Train a network as a file says: fine-tune, distil, or start from nothing.

    Print a training file, edit it, run it. On several GPUs: torchrun --nproc-per-node 4 -m srcli
    train run.toml
    """
    from srcli.training.config import json_schema
    from srcli.training.document import preset_document

    if print_config is not None:
        render.text(preset_document(print_config))
        return
    if print_schema:
        render.json_line(json_schema())
        return
    if config is None:
        raise UsageError(
            "no training file was given", hint="print one with srcli train --print-config psnr"
        )
    from srcli.services.stop import Stop
    from srcli.services.training.networks import Sources  # torch from here on
    from srcli.services.training.preparation import RunOptions
    from srcli.services.training.request import train_file

    stop = Stop()
    with TrainingView(json=json, quiet=quiet, stop=stop) as view:
        sources = Sources(offline=offline or None, trust=trust, on_event=view.weights_event)
        options = RunOptions(device=device, sources=sources, vgg_weights=vgg_weights, resume=resume)
        view.ended(train_file(config, output, options, view, stop))
    raise typer.Exit(view.exit_code)
