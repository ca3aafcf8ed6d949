"""In processes of their own: the setting is a whole process's, and cannot be taken back."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

PREFER = "from srcli.inference.large_pages import prefer_large_pages; prefer_large_pages()\n"
KINDS = Path("/sys/kernel/mm/transparent_hugepage/enabled")
on_request = pytest.mark.skipif(
    not KINDS.exists() or "[madvise]" not in KINDS.read_text(),
    reason="this system gives large pages to all or to none",
)
# 30 MiB are written to, given back, and written to again: how many pages the second time needed.
AGAIN = """
import ctypes, resource
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(2):
    before = faults()
    place = libc.malloc(30 << 20)
    ctypes.memset(place, 1, 30 << 20)
    libc.free(place)
print(faults() - before)
"""
IN_LARGE_PAGES = """
import torch
tensor = torch.ones(64 << 20, dtype=torch.uint8)
print(open("/proc/self/smaps_rollup").read())
"""


def _run(script: str, **environment: str) -> str:
    clean = {
        name: value
        for name, value in os.environ.items()
        if name != "THP_MEM_ALLOC_ENABLE" and not name.startswith(("MALLOC_", "GLIBC_"))
    }
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, env=clean | environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def _large_kib(smaps: str) -> int:
    found = re.search(r"AnonHugePages:\s+(\d+) kB", smaps)
    assert found is not None
    return int(found[1])


@on_request
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc")
def test_memory_that_was_freed_is_used_again_without_asking_the_system() -> None:
    pages = (30 << 20) // 4096
    assert int(_run(AGAIN)) > pages / 2  # as it is without
    assert int(_run(PREFER + AGAIN)) < pages / 100


@on_request
def test_a_tensor_lies_in_large_pages() -> None:
    assert _large_kib(_run(IN_LARGE_PAGES)) < 32 << 10
    assert _large_kib(_run(PREFER + IN_LARGE_PAGES)) >= 48 << 10


def test_what_the_environment_says_stays() -> None:
    say = "import os; print(os.environ.get('THP_MEM_ALLOC_ENABLE'))"
    assert _run(PREFER + say, THP_MEM_ALLOC_ENABLE="0").strip() == "0"
    expected = "1" if sys.platform == "linux" else "None"
    assert _run(PREFER + say).strip() == expected


def test_the_command_line_prefers_them_before_torch_is_there() -> None:
    script = """
import sys
import srcli.inference.large_pages as module
module.prefer_large_pages = lambda: print("torch" in sys.modules)
import srcli.__main__
"""
    assert _run(script).strip() == "False"
