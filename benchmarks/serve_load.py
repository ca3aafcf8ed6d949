"""Clients of every kind at once against a real service; no answer may be wrong.

    python benchmarks/serve_load.py --clients 64 --requests 20

Good pictures must come back as the library makes them, to the last byte, or be refused for want of
room and be done later. Bad, cut off, huge, slow and vanishing requests must get the answer that
belongs to them. The memory of the service is sampled all the while; at the end it must finish what
is under way, leave no file behind, and end with 0.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from random import Random

import numpy as np
import psutil
from messy_folder import make_weights
from PIL import Image

LIMITS = {"--max-mib": 1, "--max-megapixels": 0.1, "--queue": 16, "--patience": 2}
MEMORY_GROWTH = 400 << 20  # bytes over what the service takes when it has done one picture
PATIENCE = 120  # seconds in which a good picture must find room
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Good:
    """A request whose answer is known."""

    body: bytes
    query: str
    answer: bytes


@dataclass
class Tally:
    """What the clients saw."""

    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, *, fault: str | None = None) -> None:
        with self.lock:
            self.seen[what] += 1
            if fault is not None:
                self.wrong.append(f"{what}: {fault}")


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="srcli-load-") as place:
        root = Path(place)
        weights = make_weights(root / "tiny.safetensors")
        goods = make_goods(root, weights)
        service = Served(root, weights)
        try:
            report = _load(service, goods, options)
        finally:
            report_end = service.end()
    report |= report_end
    report["is_right"] = (
        not report["wrong"]
        and report["exit_code"] == 0
        and report["files_left"] == []
        and report["memory_growth_mib"] * 2**20 < MEMORY_GROWTH
    )
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    raise SystemExit(0 if report["is_right"] else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=20, help="of each client")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def make_goods(root: Path, weights: Path) -> list[Good]:
    """Small pictures of several kinds, each with what the library makes of it."""
    import srcli
    from srcli.io.formats import PictureFormat
    from srcli.services.job import PictureOptions
    from srcli.services.sizes import TargetSize
    from srcli.services.upscale import upscale_file

    engine = srcli.Upscaler(weights, device="cpu").engine
    wanted = [
        ("a.png", 4, "png"),
        ("b.jpg", 2, "jpeg"),
        ("c.png", 3, "webp"),
        ("d.png", 1.5, "jpeg"),
    ]
    goods = []
    for number, (name, scale, kind) in enumerate(wanted):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).save(root / name)
        target = root / f"{name}.out.{kind}"
        options = PictureOptions(size=TargetSize(scale=scale), format=PictureFormat(kind))
        upscale_file(engine, root / name, target, options)
        query = f"scale={scale}&format={kind}"
        goods.append(Good((root / name).read_bytes(), query, target.read_bytes()))
    return goods


class Served:
    """A service in a process of its own."""

    def __init__(self, root: Path, weights: Path, *arguments: str) -> None:
        self.files = root / "tmp"
        self.files.mkdir()
        limits = [str(each) for pair in LIMITS.items() for each in pair]
        command = [sys.executable, "-m", "srcli", "serve", "-m", str(weights), "-d", "cpu"]
        self.process = subprocess.Popen(
            [*command, "-p", "0", *limits, *arguments],
            stdout=subprocess.PIPE,
            stderr=(root / "log").open("w"),
            env={**os.environ, "TMPDIR": str(self.files), "OMP_NUM_THREADS": "1"},
            text=True,
        )
        self.log = root / "log"
        assert self.process.stdout is not None
        address = self.process.stdout.readline().strip()
        if not address:
            raise SystemExit(self.log.read_text())
        self.port = int(address.rpartition(":")[2])

    def memory(self) -> int:
        """Its resident bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def end(self) -> dict[str, object]:
        """Ask it to end, and say how it did."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        left = sorted(path.name for path in self.files.rglob("*"))
        log = self.log.read_text()
        return {"exit_code": code, "files_left": left, "tracebacks": log.count("Traceback")}


def _load(service: Served, goods: list[Good], options: argparse.Namespace) -> dict[str, object]:
    tally = Tally()
    for good in goods:
        _good(service.port, good, tally)
    before, most, is_over = service.memory(), 0, threading.Event()

    def sample() -> None:
        nonlocal most
        while not is_over.wait(0.05):
            most = max(most, service.memory())

    watcher = threading.Thread(target=sample)
    watcher.start()
    started = time.perf_counter()
    threads = [
        threading.Thread(
            target=_client, args=(service.port, goods, tally, options.requests, options.seed + n)
        )
        for n in range(options.clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    is_over.set()
    watcher.join()
    _good(service.port, goods[0], tally)  # it still works
    return {
        "clients": options.clients,
        "seconds": round(seconds, 1),
        "seen": dict(sorted(tally.seen.items())),
        "wrong": tally.wrong[:20],
        "memory_mib": round(before / 2**20),
        "memory_growth_mib": round((most - before) / 2**20),
    }


def _client(port: int, goods: list[Good], tally: Tally, requests: int, seed: int) -> None:
    random = Random(seed)
    kinds = [_good] * 6 + [_cut_off, _no_picture, _bomb, _too_large, _bad_wish, _lost, _left, _slow]
    for _ in range(requests):
        kind, good = random.choice(kinds), random.choice(goods)
        try:
            kind(port, good, tally)
        except (OSError, HTTPException) as error:
            tally.note(kind.__name__, fault=f"{type(error).__name__}: {error}")


def _ask(port: int, query: str, body: bytes, method: str = "POST") -> tuple[int, str, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, f"/upscale?{query}", body, {"Content-Type": "image/png"})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()
    finally:
        connection.close()


def _good(port: int, good: Good, tally: Tally) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        status, kind, answer = _ask(port, good.query, good.body)
        if status != 503:
            break
        tally.note("good, refused for now", fault=None if kind == PROBLEM else f"as {kind}")
        time.sleep(0.05)
    is_right = status == 200 and answer == good.answer
    tally.note("good", fault=None if is_right else f"{status}, {len(answer)} bytes")


def _expect(port: int, what: str, query: str, body: bytes, status: int, tally: Tally) -> None:
    """A refusal of this status, with its reason; or that there is no room now."""
    found, kind, answer = _ask(port, query, body)
    tells = kind == PROBLEM and {"title", "detail", "hint"} <= set(json.loads(answer))
    fault = None if found in (status, 503) and tells else f"{found} {kind} {answer[:80]!r}"
    tally.note(f"{what}, {found}", fault=fault)


def _cut_off(port: int, good: Good, tally: Tally) -> None:
    half = good.body[: len(good.body) // 2]
    _expect(port, "cut off", good.query, half, 422, tally)


def _no_picture(port: int, good: Good, tally: Tally) -> None:
    _expect(port, "no picture", "", b"#!/bin/sh\necho hello\n" * 100, 422, tally)


def _bomb(port: int, good: Good, tally: Tally) -> None:
    _expect(port, "bomb", "", bomb(60_000), 413, tally)


def bomb(side: int) -> bytes:
    """A PNG that claims so many pixels a side, in few bytes."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes(1 << 16))
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    written = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def _too_large(port: int, good: Good, tally: Tally) -> None:
    _expect(port, "too large", "", bytes(3 << 20), 413, tally)


def _bad_wish(port: int, good: Good, tally: Tally) -> None:
    for query in ("scale=-1", "scale=2&width=3", "model=../../etc/passwd", "format=exe", "what=1"):
        _expect(port, "bad wish", query, good.body, 422, tally)


def _connect(port: int, length: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = f"POST /upscale HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n"
    client.sendall(head.encode())
    return client


def _lost(port: int, good: Good, tally: Tally) -> None:
    """A client that is gone before its picture is there."""
    with _connect(port, len(good.body)) as client:
        client.sendall(good.body[:100])
    tally.note("lost on the way")


def _left(port: int, good: Good, tally: Tally) -> None:
    """A client that does not wait for the result."""
    with _connect(port, len(good.body)) as client:
        client.sendall(good.body)
    tally.note("left before the end")


def _slow(port: int, good: Good, tally: Tally) -> None:
    """A client that sends a byte at a time."""
    started, answer = time.perf_counter(), b""
    with _connect(port, len(good.body)) as client:
        client.settimeout(0.1)
        while not answer and time.perf_counter() - started < 30:
            try:
                client.sendall(b"x")
                answer = client.recv(4096)
            except TimeoutError:
                continue
    is_right = answer.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 503 "))
    tally.note(f"slow, {answer[9:12].decode()}", fault=None if is_right else repr(answer[:80]))


if __name__ == "__main__":
    main()
