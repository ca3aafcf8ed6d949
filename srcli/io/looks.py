"""What lies at a path, of which nothing can be known where nobody may look.

As pathlib does it from Python 3.14 on: before, it raises PermissionError about everything in a
folder that may not be entered, and whoever only asked whether a file is there has a traceback.
"""

from __future__ import annotations

import os
from pathlib import Path


def is_there(path: Path) -> bool:
    """Whether something can be seen there; a link that leads nowhere is nothing."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Path) -> bool:
    """Whether a file can be seen there."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Whether a folder can be seen there."""
    return os.path.isdir(path)  # noqa: PTH112


def is_gone(path: Path) -> bool:
    """Whether it is known that nothing is there.

    >>> is_gone(Path("no such folder/a.png")), is_gone(Path.cwd())
    (True, False)
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
