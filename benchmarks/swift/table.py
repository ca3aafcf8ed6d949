"""How good `swift` is on the held-out photographs, as the tables of its model card.

python benchmarks/swift/table.py [FOLDER] [WEIGHTS]      after prepare.py; x4plus takes minutes

Each photograph is shrunk by 4, plainly and with the degradation "light". Scores are PSNR on luma
and ST-LPIPS to the true picture, and PSNR to what realesrgan-x4plus makes of the same low one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev

from srcli.degradations.names import Preset
from srcli.services.evaluate import EvaluateRequest, PictureScore, evaluate

TEACHER = "realesrgan-x4plus"
OTHERS = ("bicubic", "lanczos", "realesr-animevideov3")
METRICS, TEACHER_METRICS = ("psnr", "st-lpips"), ("psnr",)
PRESETS = {Preset.BICUBIC: "shrunk plainly", Preset.LIGHT: "degraded"}


def main(folder: Path, weights: str) -> str:
    """Both tables in Markdown."""
    lines = []
    for preset, title in PRESETS.items():
        low, taught = folder / "judged" / f"low-{preset}", folder / "judged" / f"teacher-{preset}"
        srcli("degrade", folder / "held-out", "-o", low, "--preset", preset, "--overwrite")
        # In bf16, which is 55 dB from fp32 and takes a third of the time.
        srcli("upscale", low, "-o", taught, "-m", TEACHER, "--precision", "bf16", "--suffix", "")
        models = (*OTHERS, weights)
        truth = scores(folder / "held-out", low, models, restored=(taught,))
        teacher = scores(taught, low, models, TEACHER_METRICS)
        lines += [f"\n{title}, {len(next(iter(truth.values())))} photographs:\n", HEAD]
        truth = {TEACHER if name == str(taught) else name: truth[name] for name in truth}
        lines += [row(name, truth[name], teacher.get(name, ())) for name in truth]
    return "\n".join(lines)


HEAD = "| | PSNR, dB | ST-LPIPS | PSNR to x4plus, dB |\n| --- | --- | --- | --- |"


def scores(
    target: Path,
    low: Path,
    models: Sequence[str],
    metrics: tuple[str, ...] = METRICS,
    *,
    restored: tuple[Path, ...] = (),
) -> dict[str, tuple[PictureScore, ...]]:
    """The scores of every picture by candidate."""
    request = EvaluateRequest(
        target=target, low=low, models=tuple(models), restored=restored, metrics=metrics
    )
    report = evaluate(request)
    assert not report.unavailable and not any(each.failed for each in report.candidates)
    return {candidate.name: candidate.pictures for candidate in report.candidates}


def row(name: str, truth: Sequence[PictureScore], teacher: Sequence[PictureScore]) -> str:
    """A candidate's line: mean and standard deviation over the photographs."""
    cells = [*spreads(truth), *(spreads(teacher) if teacher else ("-",))]
    return f"| {name} | {' | '.join(cells)} |"


def spreads(pictures: Sequence[PictureScore]) -> Iterator[str]:
    """Each column as `mean ± deviation`."""
    for column, digits in zip(pictures[0].scores, (2, 4), strict=False):
        values = [picture.scores[column] for picture in pictures]
        numbers = [value for value in values if value is not None]
        yield f"{fmean(numbers):.{digits}f} ± {stdev(numbers):.{digits}f}"


def srcli(*arguments: object) -> None:
    """Run a command of srcli."""
    command = [sys.executable, "-m", "srcli", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    arguments = [*sys.argv[1:], *("swift-data", "swift")[len(sys.argv) - 1 :]]
    print(main(Path(arguments[0]), arguments[1]))
