"""What people type: the examples that end each command's help, its page and the manual."""

from __future__ import annotations

from typing import NamedTuple

LONG = 56  # a longer line stands out of the column of effects


class Example(NamedTuple):
    """A line that works as it stands, and what it does."""

    line: str
    effect: str


EXAMPLES: dict[str, tuple[Example, ...]] = {
    "upscale": (
        Example("srcli upscale photo.jpg", "write photo_x4.jpg beside it"),
        Example("srcli upscale photo.jpg -o poster.tif --long-side 6000", "a size, not a factor"),
        Example("srcli upscale drawing.png -m realesrgan-x4plus-anime", "other weights"),
        Example("srcli upscale photos -r -o large", "a folder; again, it goes on where it ended"),
        Example("srcli upscale - -o - < photo.png > large.png", "in a pipe"),
    ),
    "finetune": (
        Example("srcli finetune photos", "train realesrgan-x4plus further on your pictures"),
        Example("srcli finetune photos --resume", "go on with a run that was stopped"),
        Example(
            "srcli finetune photos -m realesrgan-x4plus-anime --preset psnr --steps 200",
            "smaller weights, exact pixels, a short run",
        ),
    ),
    "train": (
        Example("srcli train --print-config psnr > run.toml", "a training file to edit"),
        Example("srcli train run.toml", "run it"),
    ),
    "bench": (
        Example("srcli bench", "the default weights on 512 x 512 pixels"),
        Example(
            "srcli bench -m realesrgan-x4plus-anime-6b --vs all --size 1024",
            "beside every other program that is installed",
        ),
    ),
    "report": (
        Example("srcli report runs/photos", "make the page of a run anew"),
        Example("srcli report runs/photos runs/photos-2", "two runs over each other: runs.html"),
    ),
    "doctor": (
        Example("srcli doctor", "devices, memory, versions, sources of weights"),
        Example("srcli doctor --json", "the same for a program, or for a bug report"),
    ),
    "degrade": (
        Example("srcli degrade photos -o low", "as Real-ESRGAN's training does, four times less"),
        Example("srcli degrade photos -o low --preset light --scale 2 --sheet", "and a sheet"),
    ),
    "compare": (
        Example("srcli compare photo.jpg photo_x4.jpg", "write compare.html"),
        Example("srcli compare a.png b.png c.png --sheet crops.png", "crops side by side"),
        Example("srcli compare before after -o pages", "two folders: an index and its pages"),
    ),
    "evaluate": (
        Example("srcli evaluate restored target", "score pictures that are there"),
        Example(
            "srcli evaluate -m realesrgan-x4plus -m bicubic --target target --scale 4",
            "shrink the targets, restore them with each, score; the best is marked",
        ),
        Example("srcli evaluate restored target --channels y,rgb --csv scores.csv", "and a table"),
    ),
    "export": (
        Example("srcli export realesrgan-x4plus-anime --to onnx", "for ONNX Runtime and others"),
        Example("srcli export realesr-animevideov3 --to ncnn --half", "for Vulkan on any card"),
    ),
    "serve": (
        Example("srcli serve", "on this machine; the page is at http://127.0.0.1:8000"),
        Example("srcli serve -m realesrgan-x4plus -m realesr-general-x4v3", "two to choose from"),
        Example("srcli serve --host 0.0.0.0 --api-key-file key.txt", "for others, with a key"),
    ),
    "weights list": (Example("srcli weights list", "what there is, and what is here"),),
    "weights show": (Example("srcli weights show realesrgan-x4plus", "everything about one"),),
    "weights search": (
        Example("srcli weights search denoise --scale 4", "in OpenModelDB, with its package"),
    ),
    "weights pull": (
        Example("srcli weights pull realesrgan-x4plus bsrgan", "fetch before going offline"),
    ),
    "weights verify": (Example("srcli weights verify", "hash all that is in the cache"),),
    "weights import": (
        Example("srcli weights import net.pth --name my-net", "then: srcli upscale -m my-net"),
    ),
    "weights path": (Example("srcli weights path realesrgan-x4plus", "for a script"),),
    "weights remove": (Example("srcli weights remove realesrgan-x4plus", "free the space"),),
    "weights blend": (
        Example(
            "srcli weights blend esrgan-psnr esrgan --alpha 0.8 -o mixed.safetensors",
            "a fifth calm, four fifths sharp",
        ),
    ),
}


def epilog(command: str) -> str:
    """The examples as the end of a command's help: a paragraph for each line, as typer wants it."""
    width = max((len(each.line) for each in EXAMPLES[command] if len(each.line) <= LONG), default=0)
    lines = [f"[bold]{each.line:<{width}}[/bold]  {each.effect}" for each in EXAMPLES[command]]
    return "\n\n".join(["Examples:", *lines])
