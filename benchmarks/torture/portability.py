"""The wheel in fresh environments: Pythons, oldest and newest dependencies, odd surroundings.

    python benchmarks/torture/portability.py --folder DIR [--python PATH]... [--keep]

For each interpreter (this one if none is named) uv makes three environments: of the newest and of
the oldest versions that pyproject.toml allows, and of the oldest without any extra, which would ask
for newer ones. The wheel is installed there. In the first two the tests that decide are run on it:
tests/inference, models, cli and pictures. In the first and the third it is started in every place
of surroundings.py. An environment takes 7 GB while it is there.
Ends with 0 if nothing failed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from surroundings import ROOT, run_all

PARTS = ("tests/inference", "tests/models", "tests/cli", "tests/pictures")
RESOLUTIONS = {"newest": "highest", "oldest": "lowest-direct", "oldest, bare": "lowest-direct"}
FACTS = """
import platform, torch
from srcli.io.vips import libvips_version
print(platform.python_version(), torch.__version__.partition("+")[0], libvips_version())
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    cells: tuple[str, ...]
    is_right: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where environments are made")
    parser.add_argument("--python", action="append", default=[], help="an interpreter; repeat it")
    parser.add_argument("--keep", action="store_true", help="leave the environments there")
    parser.add_argument("--part", action="append", default=[], help="tests to run instead")
    options = parser.parse_args()
    wheel = _wheel(options.folder / "dist")
    sys.stdout.write("| dependencies | Python, torch, libvips | what | outcome |\n")
    sys.stdout.write("| --- | --- | --- | --- |\n")
    is_right = True
    for python in options.python or [sys.executable]:
        for name in RESOLUTIONS:
            place = options.folder / f"{Path(python).name}-{name.replace(', ', '-')}"
            for row in _environment(python, name, wheel, place, options.part or PARTS):
                sys.stdout.write(f"| {' | '.join(row.cells)} |\n")
                sys.stdout.flush()
                is_right &= row.is_right
            if not options.keep:
                shutil.rmtree(place, ignore_errors=True)
    return 0 if is_right else 1


def _wheel(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    line = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


def _environment(
    python: str, name: str, wheel: Path, place: Path, parts: tuple[str, ...]
) -> Iterator[Row]:
    interpreter = place / "bin" / "python"
    told = _install(python, name, wheel, place)
    if told:
        yield Row((name, python, "installing", told), False)
        return
    facts = ", ".join(_run(str(interpreter), "-c", FACTS, cwd=place).stdout.split())
    for part in () if name == "oldest, bare" else parts:
        # Not `python -m pytest`, which would find the package of the checkout first.
        done = _run(str(place / "bin" / "pytest"), "-q", "-p", "no:cacheprovider", part)
        told = (done.stdout.strip().splitlines() or [done.stderr.strip()[-200:]])[-1].strip("= ")
        yield Row((name, facts, part, told), done.returncode == 0)
    if name != "oldest":
        outcomes = list(run_all((str(interpreter),)))
        faults = [f"{each.surrounding.name}: {each.fault}" for each in outcomes if each.fault]
        told = "; ".join(faults) or "all as promised"
        yield Row((name, facts, f"{len(outcomes)} surroundings", told), not faults)


def _install(python: str, name: str, wheel: Path, place: Path) -> str:
    """Make the environment; what went wrong, if anything did.

    The versions are resolved for pyproject.toml, not for the wheel: of a wheel that is installed,
    uv takes the oldest version of the wheel alone, and the newest of all it needs.
    """
    versions, to = str(place / "versions.txt"), ("--quiet", "--python", str(place / "bin/python"))
    extra = () if name == "oldest, bare" else ("--extra", "test")
    wanted = ("--resolution", RESOLUTIONS[name], *extra, "pyproject.toml", "-o", versions)
    for words in (
        ("venv", "--quiet", "--clear", "--python", python, str(place)),
        ("pip", "compile", *to, *wanted),
        ("pip", "install", *to, "-r", versions),
        ("pip", "install", *to, "--no-deps", str(wheel)),
    ):
        made = _run("uv", *words)
        if made.returncode != 0:
            return made.stderr.strip()[-300:]
    return ""


def _run(*line: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    raise SystemExit(main())
