"""A file on the Hugging Face hub, through its own library, cache and HF_* environment."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from srcli.errors import DiskFullError
from srcli.io.catalogue import HubSource, WantedFile
from srcli.io.files import is_full, output_errors
from srcli.io.sources.check import measured, require_digest, require_size
from srcli.io.sources.network import (
    ANSWER_SECONDS,
    PATIENCE_SECONDS,
    Hosts,
    Pace,
    SourceError,
    awaited,
    in_time,
)
from srcli.io.sources.url import OnProgress, pause_before

_TRIES = 3
_PIECE_BYTES = 1 << 14  # that arrive before the library tells; its own ten million take minutes
_XET_PATIENCE_SECONDS = 60.0  # it tells of far larger pieces
_HTTP_ROOTS = {"HTTPError", "RequestException"}


def cached(source: HubSource) -> Path | None:
    """The file in the hub's own cache, which other programs may have filled; no connection."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.repo, source.file, revision=source.revision)
    return Path(found) if isinstance(found, str) else None


def forget(source: HubSource) -> None:
    """Remove the file from the hub's own cache: the name that points to it, and the bytes."""
    path = cached(source)
    if path is not None:
        with output_errors(path):
            bytes_of = path.resolve()
            path.unlink(missing_ok=True)
            bytes_of.unlink(missing_ok=True)


def fetch(source: HubSource, hosts: Hosts, on_progress: OnProgress) -> tuple[Path, WantedFile]:
    """Download into the hub's cache, unless it is there; the path and what the file is.

    Raises SourceError if the hub does not give the wanted file. A file with another size or digest
    is refused by what the hub says of it, before it is downloaded, and one that hardly comes is
    given up.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    (wanted,) = source.files
    endpoint = os.environ.get("HF_ENDPOINT")
    url = hf_hub_url(source.repo, source.file, revision=source.revision, endpoint=endpoint)
    # The library itself tries a dead hub six times, with a minute's patience each.
    hosts.require(url)
    with _hub_errors(url, hosts):
        # Before it asks for the file, the library asks the hub other things, with no such limit.
        offered = in_time(
            lambda: get_hf_file_metadata(url, timeout=ANSWER_SECONDS, endpoint=endpoint)
        )
        require_size(offered.size, wanted)
        if offered.etag and is_digest(offered.etag):
            require_digest(offered.etag, wanted)
            wanted = wanted.model_copy(update={"sha256": offered.etag})
        is_xet = getattr(offered, "xet_file_data", None) is not None
        patience = _XET_PATIENCE_SECONDS if is_xet else PATIENCE_SECONDS
        arrival = _Arrival(on_progress, patience)
        path = _download(source, endpoint, arrival)
        try:
            return path, measured(path, wanted)
        except SourceError:  # the copy in the hub's cache is damaged
            path = _download(source, endpoint, arrival, again=True)
            return path, measured(path, wanted)


def _download(
    source: HubSource, endpoint: str | None, arrival: _Arrival, *, again: bool = False
) -> Path:
    from huggingface_hub import constants, hf_hub_download

    def download() -> str:
        return hf_hub_download(
            source.repo,
            source.file,
            revision=source.revision,
            endpoint=endpoint,
            etag_timeout=ANSWER_SECONDS,
            force_download=again,
            tqdm_class=_reporting(arrival),
        )

    constants.DOWNLOAD_CHUNK_SIZE = _PIECE_BYTES
    for _ in range(_TRIES - 1):
        try:
            return Path(arrival.watched(download))
        except _transport_errors() as error:
            pause = _pause_after(error)
            if pause is None:
                raise
            time.sleep(pause)
    return Path(arrival.watched(download))


class _Arrival:
    """What has arrived of a file, under a clock.

    The library itself asks a server that stalls again and again; where that begins anew each time,
    without end.
    """

    def __init__(self, on_progress: OnProgress, patience: float) -> None:
        self._on_progress, self._patience = on_progress, patience
        self._most = 0  # bytes; what arrives a second time is no progress
        self._is_over = False

    def watched(self, download: Callable[[], str]) -> str:
        """What `download` gives. Raises TooSlowError where hardly anything arrives."""
        pace = Pace(self._patience)
        self._most, self._is_over = 0, False
        try:
            return awaited(download, lambda: pace.saw(self._most))
        finally:
            self._is_over = True

    def saw(self, done: int, total: int | None) -> None:
        """Told by the library, in its thread; it ends with its next bytes if nobody waits."""
        if self._is_over:
            raise SourceError("was given up")
        self.received(done)
        self._on_progress(done, total)

    def received(self, count: int) -> None:
        """Told of bytes that may not yet be in the file."""
        self._most = max(self._most, count)


def _pause_after(error: Exception) -> float | None:
    """Seconds after which to try again; None: not at all."""
    if "Protocol" in type(error).__name__:
        return 0  # broke off: the library goes on by itself only from version 2.0
    response = getattr(error, "response", None)
    if response is None:
        return None
    return pause_before(response.status_code, response.headers.get("Retry-After", ""))


def recorded_digest(path: Path) -> str | None:
    """The digest that the hub's cache has in the name of a file's blob, for files kept in LFS."""
    name = path.resolve().name
    return name if is_digest(name) else None


def is_digest(text: str) -> bool:
    """Whether this is a sha256 in hexadecimal; the hub's etags of small files are not."""
    return re.fullmatch("[0-9a-f]{64}", text) is not None


@contextmanager
def _hub_errors(url: str, hosts: Hosts) -> Iterator[None]:
    try:
        yield
    except _transport_errors() as error:
        if isinstance(error, OSError) and is_full(error):
            message = "no space left for the cache of the Hugging Face hub"
            raise DiskFullError(
                message, hint="free space, or set HF_HOME to another disk"
            ) from error
        if _is_timeout(error):
            raise hosts.give_up(url) from None
        raise SourceError(_reason(error)) from None


def _is_timeout(error: BaseException) -> bool:
    """Whether nobody answered; the hub's library wraps the HTTP library's error in its own."""
    chain = (error, error.__cause__, error.__context__)
    return any("Timeout" in type(link).__name__ for link in chain if link)


def _reason(error: Exception) -> str:
    from huggingface_hub import errors

    told: list[tuple[type[Exception], str]] = [  # the first that fits: some are kinds of others
        (errors.GatedRepoError, "needs a login and consent: see the page of the repository"),
        (errors.RepositoryNotFoundError, "no such repository, or it needs a login"),
        (errors.RevisionNotFoundError, "no such revision"),
        (errors.LocalEntryNotFoundError, "did not answer"),
        (errors.EntryNotFoundError, "no such file"),
    ]
    for kind, reason in told:
        if isinstance(error, kind):
            return reason
    if isinstance(error, errors.HfHubHTTPError):
        return f"answered {error.response.status_code}"
    return str(error).partition("\n")[0] or type(error).__name__


def _transport_errors() -> tuple[type[Exception], ...]:
    """What a broken connection ends in; the Rust part of the hub's library raises RuntimeError.

    The HTTP library differs between versions (requests, httpx, httpx2): the root of its errors
    stands among the ancestors of the hub's own.
    """
    from huggingface_hub.errors import HfHubHTTPError

    roots = [kind for kind in HfHubHTTPError.__mro__ if kind.__name__ in _HTTP_ROOTS]
    return (OSError, RuntimeError, *(kind for kind in roots if issubclass(kind, Exception)))


def _reporting(arrival: _Arrival) -> Any:
    """A progress bar class for the hub that draws nothing and tells us."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    class Reporting(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            self.done = self.received = int(options.get("initial") or 0)
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            self.done += int(n or 0)
            arrival.saw(self.done, self.total)

        def update_transfer(self, n: float) -> None:
            """Bytes on the wire, which Xet tells of before there are any of the file."""
            self.received += int(n)
            arrival.received(self.received)

    return Reporting
