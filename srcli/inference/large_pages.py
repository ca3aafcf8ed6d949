"""How a process gets its memory, so that networks on a CPU reach it sooner. Linux only.

A band's tensors come and go a thousand times for each picture. The C library gives freed memory
back to the system, which hands it out again page by page, each filled with zeros; and what lies in
pages of 4 KiB is found slower than in pages of 2 MiB. Together they are 7 % of a stream's time in
fp32 (docs/explanation/performance.md).
"""

from __future__ import annotations

import ctypes
import os
import sys

# Read by torch at its first tensor (c10/core/impl/alloc_cpu.cpp): then large ones ask for them.
_ASKS_FOR_LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
# Of mallopt(3), as glibc's malloc.h numbers them. Their values are what glibc itself would come to
# in time (DEFAULT_MMAP_THRESHOLD_MAX of its malloc.c, and twice that), so no more is kept.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_APART_BYTES = 32 << 20  # a block of more is asked of the system by itself, and given back
_KEPT_BYTES = 2 * _APART_BYTES  # free at the end of the heap, before any is given back


def prefer_large_pages() -> None:
    """For this process, from now on; to be called before torch makes a tensor.

    It is the whole program's setting, so it is for programs, not for libraries. What the
    environment says of torch's pages stays.
    """
    if sys.platform != "linux":
        return
    os.environ.setdefault(_ASKS_FOR_LARGE_PAGES, "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _APART_BYTES)
