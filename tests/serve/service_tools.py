"""A client that says little, and pictures for it."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection
from io import BytesIO

import numpy as np
from PIL import Image

from srcli.web.service import Service
from srcli.web.settings import Limits

LIMITS = Limits(body_bytes=200_000, pixels=20_000, result_pixels=400_000, patience_seconds=0.6)


def noise(width=9, height=7, kind="PNG", seed=0):
    """A small picture as bytes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict
    body: bytes

    @property
    def problem(self):
        """The name of the problem; the whole of it must be one."""
        assert self.headers["content-type"] == "application/problem+json"
        told = json.loads(self.body)
        assert told["status"] == self.status
        assert told["title"] and told["detail"] and told["hint"]
        return told["type"].removeprefix("urn:srcli:problem:")


@dataclass
class Client:
    """Asks a service, once for each connection."""

    service: Service | None  # None: in other processes
    port: int
    patience: float = 30.0

    def __call__(self, path="/upscale", body=None, method=None, **headers):
        connection = HTTPConnection("127.0.0.1", self.port, timeout=self.patience)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method or ("POST" if body is not None else "GET"), path, body, named)
            answer = connection.getresponse()
            kept = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, kept, answer.read())
        finally:
            connection.close()

    def form(self, path="/upscale", *, picture=None, **fields):
        """The same as a form."""
        parts = [(f'name="{name}"', str(value).encode()) for name, value in fields.items()]
        if picture is not None:
            parts.append(('name="picture"; filename="../../x.png"', picture))
        body = b"".join(
            b"--B\r\nContent-Disposition: form-data; "
            + name.encode()
            + b"\r\n\r\n"
            + value
            + b"\r\n"
            for name, value in parts
        )
        return self(path, body + b"--B--\r\n", Content_Type="multipart/form-data; boundary=B")
