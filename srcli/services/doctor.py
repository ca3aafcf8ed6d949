"""What this machine offers srcli, and what is missing: facts for a bug report."""

from __future__ import annotations

import platform
import shutil
import socket
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

from srcli import __version__
from srcli.errors import SrcliError
from srcli.io.cache import cache_root
from srcli.io.looks import is_there
from srcli.io.sources.network import is_offline
from srcli.services.devices import DeviceFacts, list_devices

PACKAGES = (
    "torch",
    "torchvision",
    "spandrel",
    "safetensors",
    "huggingface-hub",
    "pyvips",
    "pillow",
    "numpy",
    "pillow-heif",
)
HOSTS = ("https://huggingface.co", "https://github.com")
PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """Whether a host that weights come from answers."""

    address: str
    is_reachable: bool
    detail: str  # milliseconds, or what went wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """Everything `srcli doctor` shows."""

    srcli: str
    python: str
    system: str
    packages: dict[str, str | None]
    libvips: str | None  # None where it cannot be used
    libvips_refused: str | None  # why
    formats: tuple[str, ...]  # that libvips writes
    devices: tuple[DeviceFacts, ...]
    cache: Path
    cache_free_bytes: int
    is_offline: bool
    sources: tuple[SourceFacts, ...]


def examine() -> DoctorReport:
    """Look at the machine; opens a connection to each host unless offline."""
    root = cache_root()
    existing = next(path for path in (root, *root.parents) if is_there(path))
    offline = is_offline(None)
    libvips, formats, refused = _libvips()
    return DoctorReport(
        srcli=__version__,
        python=sys.version.split()[0],
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        packages={name: _version(name) for name in PACKAGES},
        libvips=libvips,
        libvips_refused=refused,
        formats=formats,
        devices=tuple(list_devices()),
        cache=root,
        cache_free_bytes=shutil.disk_usage(existing).free,
        is_offline=offline,
        sources=() if offline else tuple(_knock(address) for address in HOSTS),
    )


def _libvips() -> tuple[str | None, tuple[str, ...], str | None]:
    """Its version and what it writes; or why it cannot be used, which is for doctor to say."""
    try:
        from srcli.io.vips import libvips_version, written_suffixes  # loads the library
    except SrcliError as error:
        return None, (), f"{error} ({error.hint})"
    return libvips_version(), tuple(written_suffixes()), None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _knock(address: str) -> SourceFacts:
    started = time.perf_counter()
    try:
        with socket.create_connection((urlsplit(address).hostname, 443), PATIENCE_SECONDS):
            took = (time.perf_counter() - started) * 1000
            return SourceFacts(address=address, is_reachable=True, detail=f"{took:.0f} ms")
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        return SourceFacts(address=address, is_reachable=False, detail=why)
