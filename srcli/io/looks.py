"""What lies at a path, of which nothing can be known where nobody may look.

As pathlib does it from Python 3.14 on: before, it raises PermissionError about everything in a
folder that may not be entered, and whoever only asked whether a file is there has a traceback.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

_NOWHERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
_NOWHERE_ON_WINDOWS = {21, 123, 1921}  # no disk in the drive, no name (a*.png), a link to nothing


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
    except OSError as error:
        on_windows = getattr(error, "winerror", None)
        return error.errno in _NOWHERE or on_windows in _NOWHERE_ON_WINDOWS
    except ValueError:  # a zero, which no name has
        return True
    return False
