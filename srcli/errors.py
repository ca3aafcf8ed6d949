"""Every failure that a user can cause or mend, with the exit code of each.

    SrcliError                        1   a file could not be done
    ├── OutputError                   1   the result cannot be written where it was asked for
    ├── TrainingError                 1   a training run that cannot go on
    ├── ExportError                   1   a network that a format cannot hold, or not rightly
    ├── UsageError                    2   options that cannot be, or not together
    │   └── ConfigError               2   a configuration file or value that cannot be
    ├── WeightsError                  3   weights that cannot be used
    │   ├── UnknownWeightsError       3   no catalogue entry and no file of that name
    │   ├── UnavailableWeightsError   3   known, but no source gave them
    │   └── BadWeightsError           3   a file that is damaged, dangerous or of no known kind
    ├── ImageError                    4   an input that cannot be read as a picture
    │   └── PixelLimitError           4   an input with more pixels than are allowed
    └── ResourceError                 5   the machine has not enough of something
        ├── OutOfMemoryError          5
        └── DiskFullError             5

Among several inputs a failed one makes the exit code 1, whatever its own. Ctrl-C is 130.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import ClassVar

# In an address: what stands before an @, and the values of a query. Elsewhere: what is named so.
_USER = re.compile(r"(\w[\w+.-]*://)[^/\s'\"]+@")
_QUERY = re.compile(r"(\w[\w+.-]*://[^\s?'\"]*)\?[^\s'\"<>]*=[^\s'\"<>]*")
_NAMED = re.compile(
    r"\b(x-amz-[a-z-]+|x-goog-[a-z-]+|signature|sig|password|secret|token)=[^\s&'\"]+", re.I
)

# The CPU allocator of torch, MPS, pinned memory and the libraries have no exception of their own.
_NO_MEMORY = (
    *("DefaultCPUAllocator", "_STATUS_ALLOC_FAILED", "out of memory"),
    "could not create a primitive",  # oneDNN
    "can't start new thread",  # its stack is memory too
)


def redacted(text: str) -> str:
    """The text without the secrets that addresses carry.

    >>> redacted("ftp://me:secret@host/a.jpg and https://host/a?sig=12%3D and X-Amz-Date=3")
    'ftp://host/a.jpg and https://host/a and X-Amz-Date=…'
    """
    return _NAMED.sub(r"\1=…", _QUERY.sub(r"\1", _USER.sub(r"\1", text)))


class SrcliError(Exception):
    """A failure the user can act on: `str(error)` says what, `error.hint` says what to do.

    Neither ever holds a secret of an address. It can be sent to another process.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(redacted(message))
        self.hint = redacted(hint)

    def __reduce__(self) -> tuple[Callable[[str], SrcliError], tuple[str]]:
        return partial(type(self), hint=self.hint), (str(self),)


class OutputError(SrcliError):
    """The result cannot be written where it was asked for."""


class TrainingError(SrcliError):
    """A training run that cannot go on; what was saved of it is still good."""


class ExportError(SrcliError):
    """A network that a format cannot hold, or whose export is not what the network is."""


class UsageError(SrcliError):
    """Options that cannot be, or not together."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file or value that cannot be."""


class WeightsError(SrcliError):
    """Weights that cannot be used."""

    exit_code = 3


class UnknownWeightsError(WeightsError):
    """No catalogue entry and no file of that name."""


class UnavailableWeightsError(WeightsError):
    """Weights that are known, but that no source gave."""


class BadWeightsError(WeightsError):
    """A weights file that is damaged, dangerous or of no known kind."""


class ImageError(SrcliError):
    """An input that cannot be read as a picture."""

    exit_code = 4


class PixelLimitError(ImageError):
    """An input that claims more pixels than are allowed."""


class ResourceError(SrcliError):
    """The machine has not enough of something."""

    exit_code = 5


class OutOfMemoryError(ResourceError):
    """Not even the smallest plan fits in memory."""


class DiskFullError(ResourceError):
    """No space is left for the result or for what is needed on the way."""


def means_no_memory(error: BaseException) -> bool:
    """Whether that is a way in which Python or a library says that memory is out.

    >>> means_no_memory(MemoryError()), means_no_memory(RuntimeError("CUDA out of memory"))
    (True, True)
    """
    if not isinstance(error, RuntimeError):
        return isinstance(error, MemoryError)
    # torch's own class, by its name: this module must not import torch
    is_torch = type(error).__name__ == "OutOfMemoryError"
    return is_torch or any(sign in str(error) for sign in _NO_MEMORY)


@contextmanager
def memory_errors(what: str) -> Iterator[None]:
    """Raise OutOfMemoryError where in the block memory is out, whoever says so."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not means_no_memory(error):
            raise
        hint = "close other programs, or take a smaller picture, a smaller model or less at once"
        raise OutOfMemoryError(f"no memory left for {what}", hint=hint) from error
