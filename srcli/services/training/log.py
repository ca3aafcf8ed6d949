"""metrics.jsonl: the journal of a run, a line for each thing that happened.

{"type": "begin", "step": 0, "network": ..., "losses": [...], ...}     a sitting begins
{"type": "bicubic", "step": 0, "psnr": 30.12, ...}                     what the run is to beat
{"type": "validation", "step": 0, "psnr": 27.16, ...}                  0 is before the training
{"type": "train", "step": 50, "loss/pixel": 0.02, "rate": 1e-4, ...}   means of an interval
{"type": "warning", "step": 50, "text": ...}                           also "note"
{"type": "end", "step": 300, "state": "done", "seconds": 411.0}        or stopped, failed
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, TypeAdapter
from pydantic_core import from_json

from srcli.io.files import output_errors, replacing
from srcli.io.looks import is_file
from srcli.services.training.folder import RunFolder

Record: TypeAlias = dict[str, Any]

Number: TypeAlias = float | None  # none where it was not finite


class _Line(BaseModel):
    """What every line has; a later srcli may add to it."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)
    step: NonNegativeInt


class _Begin(_Line):
    type: Literal["begin"]
    network: str
    base: str
    losses: list[str]
    device: str
    precision: str
    steps: int
    batch: int
    patch_px: int
    parts: int
    training: int
    validation: int
    time: str
    software: str


class _Scores(_Line):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number]
    type: Literal["bicubic", "validation"]


class _Train(_Line):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number]
    type: Literal["train"]
    seconds: float


class _Remark(_Line):
    type: Literal["warning", "note"]
    text: str


class _End(_Line):
    type: Literal["end"]
    state: Literal["done", "stopped", "failed"]
    seconds: float


_LINE: TypeAdapter[_Line] = TypeAdapter(
    Annotated[_Begin | _Scores | _Train | _Remark | _End, Field(discriminator="type")]
)

REPEATED = {"train", "validation"}  # lines that a run writes anew when it goes on from before them


class MetricsLog:
    """Numbers by step, in metrics.jsonl and, where it is installed, for TensorBoard."""

    def __init__(self, folder: RunFolder, *, tensorboard: bool, from_step: int) -> None:
        self._path = folder.metrics
        self.forget_after(from_step)
        self._board = _tensorboard(folder.tensorboard, from_step) if tensorboard else None

    @property
    def has_tensorboard(self) -> bool:
        """Whether TensorBoard gets the numbers too."""
        return self._board is not None

    def write(self, kind: str, step: int, numbers: Mapping[str, float]) -> None:
        """Add a line: {"type": kind, "step": step, ...}."""
        self._append({"type": kind, "step": step, **numbers})
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def tell(self, kind: str, step: int, facts: Mapping[str, object]) -> None:
        """Add a line of what is no measurement."""
        self._append({"type": kind, "step": step, **facts})

    def close(self) -> None:
        """Finish the files."""
        if self._board is not None:
            self._board.close()

    def forget_after(self, step: int) -> None:
        """Drop what a run wrote after its checkpoint: those steps are done again."""
        if not is_file(self._path):
            return
        kept = [
            line
            for line, record in _read(self._path)
            if record["step"] <= step or record["type"] not in REPEATED
        ]
        with replacing(self._path) as partial:
            partial.write_text("".join(f"{line}\n" for line in kept), "utf-8")

    def _append(self, record: Mapping[str, object]) -> None:
        known = {name: None if _is_beyond(value) else value for name, value in record.items()}
        with output_errors(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(known, allow_nan=False) + "\n")


def _is_beyond(value: object) -> bool:
    """JSON has no word for it: the PSNR of a picture that is restored exactly."""
    return isinstance(value, float) and not isfinite(value)


def _tensorboard(folder: Path, from_step: int) -> Any | None:  # noqa: ANN401 (an optional package)
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    try:
        return SummaryWriter(str(folder), purge_step=from_step + 1)
    except UnicodeEncodeError:  # it takes no folder whose name is no text
        return None


def read_log(path: Path) -> list[Record]:
    """The lines of a journal; none where there is no file. A damaged line is left out."""
    return [record for _, record in _read(path)] if is_file(path) else []


def _read(path: Path) -> Iterator[tuple[str, Record]]:
    """Each line that is whole, and what it says: a kill may cut one off."""
    for line in path.read_text("utf-8", "replace").splitlines():
        try:
            record: Record = from_json(line)
            _LINE.validate_python(record)
        except ValueError:  # which pydantic's ValidationError is, too
            continue
        yield line, record
