"""Servers that misbehave, proxies, dead names, many processes: `weights pull` must end well.

    python benchmarks/torture/network.py --kind address
    python benchmarks/torture/network.py --kind hub --only cut-once

Laws, for every way of misbehaving: the command ends in bounded time with 0 or with 3, two lines
and no traceback; nothing is in the cache under a digest that it does not have; what can recover
recovers; and from a good server the next pull succeeds.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import bad_server
from bad_server import GOOD, GOOD_FOR_THE_HUB, WAYS
from conclusion import conclude
from forked import Ended, import_everything, start
from killed import digest

SIZE = 400_000
MOST_SECONDS = 90.0  # a source has 20 s to answer and 20 s for each 20 kB
ENTRY = """
[weights.a]
purpose = "tests"
licence = "MIT"
commercial = true
scale = 4
architecture = {{ kind = "rrdb", channels = 4, growth = 4, blocks = 1 }}
homepage = "https://example.org"
[[weights.a.sources]]
{source}
sha256 = "{digest}"
size = {size}
"""
SOURCES = {
    "address": 'kind = "url"\nurl = "{server}/{way}/a.pth"',
    "hub": 'kind = "hub"\nrepo = "me/nets"\nfile = "a.pth"',
}


@dataclass(slots=True)
class Tally:
    """What came out."""

    cases: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def main() -> None:
    options = _options()
    import_everything()
    with tempfile.TemporaryDirectory(prefix="srcli-network-") as place:
        trial = Network(Path(place), options.kind)
        try:
            tally = trial.torment(options.only or sorted(WAYS))
        finally:
            trial.close()
    report = {
        "kind": options.kind,
        "cases": tally.cases,
        "slowest": dict(sorted(tally.seconds.items(), key=lambda each: -each[1])[:6]),
        "faults": tally.faults,
    }
    conclude(report)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=sorted(SOURCES), default="address")
    parser.add_argument("--only", nargs="*", help="These ways; else all.")
    return parser.parse_args()


class Network:
    """A server in a process of its own, and pulls from it."""

    def __init__(self, place: Path, kind: str) -> None:
        self.place, self.kind = place, kind
        self.content = Random(1).randbytes(SIZE)
        server = bad_server.Server(self.content)
        self.address = server.address
        self.pid = os.fork()
        if not self.pid:
            try:
                bad_server.serve(server)
            finally:
                os._exit(0)
        server.socket.close()

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def torment(self, ways: list[str]) -> Tally:
        """Every way, each with a cache of its own; all of them at once, most of them only wait."""
        tally = Tally()
        for batch in range(0, len(ways), 8):
            under_way = {way: self.pull(way) for way in ways[batch : batch + 8]}
            with ThreadPoolExecutor(len(under_way)) as pool:
                ends = pool.map(lambda child: child.wait(MOST_SECONDS), under_way.values())
                all_ended = list(ends)
            for way, ended in zip(under_way, all_ended, strict=True):
                tally.cases += 1
                tally.seconds[way] = round(ended.seconds, 1)
                found = [*self._faults(way, ended), *self._afterwards(way)]
                tally.faults += [f"{way}: {fault}" for fault in found]
        return tally

    def pull(self, way: str, folder: str = "") -> object:
        place = self.place / (folder or way)
        place.mkdir(exist_ok=True)
        catalogue = self.place / f"{way}.toml"
        source = SOURCES[self.kind].format(server=self.address, way=way)
        known = {"digest": _digest(self.content), "size": len(self.content)}
        catalogue.write_text(ENTRY.format(source=source, **known))
        return start(
            ("weights", "pull", "a"),
            folder=place,
            log=self.place / f"{folder or way}.{len(list(self.place.glob('*.log')))}.log",
            environment={
                "SRCLI_HOME": str(place / "home"),
                "HF_HOME": str(place / "hub"),
                "HF_ENDPOINT": f"{self.address}/{way}",
                "HF_HUB_DISABLE_XET": "1",
                "COLUMNS": "200",
                "no_proxy": "",
            },
            before=lambda: _use(catalogue),
        )

    def _faults(self, way: str, ended: Ended) -> list[str]:
        if ended.fault:
            return [f"{ended.fault} after {ended.seconds:.0f} s: {ended.said.strip()[-300:]}"]
        wanted = 0 if way in GOOD or (self.kind == "hub" and way in GOOD_FOR_THE_HUB) else 3
        if ended.code != wanted:
            return [f"{ended.code} instead of {wanted}: {ended.said.strip()[-300:]}"]
        lines = [line for line in ended.said.splitlines() if line.startswith(("error:", "hint:"))]
        return [] if ended.code == 0 or len(lines) == 2 else [f"says {ended.said!r}"]

    def _afterwards(self, way: str) -> list[str]:
        blobs = (self.place / way / "home/weights/blobs").glob("[!.]*")
        found = [
            f"{blob.name[:12]} is not its digest" for blob in blobs if digest(blob) != blob.stem
        ]
        again = self.pull("good", folder=way).wait(MOST_SECONDS)
        blob = self.place / way / "home/weights/blobs" / f"{_digest(self.content)}.pth"
        if again.code or again.fault or digest(blob) != blob.stem:
            found.append(f"next pull: {again.fault or again.code}: {again.said.strip()[-300:]}")
        left = [str(path.name) for path in (self.place / way / "home/weights/partial").glob("*")]
        return found + ([f"left {left}"] if left else [])


def _digest(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def _use(path: Path) -> None:
    import huggingface_hub.constants as constants

    import srcli.io.catalogue

    srcli.io.catalogue.catalogue_path = lambda: path
    srcli.io.catalogue.catalogue.cache_clear()
    constants.HF_HUB_CACHE = str(Path(os.environ["HF_HOME"]) / "hub")
    constants.ENDPOINT = os.environ["HF_ENDPOINT"]


if __name__ == "__main__":
    main()
