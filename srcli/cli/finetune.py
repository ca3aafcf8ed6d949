"""`srcli finetune`: weights that know your pictures, from a folder of them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from srcli.cli import options as shared
from srcli.cli.render.training import TrainingView
from srcli.degradations.names import Preset

NETWORK, RUN = shared.NETWORK, shared.RUN
PICTURES, STEPS = "Pictures", "Steps"


class PresetChoice(StrEnum):
    """Mixtures of losses; the same words as `training.document.PRESETS`."""

    PSNR = "psnr"
    SRGAN = "srgan"
    ESRGAN = "esrgan"
    REALESRGAN = "realesrgan"
    CONTENT_STYLE = "content-style"


FolderArgument = Annotated[
    Path,
    typer.Argument(metavar="FOLDER", help="Good pictures to learn from, searched to the bottom."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="WEIGHTS",
        autocompletion=shared.known_weights,
        help="What to start from: a name, a file or hf://owner/repo/file. "
        "Default: realesrgan-x4plus.",
        show_default=False,
        rich_help_panel=NETWORK,
    ),
]
ScaleOption = Annotated[
    int | None,
    typer.Option(
        "--scale",
        "-s",
        min=1,
        help="Choose start weights of this scale, or check those of --model.",
        show_default=False,
        rich_help_panel=NETWORK,
    ),
]
TeacherOption = Annotated[
    str | None,
    typer.Option(
        "--teacher",
        metavar="WEIGHTS",
        autocompletion=shared.known_weights,
        help="Weights whose pictures are the target, in place of the good ones.",
        show_default=False,
        rich_help_panel=NETWORK,
    ),
]
LowOption = Annotated[
    Path | None,
    typer.Option(
        "--low",
        help="Folder of low pictures, named as the good ones. Default: they are made.",
        show_default=False,
        rich_help_panel=PICTURES,
    ),
]
DegradationOption = Annotated[
    Preset | None,
    typer.Option(
        "--degradation",
        help="How low pictures are made. Default: the preset's.",
        show_default=False,
        rich_help_panel=PICTURES,
    ),
]
PresetOption = Annotated[
    PresetChoice | None,
    typer.Option(
        "--preset",
        help="Losses. Default: realesrgan, or psnr where VGG19's weights cannot be had.",
        show_default=False,
        rich_help_panel=STEPS,
    ),
]
LossOption = Annotated[
    list[str] | None,
    typer.Option(
        "--loss",
        metavar="NAME=WEIGHT",
        help="Change the weight of a loss, add one, or take it away with 0. May be repeated.",
        show_default=False,
        rich_help_panel=STEPS,
    ),
]
StepsOption = Annotated[
    int | None,
    typer.Option(
        "--steps",
        min=1,
        help="How many times the weights are changed. Default: 5000 on a GPU, 300 on a CPU.",
        show_default=False,
        rich_help_panel=STEPS,
    ),
]
BatchOption = Annotated[
    int | None,
    typer.Option(
        "--batch",
        min=1,
        help="Pairs of a step; in parts where memory is short. Default: 16 on a GPU, 4 on a CPU.",
        show_default=False,
        rich_help_panel=STEPS,
    ),
]
PatchOption = Annotated[
    int | None,
    typer.Option(
        "--patch",
        min=16,
        metavar="PIXELS",
        help="Side of a patch of the good pictures in pixels, a multiple of the scale. "
        "Default: 192 for x4 on a GPU, 96 on a CPU.",
        show_default=False,
        rich_help_panel=STEPS,
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        "--lr",
        metavar="RATE",
        help="Learning rate, as 1e-4. Default: the preset's.",
        show_default=False,
        rich_help_panel=STEPS,
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        help="Of the split, the order, the crops. Default: 0.",
        show_default=False,
        rich_help_panel=STEPS,
    ),
]
PrecisionOption = Annotated[
    shared.PrecisionChoice | None,
    typer.Option(
        "--precision",
        help="Numbers to compute with. Default: bf16 or fp16 on CUDA, else fp32.",
        show_default=False,
        rich_help_panel=RUN,
    ),
]
CompileOption = Annotated[
    bool | None,
    typer.Option(
        "--compile/--no-compile",
        help="torch.compile: minutes first, then faster. Default: not.",
        show_default=False,
        rich_help_panel=RUN,
    ),
]
VggOption = Annotated[
    Path | None,
    typer.Option(
        "--vgg-weights",
        help="torchvision's vgg19 file. Default: fetched when a loss needs it.",
        show_default=False,
        rich_help_panel=RUN,
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with the last run of this name (or -o).", rich_help_panel=RUN
    ),
]
RunFolderOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Folder of the run. Default: runs/ and the name of the pictures' folder.",
        show_default=False,
        rich_help_panel=RUN,
    ),
]


def finetune(
    folder: FolderArgument,
    low: LowOption = None,
    degradation: DegradationOption = None,
    model: ModelOption = None,
    scale: ScaleOption = None,
    teacher: TeacherOption = None,
    preset: PresetOption = None,
    loss: LossOption = None,
    steps: StepsOption = None,
    batch: BatchOption = None,
    patch: PatchOption = None,
    lr: RateOption = None,
    seed: SeedOption = None,
    precision: PrecisionOption = None,
    compile: CompileOption = None,
    vgg_weights: VggOption = None,
    device: shared.DeviceOption = "auto",
    output: RunFolderOption = None,
    resume: ResumeOption = False,
    offline: shared.OfflineOption = False,
    trust: shared.TrustOption = False,
    json: shared.JsonOption = False,
    quiet: shared.QuietOption = False,
) -> None:
    """Train weights further on a folder of your own pictures.

    It checks the folder, trains, and ends with the line that uses the result. Ctrl-C saves the
    run; the same command with --resume goes on.
    """
    from srcli.services.stop import Stop
    from srcli.services.training.networks import Sources
    from srcli.services.training.preparation import RunOptions
    from srcli.services.training.request import FinetuneRequest
    from srcli.services.training.request import finetune as run

    request = FinetuneRequest(
        folder=folder,
        low=low,
        model=model,
        scale=scale,
        degradation=degradation and degradation.value,
        preset=preset and preset.value,
        steps=steps,
        batch=batch,
        patch_px=patch,
        learning_rate=lr,
        losses=tuple(loss or ()),
        precision=precision and precision.value,
        compile=compile,
        seed=seed,
        teacher=teacher,
        output=output,
    )
    stop = Stop()
    with TrainingView(json=json, quiet=quiet, stop=stop) as view:
        sources = Sources(offline=offline or None, trust=trust, on_event=view.weights_event)
        options = RunOptions(device=device, sources=sources, vgg_weights=vgg_weights, resume=resume)
        view.ended(run(request, options, view, stop))
    raise typer.Exit(view.exit_code)
