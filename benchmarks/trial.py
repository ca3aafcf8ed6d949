"""A run of `srcli train` on photographs, as a user would start it, and what it scored."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from photographs import photographs


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialScores:
    """PSNR in dB on luma, means over the held-out photographs."""

    pictures: str
    before: float
    after: float
    bicubic: float
    best_step: int
    seconds: int
    processor_seconds: int  # of all threads together
    load_before: float  # of the machine, which may have had other work
    load_after: float

    def to_json(self) -> str:
        """The scores as text."""
        return json.dumps(asdict(self), indent=1)


def run_trial(output: Path, changes: Mapping[str, str], *, network: str = "") -> TrialScores:
    """Print the psnr preset, change some keys (and the table of the network), train, and score."""
    source = photographs(output / "photographs")
    file = output / "trial.toml"
    file.write_text(_changed(_srcli("train", "--print-config", "psnr"), output, changes, network))
    load, started = os.getloadavg()[0], time.perf_counter()
    lines = _srcli("train", str(file), "--device", "cpu", "--json", "-o", str(output / "run"))
    report = json.loads(lines.splitlines()[-1])
    return TrialScores(
        pictures=source,
        before=round(report["before"]["psnr"], 2),
        after=round(report["best"]["scores"]["psnr"], 2),
        bicubic=round(report["bicubic"]["psnr"], 2),
        best_step=report["best"]["step"],
        seconds=round(time.perf_counter() - started),
        processor_seconds=round(_processor_seconds()),
        load_before=round(load, 1),
        load_after=round(os.getloadavg()[0], 1),
    )


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _changed(text: str, output: Path, changes: Mapping[str, str], network: str) -> str:
    changes = {"high": json.dumps(str(output / "photographs")), **changes}
    for key, value in changes.items():
        text, found = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        assert found, f"the file has no key {key}"
    if network:
        text = re.sub(r"(?ms)^\[network\].*?(?=^\[)", f"{network}\n", text)
    return text


def _srcli(*arguments: str) -> str:
    command = [sys.executable, "-m", "srcli", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
