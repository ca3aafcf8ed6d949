"""A web server for one file that misbehaves as the first part of the path says.

It speaks as a plain address (GitHub), as the hub (with HF_ENDPOINT=http://host/WAY), and as a
package index (http://host/WAY/simple/).
"""

from __future__ import annotations

import gzip
import hashlib
import http.server
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

PIECE = 64 << 10
Way = Callable[["Handler"], None]


class Server(http.server.ThreadingHTTPServer):
    """`content` is the file, `wheel` one that holds it."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, content: bytes, wheel: bytes = b"") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.wheel = content, wheel
        self.asked: Counter[str] = Counter()
        self.mutex = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up has seen enough."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_HEAD(self) -> None:  # noqa: N802 (the name is http.server's)
        self.head_only = True
        self._answer()

    def do_GET(self) -> None:  # noqa: N802
        self.head_only = False
        self._answer()

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def _answer(self) -> None:
        self.rest = self.path
        if "://" in self.path:  # asked as a proxy
            self.rest = "/" + self.path.split("/", 3)[3]
        _, self.way, self.rest = (*self.rest.split("/", 2), "")[:3]
        if "/simple/" in f"/{self.rest}":
            self._index()
            return
        with self.server.mutex:
            self.server.asked[self.way] += not self.head_only
            self.number = self.server.asked[self.way]  # of the file, the first is 1
        # The hub is asked about a file first; what it says of it is right.
        if self.head_only:
            good(self)
        else:
            WAYS[self.way](self)

    def _index(self) -> None:
        digest = hashlib.sha256(self.server.wheel).hexdigest()
        name = "srcli_torture_weights-1.0-py3-none-any.whl"
        link = f'<a href="/{self.way}/{name}#sha256={digest}">{name}</a>'
        self.send(200, f"<html><body>{link}</body></html>".encode(), kind="text/html")

    @property
    def content(self) -> bytes:
        return self.server.wheel if self.rest.endswith(".whl") else self.server.content

    @property
    def start(self) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found else 0

    def head(self, status: int, length: int | None, **headers: str) -> None:
        kind = headers.pop("kind", "application/octet-stream")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if "resolve/" in self.path:
            self.send_header("X-Repo-Commit", "c" * 40)
            self.send_header("ETag", '"pointer"')
            digest = hashlib.sha256(self.server.content).hexdigest()
            self.send_header("X-Linked-ETag", f'"{digest}"')
            self.send_header("X-Linked-Size", str(len(self.server.content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.head(status, len(body), **headers)
        if not self.head_only:
            self.wfile.write(body)

    def hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def rest_of_file(self) -> tuple[bytes, dict[str, str]]:
        """From where it was asked for, with the headers that say so."""
        start, size = self.start, len(self.content)
        span = {"Content_Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
        return self.content[start:], span


def good(one: Handler) -> None:
    """As it should be."""
    body, span = one.rest_of_file()
    if one.start >= len(one.content):
        one.send(416, b"", Content_Range=f"bytes */{len(one.content)}")
    else:
        one.send(206 if span else 200, body, **span)


def slow_start(one: Handler) -> None:
    time.sleep(3)
    good(one)


def silent(one: Handler) -> None:
    time.sleep(120)


def drip(one: Handler) -> None:
    """Twenty bytes a second: no time-out of a single read ever strikes."""
    one.head(200, len(one.content))
    for byte in range(len(one.content)):
        one.wfile.write(one.content[byte : byte + 1])
        one.wfile.flush()
        time.sleep(0.05)


def drip_head(one: Handler) -> None:
    """The same before the first byte of the file."""
    one.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    for _ in range(4000):
        one.wfile.write(b"x")
        one.wfile.flush()
        time.sleep(0.05)


def stall(one: Handler) -> None:
    """Half of the file, and then nothing more, for ever."""
    one.head(200, len(one.content))
    one.wfile.write(one.content[: len(one.content) // 2])
    one.wfile.flush()
    time.sleep(120)


def stall_once(one: Handler) -> None:
    stall(one) if one.number == 1 else good(one)


def cut_once(one: Handler) -> None:
    """Breaks off in the middle, the first time."""
    if one.number > 1:
        good(one)
        return
    one.head(200, len(one.content))
    one.wfile.write(one.content[: len(one.content) // 3])
    one.hang_up()


def cut_always(one: Handler) -> None:
    """Never gets beyond the first third."""
    body, span = one.rest_of_file()
    one.head(206 if span else 200, len(body), **span)
    one.wfile.write(body[: max(len(one.content) // 3 - one.start, 0)])
    one.hang_up()


def creeping(one: Handler) -> None:
    """Breaks off each time, but gets on."""
    body, span = one.rest_of_file()
    one.head(206 if span else 200, len(body), **span)
    one.wfile.write(body[: len(one.content) // 8 + 1])
    one.hang_up()


def _after_a_cut(answer: Way) -> Way:
    def way(one: Handler) -> None:
        cut_once(one) if one.number == 1 or not one.start else answer(one)

    return way


def range_elsewhere(one: Handler) -> None:
    """Resumes at another place than was asked for, and says so."""
    size = len(one.content)
    one.send(206, one.content[5:], Content_Range=f"bytes 5-{size - 1}/{size}")


def range_lies(one: Handler) -> None:
    """Says that it resumes, and sends the beginning."""
    body, span = one.rest_of_file()
    one.send(206, one.content[: len(body)], **span)


def range_ignored(one: Handler) -> None:
    one.send(200, one.content)


def range_of_nothing(one: Handler) -> None:
    one.send(206, one.rest_of_file()[0])


def _redirect(target: str) -> Way:
    def way(one: Handler) -> None:
        host = one.server.address
        one.send(302, b"", Location=target.format(host=host, rest=one.rest, way=one.way))

    return way


def html(one: Handler) -> None:
    one.send(200, b"<!doctype html><html><body>Log in</body></html>", kind="text/html")


def html_in_disguise(one: Handler) -> None:
    one.send(200, b"<!DOCTYPE html><html><title>Log in</title>".ljust(len(one.content)))


def shorter(one: Handler) -> None:
    one.send(200, one.content[:-1])


def longer(one: Handler) -> None:
    one.send(200, one.content + b"more")


def claims_more(one: Handler) -> None:
    one.head(200, len(one.content) + 1000)
    one.wfile.write(one.content)
    one.hang_up()


def claims_less(one: Handler) -> None:
    one.head(200, len(one.content) - 1000)
    one.wfile.write(one.content)
    one.hang_up()


def no_length(one: Handler) -> None:
    one.head(200, None, Connection="close")
    one.wfile.write(one.content)
    one.hang_up()


def no_length_cut(one: Handler) -> None:
    one.head(200, None, Connection="close")
    one.wfile.write(one.content[: len(one.content) // 2])
    one.hang_up()


def chunked(one: Handler, *, whole: bool = True) -> None:
    one.head(200, None, Transfer_Encoding="chunked")
    for start in range(0, len(one.content), PIECE):
        piece = one.content[start : start + PIECE]
        one.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if not whole and start > len(one.content) // 2:
            one.wfile.write(b"zz\r\n")
            one.hang_up()
            return
    one.wfile.write(b"0\r\n\r\n")


def chunked_badly(one: Handler) -> None:
    chunked(one, whole=False)


def other(one: Handler) -> None:
    one.send(200, one.content[::-1])


def gzipped(one: Handler) -> None:
    """Compressed, though nobody asked for it."""
    one.send(200, gzip.compress(one.content, 1), Content_Encoding="gzip")


def reset(one: Handler) -> None:
    one.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close_connection = True
    one.connection.close()


def garbage(one: Handler) -> None:
    one.wfile.write(b"\x00\x01 this is no HTTP \xff" * 30)
    one.hang_up()


def endless(one: Handler) -> None:
    """More and more, without a length."""
    one.head(200, None, Connection="close")
    for _ in range(4000):
        one.wfile.write(bytes(PIECE))


def many_headers(one: Handler) -> None:
    one.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n")
    one.hang_up()


def _status(code: int, retry_after: str = "", *, times: int = 1 << 30) -> Way:
    def way(one: Handler) -> None:
        if one.number > times:
            good(one)
            return
        headers = {"Retry_After": retry_after} if retry_after else {}
        one.send(code, b"no", kind="text/plain", **headers)

    return way


# What a source must come to: does the pull succeed?
WAYS: dict[str, Way] = {
    "good": good,
    "slow-start": slow_start,
    "silent": silent,
    "drip": drip,
    "drip-head": drip_head,
    "stall": stall,
    "stall-once": stall_once,
    "cut-once": cut_once,
    "cut-always": cut_always,
    "creeping": creeping,
    "range-elsewhere": _after_a_cut(range_elsewhere),
    "range-lies": _after_a_cut(range_lies),
    "range-ignored": _after_a_cut(range_ignored),
    "range-of-nothing": _after_a_cut(range_of_nothing),
    "redirect-good": _redirect("{host}/good/{rest}"),
    "redirect-relative": _redirect("/good/{rest}"),
    "redirect-loop": _redirect("{host}/{way}/{rest}"),
    "redirect-file": _redirect("file:///etc/passwd"),
    "redirect-ftp": _redirect("ftp://127.0.0.1:9/{rest}"),
    "redirect-data": _redirect("data:text/plain,hello"),
    "redirect-dead": _redirect("http://127.0.0.1:9/{rest}"),
    "redirect-nowhere": _redirect("http://nowhere.invalid/{rest}"),
    "redirect-nonsense": _redirect("http://[::/{rest}"),
    "redirect-empty": _redirect(""),
    "html": html,
    "html-in-disguise": html_in_disguise,
    "shorter": shorter,
    "longer": longer,
    "claims-more": claims_more,
    "claims-less": claims_less,
    "no-length": no_length,
    "no-length-cut": no_length_cut,
    "chunked": chunked,
    "chunked-badly": chunked_badly,
    "other": other,
    "gzipped": gzipped,
    "reset": reset,
    "garbage": garbage,
    "endless": endless,
    "many-headers": many_headers,
    **{f"status-{code}": _status(code) for code in (204, 400, 401, 403, 404, 410, 500, 502)},
    "status-429-later": _status(429, "3600"),
    "status-503-date": _status(503, "Wed, 21 Oct 2099 07:28:00 GMT"),
    "status-503-nonsense": _status(503, "soon"),
    "busy-429": _status(429, "1", times=1),
    "busy-503": _status(503, "1", times=2),
    "busy-500": _status(500, times=1),
}
GOOD = {
    *("good", "slow-start", "stall-once", "cut-once", "creeping"),
    *("range-lies", "range-ignored", "redirect-good", "redirect-relative", "no-length", "chunked"),
    *("busy-429", "busy-503", "busy-500"),
}

# Its library decompresses, and a file that is damaged is fetched once more from the beginning.
GOOD_FOR_THE_HUB = {"gzipped", "range-elsewhere", "range-of-nothing"}


def serve(server: Any) -> None:
    """Until the process ends."""
    server.serve_forever(poll_interval=0.05)
