"""Coverage-guided fuzzing of everything in srcli that parses, with atheris.

    python benchmarks/torture/parsers.py --seconds 90

Each target runs in a process of its own, whose Python code in srcli is instrumented, and has a line
of figures as it ends; the last line is that of all. The law: only
srcli's own errors come out, nothing takes over ten seconds, and no run takes more than
`--memory-mib` of memory. Inputs that fall are kept in `--keep`, and are tried again by
`parsers.py --target NAME --runs 0 FILE`.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import io
import json
import mmap
import os
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["SRCLI_OFFLINE"] = "1"

import atheris

with atheris.instrument_imports(
    include=[f"srcli.{part}" for part in ("io", "models", "reports", "services", "web")]
    + ["srcli.training.config"]
):
    import srcli.io.addresses
    import srcli.io.catalogue
    import srcli.io.checkpoints
    import srcli.io.claims
    import srcli.io.containers
    import srcli.io.curves
    import srcli.io.exif
    import srcli.io.gif
    import srcli.io.metadata
    import srcli.io.ncnn
    import srcli.io.openmodeldb
    import srcli.io.pickle_values
    import srcli.io.pickles
    import srcli.io.png_text
    import srcli.io.profiles
    import srcli.io.reasons
    import srcli.io.sources.network
    import srcli.io.sources.url
    import srcli.io.stores
    import srcli.io.structure
    import srcli.io.tensors
    import srcli.io.tiff
    import srcli.io.toml
    import srcli.io.torch_files
    import srcli.io.vips
    import srcli.models.compact
    import srcli.models.dialects
    import srcli.models.ncnn
    import srcli.models.network
    import srcli.reports.progress
    import srcli.services.fingerprint
    import srcli.services.journal
    import srcli.services.journal_file
    import srcli.services.journal_log
    import srcli.services.lease
    import srcli.services.manifest
    import srcli.services.training.folder
    import srcli.services.training.log
    import srcli.services.training.page
    import srcli.training.config
    import srcli.web.door
    import srcli.web.intake
    import srcli.web.metrics
    import srcli.web.parameters
    import srcli.web.settings

import numpy as np
import pyarrow.parquet
import spandrel  # noqa: F401  (imported once, before the time of an input runs)
import starlette.requests
import torch
from picture_makers import samples
from tally import Tally
from weights_makers import bombs, good_files, ncnn_pair, pickled, safetensors, zipped

from srcli.errors import SrcliError
from srcli.io.addresses import Remote
from srcli.io.pickle_values import PickleError
from srcli.io.profiles import ProfileError
from srcli.io.sources.network import SourceError
from srcli.io.tiff import TiffError
from srcli.web.problems import Refusal

OWN = (SrcliError, TiffError, ProfileError, PickleError, SourceError, Refusal)
PART = b"\n\n"  # between the objects of a store
SECONDS = 10
LONGEST = 1 << 16
LONGEST_BOMB = 1 << 12


class Plug:
    """What a response reads from, in place of a connection."""

    def __init__(self, file: io.BytesIO) -> None:
        self._file = file

    def makefile(self, _mode: str) -> io.BytesIO:
        return self._file


def _received(body: bytes) -> Callable[[], Awaitable[dict[str, object]]]:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _nothing(*_: object) -> None:
    """An application behind a door that nobody passes."""


class Targets:
    """What is fuzzed: each method takes the bytes of one input."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = _numbers_of(good_files()[0][2])

    def param(self, data: bytes) -> None:
        """An ncnn .param with a .bin of zeros behind it."""
        (self.folder / "a.param").write_bytes(data)
        (self.folder / "a.bin").write_bytes(bytes(4 + 324 * 4 + 12 * 4))
        self._ncnn()

    def bin(self, data: bytes) -> None:
        """An ncnn .bin, for a good .param."""
        (self.folder / "a.param").write_bytes(seeds("param")[0])
        (self.folder / "a.bin").write_bytes(data)
        self._ncnn()

    def _ncnn(self) -> None:
        layers = srcli.io.ncnn.read_ncnn(self.folder / "a.param", self.folder / "a.bin")
        srcli.models.network.build_network(srcli.models.ncnn.state_dict_from_ncnn(layers))

    def dialects(self, data: bytes) -> None:
        """A state dict of names and small shapes, of no dialect or nearly of one."""
        provider = atheris.FuzzedDataProvider(data)
        state = {}
        for _ in range(provider.ConsumeIntInRange(1, 60)):
            name = provider.PickValueInList(NAMES)
            if provider.ConsumeIntInRange(0, 9) == 0:
                name = provider.ConsumeUnicode(40)
            shape = [
                provider.ConsumeIntInRange(0, 5) for _ in range(provider.ConsumeIntInRange(0, 5))
            ]
            state[name] = torch.zeros(shape)
        unwrapped = srcli.models.dialects.unwrap({"params": state})
        rrdb = srcli.models.dialects.recognise_rrdb(unwrapped)
        if rrdb is not None:
            rrdb.build()
        srcli.models.compact.recognise_compact(unwrapped)

    def safetensors(self, data: bytes) -> None:
        """A header, its length put right."""
        path = self.folder / "a.safetensors"
        path.write_bytes(struct.pack("<Q", len(data)) + data + bytes(64))
        srcli.io.tensors.read_metadata(path)
        srcli.models.network.build_network(
            srcli.models.dialects.unwrap(srcli.io.tensors.read_state_dict(path))
        )

    def pickles(self, data: bytes) -> None:
        """srcli's own reader of pickles."""
        list(srcli.io.pickles.names_in(io.BytesIO(data)))
        plain = srcli.io.pickles.read_plain(io.BytesIO(data))
        list(srcli.io.pickles.views_below(plain.value))

    def torch_file(self, data: bytes) -> None:
        """A .pth of either container, checked and then read by torch."""
        path = self.folder / "a.pth"
        path.write_bytes(data)
        srcli.io.tensors.read_state_dict(path)

    def torch_pickle(self, data: bytes) -> None:
        """The pickle of a .pth archive that is otherwise whole: what passes, torch can read."""
        path = self.folder / "a.pth"
        path.write_bytes(zipped(data, self.numbers))
        srcli.io.tensors.read_state_dict(path)

    def catalogue(self, data: bytes) -> None:
        """weights.toml."""
        path = self.folder / "weights.toml"
        path.write_bytes(data)
        srcli.io.catalogue.read_catalogue(path)

    def training(self, data: bytes) -> None:
        """A training file."""
        text = data.decode("utf-8", "replace")
        tables = srcli.io.toml.parse_toml(text, dict[str, object], source="fuzz", hint="mend it")
        srcli.training.config.parse_config(tables, source="fuzz")

    def journal(self, data: bytes) -> None:
        """A journal of a folder, opened to look at, to list its results, and to write."""
        folder = self.folder / "journal"
        for old in folder.glob(".srcli*"):
            old.unlink()
        folder.mkdir(exist_ok=True)
        (folder / srcli.services.journal.JOURNAL_NAME).write_bytes(data)
        settings = srcli.services.fingerprint.Settings("{}")
        srcli.services.journal.results_in(folder)
        picture = folder / "a.png"
        picture.write_bytes(b"picture")
        with srcli.services.journal.Journal(folder, settings, "model") as journal:
            journal.finished(picture)
            journal.begin(picture, folder / "a_x2.png", overwrite=True)
            journal.row(picture)
            journal.stopped(picture)

    def store_journal(self, data: bytes) -> None:
        """The objects of a journal in a store, opened to look at, to list, and to write."""
        home = Remote("memory", "fuzz/out/.srcli-journal")
        for entry in [*srcli.io.stores.listing(home, below=True)]:
            srcli.io.stores.delete(entry.address)
        lease, *parts = data.split(PART)
        if lease:
            srcli.io.stores.write(lease, home / "lease.json")
        for number, part in enumerate(parts, 1):
            srcli.io.stores.write(part, home / f"{number:010}.jsonl")
        settings = srcli.services.fingerprint.Settings("{}")
        folder, picture = home.parent, Remote("memory", "fuzz/a.png")
        content = srcli.services.fingerprint.Content(bytes=7, stamp="etag", sha256="0" * 64)
        srcli.services.journal.Journal.peek(folder, settings, "model")
        srcli.services.journal.results_in(folder)
        with srcli.services.journal.Journal(folder, settings, "model") as journal:
            journal.finished(picture, content)
            journal.begin(picture, folder / "a_x2.png", content, overwrite=True)
            journal.row(picture)
            journal.stopped(picture)
        with srcli.services.journal.Journal(folder, settings, "model") as journal:
            journal.row(picture)  # what was written can be read

    def run_log(self, data: bytes) -> None:
        """The log of a training: its report, and what is kept of it when the run goes on."""
        run = self.folder / "run"
        run.mkdir(exist_ok=True)
        folder = srcli.services.training.folder.RunFolder(run)
        folder.metrics.write_bytes(data)
        srcli.services.training.log.MetricsLog(folder, tensorboard=False, from_step=50).close()
        folder.metrics.write_bytes(data)
        srcli.services.training.page.RunPage(folder).write()

    def sheet(self, data: bytes) -> None:
        """A sheet of samples whose rows are described by this text."""
        path = self.folder / "sheet.png"
        path.write_bytes(_picture("png-RGB")[0])
        text = data.decode("utf-8", "replace")
        srcli.io.png_text.insert_png_texts(path, [(srcli.reports.progress.CHUNK, text)])
        srcli.reports.progress.read_sheet(path)

    def openmodeldb(self, data: bytes) -> None:
        """The index of OpenModelDB."""
        index = self.folder / "openmodeldb" / "models.json"
        index.parent.mkdir(exist_ok=True)
        index.write_bytes(data)
        os.environ["SRCLI_HOME"] = str(self.folder)
        database = srcli.io.openmodeldb.Database(is_cut_off=True)
        for found in database.search("a"):
            database.find(found.name)

    def addresses(self, data: bytes) -> None:
        """An address as somebody writes it, and where it leads first."""
        text = data.decode("utf-8", "surrogateescape")
        with suppress(SrcliError):
            address = srcli.io.addresses.address_of(text)
            assert str(address.parent / address.name) or address.suffix
        srcli.io.sources.network._first_hop(text)

    def answer(self, data: bytes) -> None:
        """The head of a server's answer."""
        head, _, number = data.partition(b"\0")
        file = io.BytesIO(head + b"\r\n\r\n")
        response = http.client.HTTPResponse(Plug(file))
        try:
            response.begin()
        except (OSError, http.client.HTTPException) as error:  # where it is opened, both are told
            raise SourceError("did not answer") from error
        srcli.io.sources.url._require_file(response)
        srcli.io.sources.url._extent(response, len(number))
        srcli.io.sources.url.pause_before(503, response.headers.get("Retry-After", ""))

    def parameters(self, data: bytes) -> None:
        """What is asked for with a picture, as in a query."""
        given = parse_qsl(data.decode("latin-1"), keep_blank_values=True)
        kind = srcli.web.parameters.parameters_of(["swift", "other"])
        srcli.web.parameters.read(kind, given).options(max_pixels=10**6)

    def form(self, data: bytes) -> None:
        """A form: its type and a NUL, then its body."""
        kind, _, body = data.partition(b"\0")
        headers = [(b"content-type", b"multipart/form-data;" + kind)]
        scope = {"type": "http", "app": None, "headers": headers}  # as in a service: any app
        request = starlette.requests.Request(scope, _received(body))
        _, fields = asyncio.run(srcli.web.intake.receive_picture(request, self.folder))
        srcli.web.parameters.read(srcli.web.parameters.parameters_of(["swift"]), fields)

    def door(self, data: bytes) -> None:
        """Host, origin and key of a request, a line each."""
        names = (b"host", b"origin", b"authorization")
        headers = list(zip(names, data.split(b"\n"), strict=False))
        scope = {"type": "http", "method": "POST", "path": "/upscale", "headers": headers}
        settings = srcli.web.settings.ServeSettings(api_key="0123456789abcdef")
        door = srcli.web.door.Door(_nothing, settings, srcli.web.metrics.Metrics())
        if refusal := door._refusal(scope):
            raise refusal

    def manifest(self, data: bytes) -> None:
        """A list of pictures as text."""
        path = self.folder / "list.txt"
        path.write_bytes(data)
        srcli.services.manifest.read_manifest(path)

    def parquet(self, data: bytes) -> None:
        """A list of pictures as Parquet."""
        path = self.folder / "list.parquet"
        path.write_bytes(data)
        srcli.services.manifest.read_manifest(path)

    def exif(self, data: bytes) -> None:
        """An EXIF block, corrected and written again."""
        exif = srcli.io.exif.read_exif(data)
        exif.correct(40, 30, "srcli")
        srcli.io.exif.read_exif(exif.to_bytes())

    def tiff(self, data: bytes) -> None:
        """The directories of a TIFF, and what they claim."""
        srcli.io.claims.check_tiff("fuzz", io.BytesIO(data), len(data))
        srcli.io.exif.exif_of_tiff(io.BytesIO(data))

    def xmp(self, data: bytes) -> None:
        """An XMP packet, made true."""
        srcli.io.exif.corrected_xmp(data * (1 + data.count(b"<") % 40), 40, 30)

    def iptc(self, data: bytes) -> None:
        """IPTC records in a Photoshop block, there and back."""
        records = srcli.io.exif.iptc_records(data)
        if records is not None:
            srcli.io.exif.iptc_records(srcli.io.exif.photoshop_block(records))

    def icc(self, data: bytes) -> None:
        """A colour profile, used both ways on a small picture."""
        profile = srcli.io.profiles.read_profile(data, 3)
        if profile.is_srgb or not isinstance(profile, srcli.io.profiles.MatrixProfile):
            return
        image = srcli.io.vips.from_numpy(PIXELS)
        with srcli.io.reasons.reading("fuzz"):
            profile.from_srgb(profile.to_srgb(image, 255.0)).avg()

    def structure(self, data: bytes) -> None:
        """Chunks and blocks of PNG, WebP, JPEG and GIF."""
        path = self.folder / "a"
        path.write_bytes(data)
        with path.open("rb") as file:  # unlike BytesIO it refuses to read less than nothing
            srcli.io.structure.is_animated_png(file)
            srcli.io.structure.is_lossless_webp(file)
            srcli.io.structure.avif_brands(file)
            srcli.io.structure.jpeg_comments(file)
            with suppress(EOFError):
                for image in srcli.io.gif.gif_images(file):
                    srcli.io.gif.painted_pixels(file, image, 1 << 40)

    def png_text(self, data: bytes) -> None:
        """The texts of a PNG, which are the same once they are written."""
        texts = srcli.io.png_text.png_texts(io.BytesIO(data))
        path = self.folder / "a.png"
        path.write_bytes(_picture("png-RGB")[0])
        srcli.io.png_text.insert_png_texts(path, texts)
        with path.open("rb") as file:
            again = srcli.io.png_text.png_texts(file)
        assert again == tuple((keyword, text.replace("\0", "")) for keyword, text in texts)

    def metadata(self, data: bytes) -> None:
        """All of a picture's metadata, as it is copied to a result."""
        half = len(data) // 2
        given = srcli.io.metadata.Metadata(
            exif=data[:half], xmp=data[half:], comments=(("", data.decode("latin-1")),)
        )
        srcli.io.metadata.corrected(given, height=40, width=30, software="srcli")


PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
NAMES = [
    *(f"body.{b}.rdb{r}.conv{c}.{p}" for b in (0, 1) for r in (1, 2, 3) for c in (1, 2, 3, 4, 5)
      for p in ("weight", "bias")),
    *(f"conv_{n}.{p}" for n in ("first", "body", "up1", "up2", "hr", "last")
      for p in ("weight", "bias")),
    *(f"RRDB_trunk.0.RDB1.conv{c}.weight" for c in (1, 2, 3, 4, 5)),
    *(f"model.1.sub.{b}.RDB1.conv1.0.weight" for b in (0, 1)),
    *(f"model.{n}.weight" for n in range(12)),
    *(f"res_blocks.0.dense_blocks.{b}.b1.0.weight" for b in (0, 1, 2)),
    *(f"upsampling.{n}.weight" for n in range(6)),
    *(f"body.{n}.weight" for n in range(8)), *(f"body.{n}.bias" for n in range(8)),
    *("module.x", "params", "conv1.weight", "conv2.weight", "conv3.0.weight", "conv3.2.weight"),
]  # fmt: skip


def seeds(name: str) -> list[bytes]:
    """Good inputs to start from."""
    return SEEDS[name]() if name in SEEDS else [b""]


def _picture(*names: str) -> list[bytes]:
    return [sample.data for sample in samples() if sample.name in names]


def _headers() -> list[bytes]:
    header = {"a": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}}
    files = [data for _, end, data in good_files() if end == ".safetensors"]
    headers = [data[8 : 8 + struct.unpack("<Q", data[:8])[0]] for data in files]
    return [*headers, safetensors({"__metadata__": {"licence": "MIT"}, **header})[8:]]


def _pickles() -> list[bytes]:
    archives = [data for kind, _, data in good_files() if "zip" in kind]
    small = [data for data in bombs().values() if len(data) < LONGEST_BOMB]
    return [*map(_pickle_of, archives), pickled({"a": {"b": ("c", 1)}}, 2), *small]


def _catalogue() -> list[bytes]:
    parts = srcli.io.catalogue.catalogue_path().read_bytes().split(b"\n[weights.")
    return [b"[weights." + part for part in parts[1:6]]


def _training() -> list[bytes]:
    from srcli.training.document import PRESETS, preset_document, preset_text

    return [preset_document("esrgan").encode(), *(preset_text(name).encode() for name in PRESETS)]


def _described() -> list[bytes]:
    (jpeg,) = _picture("jpeg-described")
    return [jpeg.partition(b"Exif\0\0")[2][:400], *_picture("tiff-described", "tiff-tiled")]


def _numbers_of(data: bytes) -> dict[str, bytes]:
    """The records of an archive that its pickle refers to."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if "/data/" in name]
        return {name.partition("/")[2]: archive.read(name) for name in names}


def _pickle_of(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read("archive/data.pkl")


def _journal() -> bytes:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        settings = srcli.services.fingerprint.Settings("{}")
        (folder / "a.png").write_bytes(b"picture")
        with srcli.services.journal.Journal(folder, settings, "model") as journal:
            journal.begin(folder / "a.png", folder / "a_x2.png", overwrite=True)
        return (folder / srcli.services.journal.JOURNAL_NAME).read_bytes()


def _parquet() -> list[bytes]:
    found = []
    for how in ({}, {"use_dictionary": False, "compression": "none"}, {"compression": "zstd"}):
        file = io.BytesIO()
        table = pyarrow.table({"path": ["a.png", None, "b.png"], "n": [1, 2, 3]})
        pyarrow.parquet.write_table(table, file, **how)
        found.append(file.getvalue())
    return found


def _store_journal() -> list[bytes]:
    key = {"source": "memory://fuzz/a.png", "settings": "x", "model": "model"}
    rest = {"tries": 1, "changed": "2026-01-01T00:00:00Z"}
    lines = [
        {"fingerprint": "x", "meaning": "{}"},
        {**key, "status": "done", "output": "a_x2.png", "output_bytes": 7, "seconds": 0.5, **rest},
        {**key, "status": "failed", "error": "bad", "hint": "mend", "sha256": "0" * 64, **rest},
        {**key, "source": {"base64": "YS5wbmc="}, "status": "running", "bytes": 7, **rest},
        {"gone": [{"base64": "YS5wbmc="}, "x", "model"]},
    ]
    told = [f"{json.dumps(line)}\n".encode() for line in lines]
    lease = json.dumps({"host": "h", "pid": 1, "started": 2.0, "token": "t", "beat": 3}).encode()
    return [PART.join([lease, *told]), PART + b"".join(told)]


def _run_log() -> bytes:
    words = {name: "a" for name in ("network", "base", "device", "precision", "time", "software")}
    counts = dict.fromkeys(("steps", "batch", "patch_px", "parts", "training", "validation"), 2)
    lines = [
        {"type": "begin", "step": 0, "losses": ["pixel"], **words, **counts},
        {"type": "bicubic", "step": 0, "psnr": 30.1, "ssim": 0.9},
        {"type": "validation", "step": 0, "psnr": 27.1, "ssim": 0.8, "lpips": None},
        {"type": "train", "step": 50, "loss/pixel": 0.02, "rate": 1e-4, "seconds": 4.0},
        {"type": "train", "step": 100, "loss/pixel": 0.01, "rate": 1e-4, "seconds": 8.0},
        {"type": "warning", "step": 50, "text": "slow"},
        {"type": "end", "step": 300, "state": "done", "seconds": 411.0},
    ]
    return b"".join(f"{json.dumps(line)}\n".encode() for line in lines)


def _openmodeldb() -> bytes:
    file = {"type": "pth", "size": 9, "sha256": "0" * 64, "urls": ["https://host.example/a.pth"]}
    page = {
        "type": "safetensors",
        "size": 9,
        "sha256": None,
        "urls": [f"https://{srcli.io.openmodeldb.PAGES[2]}/a"],
    }
    model = {
        **{"name": "A", "author": ["ada"], "architecture": "esrgan", "scale": 4},
        **{"license": "CC0-1.0", "tags": ["photo"], "description": "Fine.", "resources": [file]},
    }
    return json.dumps({"4x-A": model, "2x-B": {**model, "resources": [page]}}).encode()


def _forms() -> list[bytes]:
    head = (
        b'boundary=x; charset=utf-8\0--x\r\nContent-Disposition: form-data; name="scale"\r\n\r\n2'
    )
    file = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n'
    return [head + b"\r\n" + file + b"Content-Type: image/png\r\n\r\nPNG\r\n--x--\r\n"]


def _profiles() -> list[bytes]:
    from PIL import ImageCms

    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    return [made, made.replace(b"para", b"curv"), lab]


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "param": lambda: [ncnn_pair()[0]],
    "bin": lambda: [ncnn_pair()[1]],
    "safetensors": _headers,
    "pickles": _pickles,
    "torch_pickle": _pickles,
    "torch_file": lambda: [data for _, end, data in good_files() if end == ".pth"],
    "catalogue": _catalogue,
    "training": _training,
    "journal": lambda: [_journal()],
    "manifest": lambda: [
        b"a.png\n# b\ns3://bucket/a.png\nfile:///a.png\n/c d.png\nhttps://[::1]/a.png?b=c\n"
    ],
    "parquet": _parquet,
    "store_journal": _store_journal,
    "run_log": lambda: [_run_log()],
    "sheet": lambda: [b'[{"title": "a", "sizes": [[3, 4], [6, 8], [6, 8], [6, 8]]}]'],
    "openmodeldb": lambda: [_openmodeldb()],
    "addresses": lambda: [
        *(b"photos/a b.jpg", b"file:///a%20b.jpg", b"s3://bucket/a.jpg", b"memory://x/y"),
        *(b"https://[::1]:80/a.jpg?X-Amz-Signature=0&v=1#x", b"hf://datasets/a/b@main/c.png"),
    ],
    "answer": lambda: [
        b"HTTP/1.1 206 OK\r\nContent-Range: bytes 3-9/10\r\nContent-Type: a/b; c=d\0xxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Encoding: gzip\r\nRetry-After: 2",
    ],
    "parameters": lambda: [b"model=swift&scale=2.5&format=webp&quality=90&metadata=no", b"width=9"],
    "form": _forms,
    "door": lambda: [b"[::1]:8000\nhttps://localhost:8000\nBearer 0123456789abcdef"],
    "exif": _described,
    "tiff": _described,
    "metadata": _described,
    "icc": _profiles,
    "xmp": lambda: [b'<x tiff:Orientation="6"><xmp:Thumbnails>x</xmp:Thumbnails></x>'],
    "iptc": lambda: [srcli.io.exif.photoshop_block(b"\x1c\x02\x05\0\1x"), b"8BIM\4\4\0\0\0\0\0\1x"],
    "png_text": lambda: _picture("png-described", "png-RGB"),
    "structure": lambda: _picture("apng-RGB", "webp-animated", "jpeg-described", "gif-plain"),
}


def _toml_words() -> list[str]:
    text = b"".join([*_training(), *_catalogue()]).decode()
    return sorted(set(re.findall(r"[a-z_]{3,}", text))) + list(TOML_WORDS)


TOML_WORDS = ("= [", "]\n[", "[[", "{ ", '"""', "1979-05-27", "0x", "inf", "-nan", "\\u0000", "a.")
JSON_WORDS = (
    '": ',
    "null",
    "true",
    "-1",
    "1e999",
    "[[",
    "{}",
    '"\\ud800"',
    "NaN",
    '\\n"',
    "0" * 20,
)
# What a mutation puts in: the words of a format, which bytes at random do not come to.
WORDS: dict[str, Callable[[], Iterable[str]]] = {
    "catalogue": _toml_words,
    "training": _toml_words,
    "store_journal": lambda: (*JSON_WORDS, *srcli.services.journal_log.COLUMNS, "base64", "gone"),
    "run_log": lambda: JSON_WORDS,
    "sheet": lambda: JSON_WORDS,
    "openmodeldb": lambda: (*JSON_WORDS, "resources", "urls", "sha256", "tags", "scale", "author"),
    "safetensors": lambda: (
        *JSON_WORDS,
        "__metadata__",
        "data_offsets",
        "shape",
        "dtype",
        "F8_E8M0",
    ),
    "parameters": lambda: srcli.web.parameters.Parameters.model_fields,
    "form": lambda: (
        "charset=",
        "utf-7",
        "idna",
        "unicode_escape",
        "name*=",
        "filename=",
        "\r\n--x",
    ),
    "structure": lambda: ("acTL", "IDAT", "VP8L", "ANMF", "\xff\xfe", "\0\0", "NETSCAPE2.0"),
    "png_text": lambda: ("tEXt", "zTXt", "iTXt", "Raw profile type "),
    "addresses": lambda: ("https://", "[", "]", "@", "%00", "s3://", ":99999", "\u2100"),
}


def all_targets() -> list[str]:
    """The names of the targets, in the order of the class."""
    return [name for name in vars(Targets) if not name.startswith("_")]


def one_input(target: Callable[[bytes], None], counts: mmap.mmap) -> Callable[[bytes], None]:
    """The target as atheris calls it, counting what comes out into shared memory."""

    def run(data: bytes) -> None:
        try:
            target(data)
            _count(counts, 1)
        except OWN as error:
            _count(counts, 2)
            if isinstance(error, Refusal):
                error.response()
            if isinstance(error, SrcliError) and ("\n" in str(error) or not error.hint):
                raise AssertionError(f"an error that is not one line: {error!r}") from error

    return run


def _count(counts: mmap.mmap, place: int) -> None:
    for each in (0, place):
        (number,) = struct.unpack_from("<Q", counts, each * 8)
        struct.pack_into("<Q", counts, each * 8, number + 1)


def fuzz(name: str, options: argparse.Namespace, keep: Path) -> None:
    """Run one target in this process; it ends here."""
    with options.counts.open("r+b") as file:
        shared = mmap.mmap(file.fileno(), 24)
    memory = Path("/dev/shm")  # where there is one: a disk would be waited for
    tempfile.tempdir = str(memory) if memory.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix=f"srcli-fuzz-{name}-"))
    tempfile.tempdir = str(folder)
    srcli.services.lease.PATIENCE_SECONDS = srcli.services.lease._LOOK_SECONDS = 0.001
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds(name)):
        (corpus / f"{number}").write_bytes(seed)
    limits = [f"-timeout={SECONDS}", f"-rss_limit_mb={options.memory_mib}", f"-max_len={LONGEST}"]
    limits += [f"-max_total_time={options.seconds}", *_dictionary(name, folder)]
    arguments = options.files or [f"-runs={options.runs}", f"-seed={options.seed}", str(corpus)]
    atheris.Setup(
        [sys.argv[0], *limits, f"-artifact_prefix={keep}/{name}-", *arguments],
        one_input(getattr(Targets(folder), name), shared),
    )
    atheris.Fuzz()


def _dictionary(name: str, folder: Path) -> list[str]:
    if name not in WORDS:
        return []
    path = folder / "words"
    coded = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in WORDS[name]())
    path.write_text("".join(f'"{word}"\n' for word in coded))
    return [f"-dict={path}"]


def main() -> None:
    options = _options()
    keep = Path(options.keep)
    keep.mkdir(parents=True, exist_ok=True)
    if options.counts:
        fuzz(options.target[0], options, keep)
        return
    tally, covered = Tally("parsers"), {}
    for name in options.target or all_targets():
        covered[name], line = _in_process(tally, name, options)
        print(line, flush=True)
    sys.exit(tally.end(coverage=covered))


def _in_process(tally: Tally, name: str, options: argparse.Namespace) -> tuple[int, str]:
    """Places of the code that were reached, and a line of figures."""
    with tempfile.NamedTemporaryFile() as counts:
        counts.write(bytes(24))
        counts.flush()
        command = [sys.executable, __file__, "--counts", counts.name, "--target", name]
        command += ["--runs", str(options.runs), "--keep", options.keep, *options.files]
        command += ["--memory-mib", str(options.memory_mib), "--seed", str(options.seed)]
        command += ["--seconds", str(options.seconds)]
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace")
        tried, read, refused = struct.unpack("<3Q", Path(counts.name).read_bytes())
    tally.cases += tried
    tally.outcomes.update({f"{name}: read": read, f"{name}: refused": refused})
    if ended.returncode:
        told = [line for line in ended.stderr.splitlines() if not line.startswith("INFO: ")]
        # atheris writes the traceback of an exception to stdout.
        tally.fail(name, "\n".join(told)[-700:] + ended.stdout[-2500:])
    found = [line for line in ended.stderr.splitlines() if "cov: " in line]
    reached = int(found[-1].partition("cov: ")[2].split()[0]) if found else 0
    return reached, f"{name}: {tried} tried, {read} read, {refused} refused, {reached} places"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=-1, help="of each target at most; -1: any")
    parser.add_argument("--seconds", type=int, default=0, help="of each target at most; 0: any")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=all_targets())
    parser.add_argument("--memory-mib", type=int, default=1500, help="of the whole process")
    parser.add_argument("--keep", default="torture-found", help="folder for inputs that fall")
    parser.add_argument("--counts", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("files", nargs="*", help="inputs to try again")
    return parser.parse_args()


if __name__ == "__main__":
    main()
