"""Which functions and classes a pickle asks for, found by reading it: nothing is ever loaded."""

from __future__ import annotations

import pickletools
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO

_LEGACY_PICKLES = 5  # magic number, protocol, system, object, storage keys; then raw numbers
_LONGEST_PICKLE_BYTES = 64_000_000
_BAD_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    RuntimeError,
    NotImplementedError,
    EOFError,
)
_LAYERS = "torch.nn.modules."  # of a whole network that was pickled


def strangers(path: Path) -> list[str]:
    """The dotted names in a .pth file that are no part of plain tensors, in order of appearance.

    Best effort on a damaged file: what can be read of it is read.
    """
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            stream: IO[bytes] = BytesIO(_main_pickle(path))
        else:
            file.seek(0)
            stream = BytesIO(file.read(_LONGEST_PICKLE_BYTES))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the escapes in damaged strings
        asked = [name for _ in range(_LEGACY_PICKLES) for name in _globals(stream)]
    return [name for name in dict.fromkeys(asked) if not _is_plain(name)]


def _is_plain(name: str) -> bool:
    if name == "collections.OrderedDict":
        return True
    return name.startswith("torch.") and not name.startswith(_LAYERS)


def _main_pickle(path: Path) -> bytes:
    with suppress(*_BAD_ARCHIVE), zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if (
                name.endswith("data.pkl")
                and archive.getinfo(name).file_size < _LONGEST_PICKLE_BYTES
            ):
                return archive.read(name)
    return b""


def _globals(stream: IO[bytes]) -> Iterator[str]:
    """The globals of one pickle, as module.name.

    Protocol 4 takes module and name from the stack: they are the last two strings that were pushed
    or recalled from the memo, because nothing else stands between in what `pickle` writes.
    """
    memo: dict[int, str] = {}
    strings: list[str] = []
    with suppress(ValueError, IndexError, UnicodeDecodeError):  # damaged: keep what was found
        for operation, value, _ in pickletools.genops(stream):
            if operation.name in {"GLOBAL", "INST"}:
                yield str(value).replace(" ", ".")
            elif operation.name == "STACK_GLOBAL":
                yield ".".join(strings[-2:])
            elif operation.name in {"PUT", "BINPUT", "LONG_BINPUT"} and strings:
                memo[int(value or 0)] = strings[-1]
            elif operation.name == "MEMOIZE":
                memo[len(memo)] = strings[-1] if strings else ""
            elif operation.name in {"GET", "BINGET", "LONG_BINGET"}:
                strings.append(memo.get(int(value or 0), ""))
            elif isinstance(value, str):
                strings.append(value)
