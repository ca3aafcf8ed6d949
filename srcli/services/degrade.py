"""Make low pictures from good ones, and keep a record of what was done to each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from srcli.data.crops import mixed_seed
from srcli.data.decode import read_picture
from srcli.data.survey import claims_to_be_a_picture, files_below
from srcli.degradations.names import Preset
from srcli.degradations.presets import DEGRADATIONS
from srcli.degradations.recipe import Recipe, degrade
from srcli.errors import ConfigError, ImageError, OutputError, SrcliError, UsageError
from srcli.io.files import output_errors, replacing
from srcli.io.looks import is_there
from srcli.reports.contact import Levels, Row, contact_sheet
from srcli.services.naming import distinct

RECIPES = "recipes.jsonl"
SHEET_ROWS = 12
LARGEST_SCALE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradeConfig:
    """How pictures are degraded. The same seed gives the same pictures."""

    preset: Preset = Preset.REALESRGAN
    scale: int = 4
    seed: int = 0
    has_sheet: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.scale <= LARGEST_SCALE:
            hint = f"use a whole number from 1 to {LARGEST_SCALE}"
            raise ConfigError(f"impossible scale {self.scale}", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """A low picture that was written."""

    source: Path
    output: Path
    size: tuple[int, int]  # height, width of the low picture
    recipe: Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDegraded:
    """A picture that could not be used, and why."""

    source: Path
    error: SrcliError


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradeReport:
    """What became of a folder."""

    done: tuple[Degraded, ...]
    failed: tuple[NotDegraded, ...]
    recipes: Path | None
    sheet: Path | None


OnPicture = Callable[[Degraded | NotDegraded], None]


def degrade_folder(
    folder: Path,
    output: Path,
    config: DegradeConfig,
    *,
    on_picture: OnPicture = lambda _: None,
) -> DegradeReport:
    """Degrade every picture below `folder` into PNG files of the same names below `output`.

    A picture is first cropped to a multiple of the scale, from the right and the bottom. Each has
    a recipe of its own, which hangs on the seed and its name only; `recipes.jsonl` in `output`
    has all of them. The contact sheet is put beside `output`, which stays a folder of low
    pictures. A picture that fails is reported, and the rest goes on.

    Raises UsageError if there is no such folder or no picture in it; OutputError or DiskFullError
    if `output` cannot be written, or holds an earlier result that is not to be overwritten.
    """
    recipes = output / RECIPES
    if is_there(recipes) and not config.overwrite:
        hint = "add --overwrite, or choose another folder"
        raise OutputError(f"{output} holds an earlier result", hint=hint)
    sources = [path for path in files_below(folder) if not _is_ours(path, output)]
    with output_errors(output):
        output.mkdir(parents=True, exist_ok=True)
    work = _Work(folder=folder, output=output, config=config, names=_names(sources, folder))
    results: list[Degraded | NotDegraded] = []
    try:
        for result in work.run(sources):
            results.append(result)
            on_picture(result)
    finally:  # an interrupted run keeps the record of what it wrote
        done = tuple(result for result in results if isinstance(result, Degraded))
        if done:
            _write_recipes(recipes, folder, done)
    if not results:
        raise UsageError(f"{folder}: no picture in it", hint="give a folder of pictures")
    return DegradeReport(
        done=done,
        failed=tuple(result for result in results if isinstance(result, NotDegraded)),
        recipes=recipes if done else None,
        sheet=_write_sheet(_sheet(output), work.rows) if config.has_sheet and done else None,
    )


class _Work:
    """The pictures of one folder, one after another; `rows` is what the sheet will show."""

    def __init__(
        self, *, folder: Path, output: Path, config: DegradeConfig, names: dict[Path, Path]
    ) -> None:
        self.folder = folder
        self.output = output
        self.config = config
        self.names = names
        self.rows: list[Row] = []

    def run(self, sources: Sequence[Path]) -> Iterator[Degraded | NotDegraded]:
        for source in sources:
            try:
                yield self.degrade(source)
            except ImageError as error:
                if claims_to_be_a_picture(source):
                    yield NotDegraded(source=source, error=error)

    def degrade(self, source: Path) -> Degraded:
        high = _cropped(read_picture(source), source, self.config.scale)
        name = source.relative_to(self.folder).as_posix()
        generator = torch.Generator().manual_seed(mixed_seed(self.config.seed, name))
        recipe = DEGRADATIONS[self.config.preset].draw(self.config.scale, generator)
        low = _levels(degrade(high.unsqueeze(0).float() / 255, [recipe])[0] * 255)
        path = self.output / self.names[source]
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            Image.fromarray(low).save(partial)
        if self.config.has_sheet and len(self.rows) < SHEET_ROWS:
            row = Row(title=name, caption=str(recipe), high=_levels(high), low=low)
            self.rows.append(row)
        return Degraded(source=source, output=path, size=low.shape[:2], recipe=recipe)


def _names(sources: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Where each goes, below the output: its own path as .png; a.jpg beside a.tif as a.jpg.png."""
    names = {source: source.relative_to(folder).with_suffix(".png") for source in sources}
    uses = Counter(names.values())
    apart = (
        name if uses[name] == 1 else name.with_name(f"{source.name}.png")
        for source, name in names.items()
    )
    stems = distinct(name.with_suffix("").as_posix() for name in apart)  # a.jpg.png may be there
    return {source: Path(f"{stem}.png") for source, stem in zip(names, stems, strict=True)}


def _cropped(picture: Tensor, source: Path, scale: int) -> Tensor:
    height, width = (side // scale * scale for side in picture.shape[1:])
    if not height or not width:
        message = f"{source} is smaller than the scale {scale}"
        raise ImageError(message, hint="remove it, or use a smaller scale")
    return picture[:, :height, :width]


def _levels(picture: Tensor) -> Levels:
    return picture.round().byte().permute(1, 2, 0).contiguous().numpy()


def _write_recipes(path: Path, folder: Path, done: Sequence[Degraded]) -> None:
    records = (
        {
            "source": each.source.relative_to(folder).as_posix(),
            "low": each.output.relative_to(path.parent).as_posix(),
            "recipe": json.loads(each.recipe.to_json()),
        }
        for each in done
    )
    with replacing(path) as partial:
        # In ASCII: the name of a file may be no text.
        partial.write_text("".join(f"{json.dumps(record)}\n" for record in records), "ascii")


def _sheet(output: Path) -> Path:
    return output.with_name(f"{output.name}-sheet.png")


def _is_ours(path: Path, output: Path) -> bool:
    """Written by an earlier run, where the output lies in the folder that is degraded."""
    path, output = path.resolve(), output.resolve()
    return path.is_relative_to(output) or path == _sheet(output)


def _write_sheet(path: Path, rows: Sequence[Row]) -> Path:
    with replacing(path) as partial:
        contact_sheet(rows).save(partial)
    return path
