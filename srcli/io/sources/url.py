"""A file behind a plain address: resumed when it breaks off, checked for length and digest."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable
from email.message import Message
from functools import partial as partial_call
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import srcli
from srcli.io.catalogue import UrlSource, WantedFile
from srcli.io.containers import looks_like_page
from srcli.io.files import output_errors
from srcli.io.sources.check import measured, require_size
from srcli.io.sources.network import (
    STALL_SECONDS,
    Hosts,
    Pace,
    SourceError,
    TooSlowError,
    in_time,
)

OnProgress = Callable[[int, int | None], None]  # bytes done, bytes in all where that is known

_CHUNK_BYTES = 1 << 18
_FRUITLESS_TRIES = 3  # in a row, with hardly a byte gained, before a broken download is given up
_LEAST_GAIN_BYTES = 1 << 14
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0  # that a server may ask for; for longer, nobody waits
_MOST_BYTES = 4 << 30  # of a file whose size nobody knows
_BUSY = {429, 500, 502, 503, 504}  # another time they may answer


class _BusyError(SourceError):
    """A server that may answer in `pause` seconds."""

    def __init__(self, reason: str, pause: float) -> None:
        super().__init__(reason)
        self.pause = pause


def fetch(source: UrlSource, partial: Path, hosts: Hosts, on_progress: OnProgress) -> WantedFile:
    """Download to `partial`, which may hold the beginning already; returns what it is then.

    Raises SourceError if the address does not give the wanted file. What was received of the right
    file stays in `partial` to be resumed; what is wrong is removed.
    """
    (wanted,) = source.files
    if wanted.sha256 is None:  # nothing would notice that two halves are of different files
        partial.unlink(missing_ok=True)
    was_resumed = partial.exists()
    was_pieced = _download(source.url, wanted, partial, hosts, on_progress)
    try:
        return measured(partial, wanted)
    except SourceError:
        partial.unlink()
        if not (was_resumed or was_pieced):
            raise
    # Its pieces may be of different files: once more, all of it.
    _download(source.url, wanted, partial, hosts, on_progress)
    try:
        return measured(partial, wanted)
    except SourceError:
        partial.unlink()
        raise


def _download(
    url: str, wanted: WantedFile, partial: Path, hosts: Hosts, on_progress: OnProgress
) -> bool:
    """Whether it took more than one request."""
    beginning = _size(partial)
    fruitless = tries = 0
    while True:
        before, pause = _size(partial), None
        tries += 1
        try:
            if _receive(url, wanted, partial, hosts, on_progress):
                return tries > 1
            failure = SourceError(f"broke off after {_size(partial)} bytes")
        except _BusyError as error:
            failure, pause = error, error.pause
        except TooSlowError:
            raise
        except SourceError as error:
            if _size(partial) == beginning or not partial.exists():
                raise
            failure = error
        fruitless = fruitless + 1 if _size(partial) - before < _LEAST_GAIN_BYTES else 0
        if fruitless == _FRUITLESS_TRIES:
            raise failure
        hosts = Hosts()  # the one that was there a moment ago may be gone
        time.sleep(_PAUSE_SECONDS * fruitless if pause is None else pause)


def _receive(
    url: str, wanted: WantedFile, partial: Path, hosts: Hosts, on_progress: OnProgress
) -> bool:
    """Append what one request gives; whether the file is complete then."""
    if wanted.size and _size(partial) == wanted.size:
        return True
    if wanted.size and _size(partial) > wanted.size:
        partial.unlink()
    with _open(url, partial, hosts) as response:
        done, total = _extent(response, _size(partial))
        _require_file(response)
        require_size(total, wanted)
        pace = Pace()
        with output_errors(partial), partial.open("ab" if done else "wb") as file:
            while chunk := _read(response):
                if not done and looks_like_page(chunk):
                    raise SourceError("answered with a web page instead of the file")
                done += file.write(chunk)
                on_progress(done, total)
                pace.saw(done)
                if done > (wanted.size or total or _MOST_BYTES):
                    raise SourceError("gave more bytes than it announced")
    return chunk is not None and (total is None or done == total)


def _read(response: HTTPResponse) -> bytes | None:
    """The next bytes; none at the end, None where the connection broke before it."""
    try:
        return response.read1(_CHUNK_BYTES)
    except (OSError, HTTPException):
        return None


def _open(url: str, partial: Path, hosts: Hosts) -> HTTPResponse:
    hosts.require(url)
    headers = {"User-Agent": f"srcli/{srcli.__version__}", "Accept-Encoding": "identity"}
    if offset := _size(partial):
        headers["Range"] = f"bytes={offset}-"
    request = urllib.request.Request(url, headers=headers)
    opener = urllib.request.build_opener(_CheckedRedirects(hosts))
    try:
        answer: HTTPResponse = in_time(partial_call(opener.open, request, timeout=STALL_SECONDS))
        return answer
    except HTTPError as error:
        if error.code == 416 and offset:  # what we have is no beginning of what they have
            partial.unlink()
            return _open(url, partial, hosts)
        raise _refusal(error) from None
    except ValueError:  # of urllib, about an address that it was sent to
        raise SourceError("redirects to what is no address") from None
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, TimeoutError):
            raise hosts.give_up(url) from None
        words = str(reason).partition("\n")[0] or type(error).__name__
        raise SourceError(f"did not answer: {words}") from None


def _refusal(error: HTTPError) -> SourceError:
    if 300 <= error.code < 400:
        return SourceError(f"answered {error.code} and leads nowhere, or in circles")
    reason = f"answered {error.code} {error.reason}".strip()
    pause = pause_before(error.code, error.headers.get("Retry-After", ""))
    return SourceError(reason) if pause is None else _BusyError(reason, pause)


def pause_before(status: int, retry_after: str) -> float | None:
    """Seconds after which a busy server is asked again; None: it is not, or not soon.

    >>> [pause_before(429, asked) for asked in ("", "2", "60")], pause_before(404, "")
    ([0.5, 2.0, None], None)
    """
    if status not in _BUSY:
        return None
    if not retry_after:
        return _PAUSE_SECONDS
    pause = float(retry_after) if re.fullmatch(r"\d{1,9}", retry_after) else None
    return pause if pause is not None and pause <= _LONGEST_PAUSE_SECONDS else None


def _require_file(response: HTTPResponse) -> None:
    if response.headers.get_content_type() == "text/html":
        raise SourceError("answered with a web page instead of the file")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise SourceError("answered with a compressed file, though it was asked not to")


def _extent(response: HTTPResponse, offset: int) -> tuple[int, int | None]:
    """Where the body begins in the file, and the bytes of the whole file."""
    if response.status == 206:
        found = re.match(
            r"bytes ([0-9]{1,18})-[0-9]+/([0-9]{1,18})\b", response.headers.get("Content-Range", "")
        )
        if not found or int(found[1]) != offset:
            raise SourceError("resumed at another place than was asked for")
        return offset, int(found[2])
    length = response.headers.get("Content-Length")
    return 0, int(length) if length and re.fullmatch("[0-9]{1,18}", length) else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects to a dead host cost no more than a dead host."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    def redirect_request(  # noqa: PLR0913 (the signature is urllib's)
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise SourceError("redirects away from the web, which is not followed")
        self._hosts.require(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]
