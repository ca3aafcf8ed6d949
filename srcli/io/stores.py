"""Objects of a store, read and written whole through fsspec; what a store refuses, said plainly.

Listings come by the page. An object appears complete or not at all: stores finish an upload in one
step, and what was killed before leaves nothing that can be seen. Credentials are found by the
library of each store, in its own environment and files; nothing here knows one.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srcli.errors import DiskFullError, ImageError, OutputError, SrcliError, UsageError
from srcli.io.addresses import WEB_SCHEMES, Remote
from srcli.io.files import is_full

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

CONNECT_SECONDS, READ_SECONDS = 5, 60
PAGE_OBJECTS = 1000  # S3's most
_EXTRAS = {"s3": "s3", "gs": "gs", "az": "az", "http": "http", "https": "http"}
_STAMPS = (
    *("ETag", "etag", "generation", "blob_id", "md5Hash", "LastModified", "created"),
    *("Content-MD5", "Digest", "Last-Modified"),  # of servers of the web that know no ETag
)
# They log what they raise as well, some with a traceback, some on every request.
_TALKATIVE = ("gcsfs", "s3fs", "adlfs", "azure", "botocore", "aiobotocore", "google", "fsspec")
# What the libraries of stores raise besides OSError; looked up only when one of them raised.
_RAISED = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("aiohttp", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("gcsfs.retry", "HttpError"),
    ("azure.core.exceptions", "AzureError"),
    ("huggingface_hub.errors", "HfHubHTTPError"),
    ("httpx", "HTTPError"),
    ("httpx2", "HTTPError"),
)

Info = dict[str, Any]  # as fsspec describes an object; each store has keys of its own


@dataclass(frozen=True, slots=True)
class Entry:
    """An object or a folder in a listing."""

    address: Remote
    is_folder: bool
    bytes: int | None
    stamp: str | None  # changes when the object is written


def entry_at(address: Remote) -> Entry | None:
    """What lies there now; None where nothing does. Raises ImageError where nobody can tell."""
    with _reading(address):
        try:
            info = _store(address).info(address.url)
        except FileNotFoundError:
            return None
    return _entry(address, info)


def listing(folder: Remote, *, below: bool) -> Iterator[Entry]:
    """The objects in a folder, with `below` those in folders under it too, page by page.

    Without `below` its folders are named as well. A folder that is not there has none. Raises
    ImageError where it cannot be read.
    """
    pages = _s3_pages(folder, below) if folder.scheme == "s3" else _walked(folder, below)
    while True:
        with _reading(folder):
            page = next(pages, None)
        if page is None:
            return
        yield from page


def fetch(source: Remote, path: Path) -> None:
    """Copy an object to a file. Raises ImageError, or DiskFullError where the disk is full."""
    with _reading(source):
        _store(source).get_file(source.url, str(path))


def read(source: Remote, size: int | None = None) -> bytes:
    """The first `size` bytes of an object, or all. Raises ImageError."""
    with _reading(source):
        return bytes(_store(source).cat_file(source.url, start=0 if size else None, end=size))


def put(path: Path, target: Remote) -> None:
    """Copy a file to an object, which has all of it or does not change. Raises OutputError."""
    if target.scheme == "memory":  # its put_file would show the parts as they come
        write(path.read_bytes(), target)
        return
    with _writing(target):
        _store(target).put_file(str(path), target.url)


def write(data: bytes, target: Remote) -> None:
    """Make an object of some bytes. Raises OutputError."""
    with _writing(target):
        _store(target).pipe_file(target.url, data)


def delete(target: Remote) -> None:
    """Remove an object if it is there. Raises OutputError."""
    with _writing(target):
        try:
            _store(target).rm_file(target.url)
        except FileNotFoundError:
            return


def check_writable(target: Remote) -> None:
    """Raise UsageError where a kind of store takes nothing at all."""
    if target.scheme in WEB_SCHEMES:
        raise UsageError(
            f"{target}: nothing can be written there", hint="write to s3://, gs://, az:// or hf://"
        )


def _store(address: Remote) -> AbstractFileSystem:
    return _file_system(address.scheme)


@cache
def _file_system(scheme: str) -> AbstractFileSystem:
    """The store's library, told not to remember listings and not to wait for minutes."""
    import fsspec

    options: Info = {"use_listings_cache": False}
    if scheme == "s3":
        options["config_kwargs"] = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"mode": "standard", "max_attempts": 3},
            "max_pool_connections": 64,
        }
    for name in _TALKATIVE:
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        return fsspec.filesystem(scheme, **options)
    except ValueError as error:  # of adlfs: no credentials, or such as cannot be
        raise UsageError(
            f"{scheme}:// cannot be used: {_first_words(error)}", hint=_credentials_hint(scheme)
        ) from None
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        raise UsageError(
            f"{scheme}:// needs a package that is not installed: {error}",
            hint=f"pip install 'srcli[{extra}]'" if extra else "pip install fsspec",
        ) from None


def _walked(folder: Remote, below: bool) -> Iterator[list[Entry]]:
    """A page for each folder."""
    store = _store(folder)
    for path, folders, files in store.walk(folder.url, maxdepth=None if below else 1, detail=True):
        here = Remote(folder.scheme, str(path).strip("/"))
        infos = list(files.items()) + ([] if below else list(folders.items()))
        yield [_entry(here / str(name), info) for name, info in infos if name]


def _s3_pages(folder: Remote, below: bool) -> Iterator[list[Entry]]:
    """S3's own pages: a bucket of millions is never held as fsspec's descriptions."""
    bucket, _, prefix = folder.key.partition("/")
    wanted: Info = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else ""}
    wanted["MaxKeys"] = PAGE_OBJECTS
    wanted |= {} if below else {"Delimiter": "/"}
    more: dict[str, str] = {}
    while True:
        page = _store(folder).call_s3("list_objects_v2", **wanted, **more)
        objects = ((each["Key"], each) for each in page.get("Contents", ()))
        folders = (each["Prefix"].rstrip("/") for each in page.get("CommonPrefixes", ()))
        yield [
            *(
                _entry(Remote("s3", f"{bucket}/{key}"), info)
                for key, info in objects
                if _is_key(key)
            ),
            *(Entry(Remote("s3", f"{bucket}/{key}"), True, None, None) for key in folders),
        ]
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def _is_key(key: str) -> bool:
    """Not the empty object with which some programs mark a folder."""
    return not key.endswith("/")


def _entry(address: Remote, info: Info) -> Entry:
    size = info.get("size", info.get("Size"))
    stamp = next((_text(info[name]) for name in _STAMPS if info.get(name)), None)
    return Entry(address, info.get("type") == "directory", size, stamp)


def _text(stamp: object) -> str:
    """The same whether a listing or a look at one object told it."""
    return str(stamp.timestamp() if isinstance(stamp, datetime) else stamp).strip('"')


@contextmanager
def _reading(source: Remote) -> Iterator[None]:
    with _translated(source, ImageError, "read"):
        yield


@contextmanager
def _writing(target: Remote) -> Iterator[None]:
    with _translated(target, OutputError, "write"):
        yield


@contextmanager
def _translated(address: Remote, kind: type[SrcliError], verb: str) -> Iterator[None]:
    """What a store or its library says, as an error of `kind`."""
    try:
        yield
    except _failures() as error:
        if isinstance(error, OSError) and is_full(error):
            raise DiskFullError(
                f"no space left for {address}", hint="free some, or point $TMPDIR to another disk"
            ) from error
        what, hint = _explained(address, error, verb)
        raise kind(f"{address} {what}", hint=hint) from None  # its text may hold a secret


def _explained(address: Remote, error: Exception, verb: str) -> tuple[str, str]:
    name = type(error).__name__
    text = _first_words(error)
    if isinstance(error, FileNotFoundError) or "NotFound" in name:
        place = _container(address)
        missing = "does not exist" if verb == "read" else f"cannot be written: no {place} is there"
        return missing, "check how it is spelled, and that the bucket exists"
    if isinstance(error, PermissionError) or "Credential" in name or "Auth" in name:
        reason = f"cannot be {'read' if verb == 'read' else 'written'}: no permission ({text})"
        return reason, _credentials_hint(address.scheme)
    reason = f"cannot be reached to {verb} it: {name}: {text}"
    return reason, "check the address, the connection and the store's settings"


def _container(address: Remote) -> str:
    """The bucket, or the repository of a hub."""
    parts = address.key.split("/")
    if address.scheme != "hf":
        return parts[0]
    return "/".join(parts[: 3 if parts[0] in ("datasets", "spaces", "buckets") else 2])


def _first_words(error: Exception) -> str:
    """What it says, without what Azure says of the request."""
    return " ".join(str(error).split())[:300].partition(" RequestId:")[0]


def _credentials_hint(scheme: str) -> str:
    places = {
        "s3": "AWS_PROFILE, AWS_ACCESS_KEY_ID and the like, or ~/.aws",
        "gs": "GOOGLE_APPLICATION_CREDENTIALS, or `gcloud auth application-default login`",
        "az": "AZURE_STORAGE_ACCOUNT_NAME and the like",
        "hf": "HF_TOKEN, or `hf auth login`",
    }
    return f"set credentials that may do it: {places.get(scheme, 'see the documentation')}"


def _failures() -> tuple[type[Exception], ...]:
    found = (
        getattr(sys.modules[module], name, None)
        for module, name in _RAISED
        if module in sys.modules
    )
    return (OSError, UnicodeEncodeError, *(kind for kind in found if kind is not None))
