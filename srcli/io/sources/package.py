"""Data files of a Python distribution: installed, or fetched with the environment's installer.

The distribution is never imported and no code of it ever runs: only wheels are accepted, nothing
is built, dependencies are left out, and the files are read like those of any archive.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from srcli.io.catalogue import PackageSource, WantedFile
from srcli.io.files import output_errors, scratch
from srcli.io.sources.check import measured, require_size
from srcli.io.sources.network import SourceError

# What the user has set for the installers wins; by themselves they wait for minutes.
_IMPATIENT = {"PIP_DEFAULT_TIMEOUT": "10", "PIP_RETRIES": "1", "UV_HTTP_TIMEOUT": "10"}
_CAUSE = re.compile(r"(error|cause|caused by):\s*|(×|╰─▶)\s*", re.IGNORECASE)
_QUIET = {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1"}


def installed(source: PackageSource) -> tuple[Path, ...] | None:
    """The files if the distribution is installed in this environment with all of them."""
    try:
        distribution = importlib.metadata.distribution(source.package)
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = tuple(Path(str(distribution.locate_file(file.path))) for file in source.files)
    return paths if all(path.is_file() for path in paths) else None


def fetch(source: PackageSource, partials: tuple[Path, ...]) -> tuple[WantedFile, ...]:
    """Fetch the wheel into a temporary folder and take the files out of it, to `partials`.

    Raises SourceError if the installer cannot get it or if a file is not the wanted one.
    """
    with scratch(partials[0].parent) as folder:
        _run_installer(source, folder)
        for wanted, partial in zip(source.files, partials, strict=True):
            _take(folder, wanted, partial)
    return tuple(map(measured, partials, source.files))


def _run_installer(source: PackageSource, folder: Path) -> None:
    requirement = f"{source.package}=={source.version}"
    if source.wheel_sha256:
        requirement += f" --hash=sha256:{source.wheel_sha256}"
    (folder / "requirements.txt").write_text(requirement + "\n")
    finished = subprocess.run(
        _command(),
        cwd=folder,  # not the user's folder, where a pip.py might lie
        env=_IMPATIENT | os.environ | _QUIET,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",  # the words of a program, in whatever coding it has
        check=False,
    )
    if finished.returncode:
        raise SourceError(_reason(finished.stderr))


def _command() -> list[str]:
    wheel = ["--no-deps", "--only-binary", ":all:", "--requirement", "requirements.txt"]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "download", "--dest", ".", *wheel]
    path = os.environ.get("PATH", os.defpath)  # who starts us may have taken it away
    if uv := shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{path}"):
        return [uv, "pip", "install", "--python", sys.executable, "--target", ".", *wheel]
    raise SourceError("neither pip nor uv is in this environment")


def _reason(complaint: str) -> str:
    """The innermost cause that pip or uv names.

    >>> _reason("Resolved a\\nerror: Failed to download `a`\\n  cause: Hash mismatch\\n\\n x")
    'Hash mismatch'
    """
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    causes = [line for line in lines if _CAUSE.match(line)]
    return _CAUSE.sub("", (causes or lines or ["the installer failed"])[-1])


def _take(folder: Path, wanted: WantedFile, partial: Path) -> None:
    """From the wheel that pip left there, or from the tree that uv unpacked."""
    wheel = next(folder.glob("*.whl"), None)
    with output_errors(partial):
        if wheel is None:
            if not (folder / wanted.path).is_file():
                raise SourceError(f"holds no {wanted.path}")
            shutil.copyfile(folder / wanted.path, partial)
            return
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(wanted.path) as member:
                require_size(archive.getinfo(wanted.path).file_size, wanted)
                with partial.open("wb") as file:
                    shutil.copyfileobj(member, file)
        except (KeyError, zipfile.BadZipFile) as error:
            raise SourceError(f"{wheel.name}: {error}") from None
