"""What a weights file is, told from its first bytes: a suffix may lie."""

from __future__ import annotations

import struct
import zipfile
from enum import Enum
from pathlib import Path

from srcli.errors import BadWeightsError
from srcli.io.torch_files import BAD_ARCHIVE, strangers

_LFS = b"version https://git-lfs"
SUPPORTED = "srcli reads .safetensors, .pth (PyTorch) and ncnn .param + .bin"
_HEAD_BYTES = 512
_MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors format itself
_NCNN_MAGIC = b"7767517"
_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_PROTOCOL = b"\x80"
_OLD_PICKLE = (b"c", b"(", b"}", b"]")  # protocols 0, 1: no tensors were saved so, but attacks are


class Container(Enum):
    """The kinds of file that hold tensors."""

    SAFETENSORS = "safetensors"
    TORCH_ZIP = "PyTorch"
    TORCH_PICKLE = "PyTorch (before 1.6)"
    NCNN_PARAM = "ncnn .param"


def recognise(path: Path) -> Container:
    """The container of the file, from its content; nothing but its head and zip index is read.

    Raises BadWeightsError that says what the file looks like if it is none of them.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise BadWeightsError(f"no file {path}", hint="check the path") from None
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise BadWeightsError(message, hint="check that it is a file you may read") from error
    if head.startswith(_ZIP_MAGIC):
        return _recognise_zip(path)
    if head.startswith(_PICKLE_PROTOCOL) or (head.startswith(_OLD_PICKLE) and strangers(path)):
        return Container.TORCH_PICKLE
    if head.lstrip().startswith(_NCNN_MAGIC):
        return Container.NCNN_PARAM
    if head[8:9] == b"{":
        return _recognise_safetensors(path, head, size)
    raise BadWeightsError(f"{path} {_looks_like(head)}", hint=_remedy(head))


def looks_like_page(head: bytes) -> bool:
    """Whether a file's first bytes are those of a web page, the usual guise of a failed download.

    >>> looks_like_page(b"  <!DOCTYPE html><html>"), looks_like_page(bytes(8))
    (True, False)
    """
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml"))


def _recognise_zip(path: Path) -> Container:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] for name in archive.namelist()]
    except BAD_ARCHIVE:
        message = f"{path} is cut short or damaged: it begins like a PyTorch file, but has no index"
        raise BadWeightsError(message, hint="download it again") from None
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        message = f"{path} is a TorchScript program, not a file of weights"
        raise BadWeightsError(message, hint="save its state_dict() instead: a program is never run")
    if "data.pkl" in names:
        return Container.TORCH_ZIP
    raise BadWeightsError(f"{path} is a zip archive without tensors", hint=SUPPORTED)


def _recognise_safetensors(path: Path, head: bytes, size: int) -> Container:
    (header_bytes,) = struct.unpack("<Q", head[:8])
    if header_bytes > _MAX_HEADER_BYTES:
        message = f"{path} claims a safetensors header of {header_bytes} bytes: not a real one"
        raise BadWeightsError(message, hint="download it again from a place you trust")
    if header_bytes + 8 > size:
        message = f"{path} is cut short: {size} bytes, its header alone needs {header_bytes + 8}"
        raise BadWeightsError(message, hint="download it again")
    return Container.SAFETENSORS


def _remedy(head: bytes) -> str:
    if looks_like_page(head):
        return "get the file in a browser, logged in where that is asked for"
    return "run git lfs pull where it was cloned" if head.startswith(_LFS) else SUPPORTED


def _looks_like(head: bytes) -> str:
    if not head.strip(b"\0"):
        return "holds nothing but zero bytes" if head else "is empty"
    if looks_like_page(head):
        return "is a web page, not a file of weights"
    if head.startswith(_LFS):
        return "is a Git LFS pointer: the weights themselves were not fetched"
    if head.isascii() and head.replace(b"\n", b"").replace(b"\r", b"").decode().isprintable():
        return "is a text, not a file of weights"
    return f"is no known kind of weights file (it begins with {head[:8].hex(' ')})"
