"""A web server that speaks as the hub and as a plain one and misbehaves on wish; entries for it."""

import hashlib
import http.server
import socket
import time
from dataclasses import dataclass, field

CONTENT = bytes(range(256)) * 4000  # 1 MB, so that it arrives in several pieces


def digest(content):
    return hashlib.sha256(content).hexdigest()


@dataclass
class Served:
    """A file and how it is served; `cuts` are the sizes at which answers break off, one each."""

    content: bytes = CONTENT
    content_type: str = "application/octet-stream"
    status: int = 200
    cuts: list[int] = field(default_factory=list)
    silence_s: float = 0.0
    redirect: str = ""
    takes_ranges: bool = True
    etag: str = ""
    claimed_size: int | None = None
    encoding: str = ""
    retry_after: str = ""
    failures: int = 10**9  # times that `status` is answered; then all is well
    drip_s: float = 0.0  # between two bytes
    is_chunked: bool = False  # in one chunk, its length not told ahead
    stalls_at: int = 0  # bytes after which nothing more comes for a while

    def extent(self, body):
        """The header that tells how long the body is, or that nobody knows."""
        if self.is_chunked:
            return "Transfer-Encoding", "chunked"
        return "Content-Length", str(self.claimed_size or len(body))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):  # noqa: N802 (the name is http.server's)
        self.answer(has_body=False)

    def do_GET(self):  # noqa: N802
        self.answer(has_body=True)

    def answer(self, *, has_body):
        wanted_range = self.headers.get("Range", "")
        self.server.requests.append((self.command, self.path, wanted_range))
        served = self.server.files.get(self.path.partition("?")[0], Served(status=404, content=b""))
        time.sleep(served.silence_s)
        start = int(wanted_range[6:-1]) if wanted_range and served.takes_ranges else 0
        if start >= len(served.content) > 0:
            self.send_error(416)
            return
        body = b"" if served.redirect else served.content[start:]
        is_well = served.status == 200 or served.failures <= 0
        served.failures -= 1
        self.send_response(
            302 if served.redirect else 206 if start else 200 if is_well else served.status
        )
        for name, value in (
            ("Content-Encoding", served.encoding),
            ("Retry-After", served.retry_after),
        ):
            if value:
                self.send_header(name, value)
        self.send_header("Content-Type", served.content_type)
        self.send_header(*served.extent(body))
        if start:
            size = len(served.content)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if served.redirect:
            self.send_header("Location", served.redirect)
        if "/resolve/" in self.path:
            self.send_header("X-Repo-Commit", "c" * 40)
            self.send_header("ETag", '"pointer"')
            self.send_header("X-Linked-ETag", f'"{served.etag or digest(served.content)}"')
            self.send_header("X-Linked-Size", str(len(served.content)))
        self.end_headers()
        if has_body:
            self.send_body(body, served)

    def send_body(self, body, served):
        if served.is_chunked:
            self.wfile.write(b"%x\r\n" % len(body))
            body += b"\r\n0\r\n\r\n"
        if served.stalls_at:
            self.wfile.write(body[: served.stalls_at - (len(served.content) - len(body))])
            time.sleep(3)
        elif served.cuts:
            self.wfile.write(body[: served.cuts.pop(0)])
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif served.drip_s:
            for index in range(len(body)):
                self.wfile.write(body[index : index + 1])
                time.sleep(served.drip_s)
        else:
            self.wfile.write(body)

    def log_message(self, *_):
        """Nothing on stderr."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {}
        self.requests = []

    def handle_error(self, request, client_address):
        """A client that hangs up has seen enough."""

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"

    def gets(self, path=""):
        return [request for request in self.requests if request[0] == "GET" and path in request[1]]


ENTRY = """
[weights.{name}]
aliases = [{aliases}]
purpose = "tests"
licence = "{licence}"
commercial = {commercial}
scale = 4
architecture = {{ kind = "rrdb", channels = 4, growth = 4, blocks = 1 }}
homepage = "https://example.org"
keep = "{keep}"
"""


def hub_source(file="a.pth", content=CONTENT, size=None):
    return (
        f'kind = "hub"\nrepo = "me/nets"\nfile = "{file}"\n'
        f'sha256 = "{digest(content)}"\nsize = {size or len(content)}'
    )


def url_source(address, content=CONTENT, size=None):
    return (
        f'kind = "url"\nurl = "{address}"\n'
        f'sha256 = "{digest(content)}"\nsize = {size or len(content)}'
    )
