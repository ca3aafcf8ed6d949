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
import io
import mmap
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["SRCLI_OFFLINE"] = "1"

import atheris

with atheris.instrument_imports(include=["srcli.io", "srcli.models", "srcli.services"]):
    import srcli.io.catalogue
    import srcli.io.checkpoints
    import srcli.io.claims
    import srcli.io.containers
    import srcli.io.curves
    import srcli.io.exif
    import srcli.io.gif
    import srcli.io.metadata
    import srcli.io.ncnn
    import srcli.io.pickle_values
    import srcli.io.pickles
    import srcli.io.png_text
    import srcli.io.profiles
    import srcli.io.reasons
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
    import srcli.services.fingerprint
    import srcli.services.journal
    import srcli.services.journal_file
    import srcli.services.manifest
    import srcli.training.config

import numpy as np
import spandrel  # noqa: F401  (imported once, before the time of an input runs)
import torch
from picture_makers import samples
from tally import Tally
from weights_makers import bombs, good_files, ncnn_pair, pickled, safetensors, zipped

from srcli.errors import SrcliError
from srcli.io.pickle_values import PickleError
from srcli.io.profiles import ProfileError
from srcli.io.tiff import TiffError

OWN = (SrcliError, TiffError, ProfileError, PickleError)
SECONDS = 10
LONGEST = 1 << 16
LONGEST_BOMB = 1 << 12


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
        srcli.io.structure.is_animated_png(io.BytesIO(data))
        srcli.io.structure.is_lossless_webp(io.BytesIO(data))
        srcli.io.structure.jpeg_comments(io.BytesIO(data))
        with suppress(EOFError):
            for image in srcli.io.gif.gif_images(io.BytesIO(data)):
                srcli.io.gif.painted_pixels(io.BytesIO(data), image, 1 << 40)

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


def _parquet() -> bytes:
    import pyarrow
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"path": ["a.png", "b.png"]}), file)
    return file.getvalue()


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
    "manifest": lambda: [b"a.png\n# b\ns3://bucket/a.png\nfile:///a.png\n/c d.png\n"],
    "parquet": lambda: [_parquet()],
    "exif": _described,
    "tiff": _described,
    "metadata": _described,
    "icc": _profiles,
    "xmp": lambda: [b'<x tiff:Orientation="6"><xmp:Thumbnails>x</xmp:Thumbnails></x>'],
    "iptc": lambda: [srcli.io.exif.photoshop_block(b"\x1c\x02\x05\0\1x"), b"8BIM\4\4\0\0\0\0\0\1x"],
    "png_text": lambda: _picture("png-described", "png-RGB"),
    "structure": lambda: _picture("apng-RGB", "webp-animated", "jpeg-described", "gif-plain"),
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
    folder = Path(tempfile.mkdtemp(prefix=f"srcli-fuzz-{name}-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds(name)):
        (corpus / f"{number}").write_bytes(seed)
    limits = [f"-timeout={SECONDS}", f"-rss_limit_mb={options.memory_mib}", f"-max_len={LONGEST}"]
    limits += [f"-max_total_time={options.seconds}"]
    arguments = options.files or [f"-runs={options.runs}", f"-seed={options.seed}", str(corpus)]
    atheris.Setup(
        [sys.argv[0], *limits, f"-artifact_prefix={keep}/{name}-", *arguments],
        one_input(getattr(Targets(folder), name), shared),
    )
    atheris.Fuzz()


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
