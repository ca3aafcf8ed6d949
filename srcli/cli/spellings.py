"""The spellings that users of neighbouring tools type, turned into ours before parsing."""

from __future__ import annotations

from collections.abc import Iterator

# Real-ESRGAN, its ncnn port and upscayl say these; the right column is what srcli's help shows.
NAMES = {
    "--outscale": "--scale",
    "--scaling-factor": "--scale",
    "--model-name": "--model",
    "--model-path": "--model",
    "-n": "--model",
    "--tile-pad": "--halo",
    "--tile-size": "--tile",
    "--ext": "--format",
    "--output-path": "--output",
    "--alpha-upsampler": "--alpha",
    "--gpu-id": "-g",
    "--input": "-i",
    "-x": "--tta",
    "-f": "--format",
}
VALUES = {
    "--alpha": {"realesrgan": "network", "net": "network", "bicubic": "lanczos"},
    "--tile": {"0": "off"},  # Real-ESRGAN's "no tiling"
    "--format": {"jpg": "jpeg", "tif": "tiff", "heif": "heic"},
}


def canonical(arguments: list[str]) -> list[str]:
    """Rewrite foreign spellings of `srcli upscale`; everything else passes through unchanged.

    >>> canonical(["upscale", "-i", "a.png", "--outscale=2", "--fp32", "-g", "1"])
    ['upscale', 'a.png', '--scale', '2', '--precision', 'fp32', '--device', 'cuda:1']
    """
    if not arguments or arguments[0] != "upscale":
        return arguments
    rest = _split_equals(arguments[1:])
    return ["upscale", *(word for argument in rest for word in _rewrite(argument, rest))]


def _split_equals(arguments: list[str]) -> Iterator[str]:
    for place, argument in enumerate(arguments):
        if argument == "--":  # what follows are file names, whatever they look like
            yield from arguments[place:]
            return
        name, equals, value = argument.partition("=")
        if name.startswith("--") and equals:
            yield from (name, value)
        else:
            yield argument


def _rewrite(argument: str, rest: Iterator[str]) -> list[str]:
    if argument == "--":
        return ["--", *rest]
    if argument.startswith("--"):
        argument = argument.replace("_", "-")
    name = NAMES.get(argument, argument)
    if name == "--fp32":
        return ["--precision", "fp32"]
    if name == "-i":
        return _value(rest)
    if name == "-g":
        return ["--device", *map(_device, _value(rest))]
    if name in VALUES:
        value = [VALUES[name].get(word, word) for word in _value(rest)]
        return [] if (name, value) == ("--format", ["auto"]) else [name, *value]
    return [name]


def _value(rest: Iterator[str]) -> list[str]:
    return [value for value in [next(rest, None)] if value is not None]


def _device(gpu: str) -> str:
    return {"-1": "cpu"}.get(gpu, f"cuda:{gpu}" if gpu.isdigit() else gpu)
