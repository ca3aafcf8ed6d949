"""The folder of a run: what is in it, and how it appears whole or not at all.

runs/photos/
├── config.toml             all settings, also those that were "auto"
├── launch                  which torchrun started it, so that its restarts know it
├── best.safetensors        the average weights at the best validation: for `srcli upscale -m`
├── last.safetensors        those of the last step
├── metrics.jsonl           a line per interval, per validation and per remark
├── report.html             all of it on a page for people
├── samples/step-000500.png low | before | now | target
├── checkpoints/step-000500.pt   the last ones and the best
└── tensorboard/            if it is installed
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srcli.errors import BadWeightsError, DiskFullError, OutputError, UsageError
from srcli.io.checkpoints import read_checkpoint, write_checkpoint
from srcli.io.files import refused, replacing
from srcli.io.looks import is_folder, is_there

CHECKPOINT = re.compile(r"step-(\d+)\.pt")
SHEET = re.compile(r"step-(\d+)\.png$")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of a run."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def launch(self) -> Path:
        return self.path / "launch"

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        return self.path / "last.safetensors"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def page(self) -> Path:
        return self.path / "report.html"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def teacher(self) -> Path:
        return self.path / "teacher"

    @property
    def before(self) -> Path:
        """The samples of the first validation, as tensors."""
        return self.path / "samples" / "before.safetensors"

    def sheet(self, step: int) -> Path:
        """The sample sheet of a step."""
        return self.path / "samples" / f"step-{step:06}.png"

    def sheets(self) -> list[tuple[int, Path]]:
        """The sample sheets there are, with their steps, in order."""
        found = (self.path / "samples").glob("step-*.png")
        return sorted((int(match[1]), path) for path in found if (match := SHEET.match(path.name)))

    def checkpoint(self, step: int) -> Path:
        """The checkpoint of a step."""
        return self.path / "checkpoints" / f"step-{step:06}.pt"

    def is_of(self, launch: str | None) -> bool:
        """Whether this launch of torchrun began the run, before a process of it was lost."""
        try:
            return launch is not None and self.launch.read_text("utf-8") == launch
        except FileNotFoundError:
            return False

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is something to go on from."""
        return any(self._checkpoints())

    @property
    def is_stillborn(self) -> bool:
        """Whether a run was killed here before it had saved anything."""
        if self.has_checkpoint or not is_folder(self.path):
            return False
        if is_folder(self.path / "checkpoints"):
            return True
        with suppress(OSError):  # nobody may look into it: then nobody knows
            return not any(self.path.iterdir())
        return False

    def check_unused(self) -> None:
        """Raise OutputError if there is a run in the folder already."""
        if self.has_checkpoint or (is_there(self.config) and not self.is_stillborn):
            raise OutputError(
                f"{self.path} holds a run already",
                hint="go on with it by --resume, or name another folder with --output",
            )

    def create(self, launch: str | None = None) -> None:
        """Make the folder, for this launch of torchrun; OutputError if it cannot be made."""
        try:
            self.checkpoint(0).parent.mkdir(parents=True, exist_ok=True)
            self.metrics.unlink(missing_ok=True)  # of one killed before it saved anything
        except OSError as error:
            hint = "name another folder with --output"
            raise refused(self.path, "cannot be made", error, hint=hint) from None
        if launch is not None:
            with replacing(self.launch) as partial:
                partial.write_text(launch, "utf-8")

    def write_config(self, text: str) -> None:
        """Write the settings of the run."""
        with replacing(self.config) as partial:
            partial.write_text(text, "utf-8")

    def save(self, state: dict[str, Any], *, keep: int, best_step: int | None) -> Path:
        """Write a checkpoint and remove the old ones, but not the best.

        On a full disk the old ones go first. Raises DiskFullError if that was not enough; then
        the newest of them is still there.
        """
        path = self.checkpoint(state["training"]["step"])
        try:
            write_checkpoint(path, state)
        except DiskFullError:
            if not self._prune(keep=1, best_step=None):
                raise
            write_checkpoint(path, state)
        self._prune(keep=keep, best_step=best_step)
        return path

    def newest(self) -> tuple[Path, dict[str, Any]]:
        """The newest checkpoint that can be read. UsageError if there is none."""
        damaged = ""
        for _, path in sorted(self._checkpoints(), reverse=True):
            try:
                return path, read_checkpoint(path)
            except BadWeightsError as error:
                damaged = f": {error}"
        raise UsageError(
            f"{self.path} has no checkpoint to go on from{damaged}",
            hint="start a new run, or name the folder of another with --output",
        )

    def _checkpoints(self) -> Iterator[tuple[int, Path]]:
        folder = self.path / "checkpoints"
        found = folder.glob("step-*.pt") if is_folder(folder) else ()
        for path in found:
            if match := CHECKPOINT.fullmatch(path.name):
                yield int(match[1]), path

    def _prune(self, *, keep: int, best_step: int | None) -> bool:
        """Remove all but the last `keep` and the best; whether that freed anything."""
        found = sorted(self._checkpoints())
        superfluous = [path for step, path in found[:-keep] if step != best_step]
        for path in superfluous:
            path.unlink(missing_ok=True)
        return bool(superfluous)


def unused_folder(wanted: Path) -> Path:
    """`wanted`, or the first of wanted-2, wanted-3, ... that is not there yet."""
    number, path = 1, wanted
    while is_there(path):
        number += 1
        path = wanted.with_name(f"{wanted.name}-{number}")
    return path


def latest_folder(wanted: Path) -> Path:
    """The last of wanted, wanted-2, wanted-3, ... that is there; `wanted` if none is."""
    number, path = 1, wanted
    while is_there(following := wanted.with_name(f"{wanted.name}-{number + 1}")):
        number, path = number + 1, following
    return path
