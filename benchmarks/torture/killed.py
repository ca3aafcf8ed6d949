"""What is killed: commands with tiny networks and pictures, and what is right afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import forked
import numpy as np
from PIL import Image

State = Mapping[str, str]  # path below the folder -> what it holds, in short


class Trial:
    """A command, in a folder of its own for each case."""

    first: tuple[object, ...] = ()
    full_codes: tuple[int, ...] = (5,)  # of a run on a full disk

    def __init__(self, place: Path) -> None:
        self.place = place

    def prepare(self, folder: Path) -> None:
        """Put what the command reads into the folder."""

    def before(self) -> None:
        """Runs in the child, ahead of the command."""

    def environment(self, folder: Path) -> dict[str, str]:
        temporary = folder / "tmp"
        temporary.mkdir(exist_ok=True)
        return {"TMPDIR": str(temporary), "SRCLI_HOME": str(folder / "home"), "COLUMNS": "200"}

    def second(self, folder: Path) -> tuple[object, ...]:
        """The command of the next run."""
        return self.first

    def state(self, folder: Path) -> State:
        """Every file that is there, hidden ones too, and what it holds."""
        return {
            str(path.relative_to(folder)): self.essence(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def essence(self, path: Path) -> str:
        """What must be the same in every run."""
        if path.name.startswith(".srcli-journal"):
            return "journal"
        return digest(path)

    def faults(self, folder: Path, right: State) -> list[str]:
        """What is wrong after the kill: a file under a final name that is not whole."""
        return [
            f"after the kill: {name} is not what it becomes"
            for name, essence in self.state(folder).items()
            if name in right and right[name] != essence
        ]

    def may_stay(self, name: str) -> bool:
        """Whether a file that an undisturbed run does not leave may be there after a full disk."""
        return False

    def difference(self, state: State, right: State) -> str:
        missing, more = sorted(right.keys() - state.keys()), sorted(state.keys() - right.keys())
        other = sorted(name for name in right.keys() & state.keys() if right[name] != state[name])
        return f"missing {missing}, left over {more}, different {other}"

    def reset(self) -> None:
        """Between two cases."""

    def close(self) -> None:
        """At the end."""


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def noise(path: Path, seed: int, size: tuple[int, int], **options: Any) -> None:
    """A picture of noise, as the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)


def weights(place: Path, **shape: int) -> Path:
    """A network with random weights; made in a child, so that the parent computes nothing."""
    path = place / "tiny.safetensors"
    if not path.exists() and not (pid := os.fork()):
        try:
            import torch
            from safetensors.torch import save_file

            from srcli.models.rrdb import RRDBConfig, RRDBNet

            torch.manual_seed(0)
            config = RRDBConfig(**{"channels": 8, "growth": 4, "blocks": 1, "scale": 2, **shape})
            save_file(RRDBNet(config).state_dict(), path)
        finally:
            os._exit(0)
    elif not path.exists():
        os.waitpid(pid, 0)
    return path


class Picture(Trial):
    """One picture: a TIFF of three pages with transparency, its spools on the disk."""

    pages, size = 3, (60, 70)

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.first = ("upscale", "in.tif", "-o", "out.tif", "-m", weights(place), "-d", "cpu")
        self.first += ("--plan", "stream")

    def prepare(self, folder: Path) -> None:
        width, height = self.size
        pages = [
            Image.fromarray(np.random.default_rng(n).integers(0, 256, (height, width, 4), np.uint8))
            for n in range(self.pages)
        ]
        pages[0].save(folder / "in.tif", save_all=True, append_images=pages[1:])

    def before(self) -> None:
        import srcli.services.job

        srcli.services.job.MEMORY_LIMIT = 0

    def second(self, folder: Path) -> tuple[object, ...]:
        return (*self.first, "--overwrite")


class Format(Trial):
    """One picture of a kind, from memory to its file."""

    suffix = "png"

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        out = f"out.{self.suffix}"
        self.first = ("upscale", "in.png", "-o", out, "-m", weights(place), "-d", "cpu")

    def prepare(self, folder: Path) -> None:
        noise(folder / "in.png", 1, (90, 60))

    def second(self, folder: Path) -> tuple[object, ...]:
        return (*self.first, "--overwrite")


def formats() -> dict[str, Callable[[Path], Trial]]:
    """`Format` for every kind of picture that is written."""
    kinds = ("png", "jpg", "webp", "tif", "gif", "avif", "bmp", "heic")
    return {kind: type(f"Format{kind.title()}", (Format,), {"suffix": kind}) for kind in kinds}


class Folder(Trial):
    """A folder of pictures with a journal."""

    full_codes = (1, 5)
    suffixes = ("png", "jpg", "webp", "tif", "png", "jpg")
    size = (40, 50)  # of the first; the others are wider

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.first = ("upscale", "in", "-r", "-o", "out", "-m", weights(place), "-d", "cpu")

    def prepare(self, folder: Path) -> None:
        width, height = self.size
        for number, suffix in enumerate(self.suffixes):
            name = f"in/{'below/' if number > 1 else ''}{number}.{suffix}"
            noise(folder / name, number, (width + 8 * number, height))

    def may_stay(self, name: str) -> bool:
        return ".sqlite-" in name  # SQLite's own, which it takes up again

    def before(self) -> None:
        import srcli.services.job

        srcli.services.job.MEMORY_LIMIT = 20_000  # the larger ones go over the disk


class Pull(Trial):
    """Weights from a plain address, as on GitHub."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        sys.path.insert(0, str(forked.ROOT / "tests" / "weights"))
        import weights_server as web

        self.web = web
        self.content = np.random.default_rng(3).bytes(2_000_000)
        self.port, self.server = _serve(web, self.files())
        self.catalogue = place / "weights.toml"
        head = web.ENTRY.format(name="a", aliases="", licence="MIT", commercial="true", keep="")
        self.catalogue.write_text(f"{head}\n[[weights.a.sources]]\n{self.source()}\n")
        self.first = ("weights", "pull", "a")

    def files(self) -> dict[str, Any]:
        return {"/a.pth": self.web.Served(content=self.content)}

    def source(self) -> str:
        address = f"http://127.0.0.1:{self.port}/a.pth"
        return str(self.web.url_source(address, content=self.content))

    def environment(self, folder: Path) -> dict[str, str]:
        address = f"http://127.0.0.1:{self.port}"
        hub = {"HF_HOME": str(folder / "hub"), "HF_ENDPOINT": address, "HF_HUB_DISABLE_XET": "1"}
        return {**super().environment(folder), **hub}

    def before(self) -> None:
        import srcli.io.catalogue

        catalogue = self.catalogue
        srcli.io.catalogue.catalogue_path = lambda: catalogue
        srcli.io.catalogue.catalogue.cache_clear()

    def may_stay(self, name: str) -> bool:
        return "/partial/" in name or "hub/" in name  # to be gone on with

    def essence(self, path: Path) -> str:
        return "stamp" if path.parent.name == "stamps" else digest(path)

    def faults(self, folder: Path, right: State) -> list[str]:
        """Every blob is what its name says."""
        return [
            f"after the kill: {path.name[:12]} is not its digest"
            for path in (folder / "home/weights/blobs").glob("[!.]*")
            if digest(path) != path.stem
        ]

    def close(self) -> None:
        os.kill(self.server, signal.SIGKILL)
        os.waitpid(self.server, 0)


class PullFromHub(Pull):
    """The same from the Hugging Face hub, through its own cache."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        os.environ.update(self.environment(place))  # which it reads when it is imported
        import huggingface_hub.file_download  # noqa: F401  (once, for all children)

    def files(self) -> dict[str, Any]:
        return {"/me/nets/resolve/main/a.pth": self.web.Served(content=self.content)}

    def source(self) -> str:
        return str(self.web.hub_source(content=self.content))

    def before(self) -> None:
        super().before()
        import huggingface_hub.constants as constants

        constants.HF_HUB_CACHE = str(Path.cwd() / "hub" / "hub")

    def state(self, folder: Path) -> State:
        """What the hub's own library leaves in its own cache is its own."""
        mine = super().state(folder)
        theirs = ("/.locks/", ".incomplete", "/dummy_file_", ".tmp")
        return {n: what for n, what in mine.items() if not any(each in n for each in theirs)}


def _serve(web: Any, files: dict[str, Any]) -> tuple[int, int]:
    """A server in a process of its own: its port and its number."""
    server = web.Server()
    server.files = files
    pid = os.fork()
    if not pid:
        try:
            server.serve_forever(poll_interval=0.05)
        finally:
            os._exit(0)
    server.socket.close()
    return server.server_port, pid


TRAINING = """
[data]
high = "photos"
workers = 0
[network]
kind = "pretrained"
weights = "{weights}"
[losses.pixel]
kind = "pixel"
[training]
steps = 6
batch = 2
patch_px = 32
[validation]
every_steps = 3
[checkpoints]
every_steps = 2
keep = 2
[log]
every_steps = 2
tensorboard = false
"""


class Training(Trial):
    """A short training, saved every second step."""

    text = TRAINING

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        import torch._dynamo  # noqa: F401  (torch's optimizers do, which takes longer than a run)

        self.network = weights(place, scale=4)
        self.first = ("train", "run.toml", "-d", "cpu", "-o", "run")

    def prepare(self, folder: Path) -> None:
        for number in range(4):
            coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
            smooth = Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC)
            (folder / "photos").mkdir(exist_ok=True)
            smooth.save(folder / f"photos/{number}.png")
        (folder / "run.toml").write_text(self.text.format(weights=self.network))

    def second(self, folder: Path) -> tuple[object, ...]:
        return (*self.first, "--resume") if (folder / "run").exists() else self.first

    def state(self, folder: Path) -> State:
        """Without the checkpoints before the last: a stop that was heard adds one where it was."""
        mine = super().state(folder)
        saved = sorted(name for name in mine if name.endswith(".pt"))
        return {name: what for name, what in mine.items() if name not in saved[:-1]}

    def may_stay(self, name: str) -> bool:
        return name.startswith("run/")  # to be gone on with

    def essence(self, path: Path) -> str:
        if path.name in ("metrics.jsonl", "report.html"):
            return "a log with times"
        kinds = {".pt": state_digest, ".safetensors": tensors_digest}
        return kinds.get(path.suffix, digest)(path)

    def faults(self, folder: Path, right: State) -> list[str]:
        """Checkpoints are whole; they may be of before a validation, weights of earlier steps."""
        changing = (".pt", "best.safetensors", "last.safetensors")
        torn = [
            name
            for name, what in super().state(folder).items()
            if what.startswith("damaged") and ".partial" not in name
        ]
        return torn + [
            fault
            for fault in super().faults(folder, right)
            if not any(c in fault for c in changing)
        ]


def tensors_digest(path: Path) -> str:
    """Of the tensors, and of the metadata, whose order the format leaves open."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True)
    return hashlib.sha256(header.encode() + data[8 + size :]).hexdigest()


def state_digest(path: Path) -> str:
    """Of the state of a training, bit by bit, without the seconds that it took."""
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        return f"damaged: {error}"
    state.pop("seconds", None)
    hashed = hashlib.sha256()
    _feed(state, hashed.update)
    return hashed.hexdigest()


def _feed(value: Any, update: Callable[[bytes], object]) -> None:
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            update(str(key).encode())
            _feed(value[key], update)
    elif isinstance(value, (list, tuple)):
        for each in value:
            _feed(each, update)
    elif hasattr(value, "numpy"):
        update(value.detach().contiguous().numpy().tobytes())
    else:
        update(repr(value).encode())


class Report(Trial):
    """The page of a training run, made anew."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.trained = place / "trained"
        self.trained.mkdir()
        training = Training(place)
        training.prepare(self.trained)
        forked.run(training.first, folder=self.trained, environment=training.environment(place))
        self.first = ("report", "run", "-o", "page.html")

    def prepare(self, folder: Path) -> None:
        shutil.copytree(self.trained / "run", folder / "run")

    def essence(self, path: Path) -> str:
        return "a page with a time" if path.suffix == ".html" else digest(path)


class Export(Trial):
    """A network for other programs."""

    kind = "onnx"

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.first = ("export", weights(place), "--to", self.kind, "-o", f"out.{self.kind}")

    def second(self, folder: Path) -> tuple[object, ...]:
        return (*self.first, "--overwrite")

    def essence(self, path: Path) -> str:
        return "an export" if path.name.startswith("out.") else digest(path)


class ExportTorchScript(Export):
    """The same as TorchScript."""

    kind = "torchscript"


class Compare(Trial):
    """A page that compares two pictures, with a sheet."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.first = ("compare", "a.png", "b.png", "-o", "page.html", "--sheet", "sheet.png")

    def prepare(self, folder: Path) -> None:
        for number, name in enumerate(("a.png", "b.png")):
            noise(folder / name, number, (60, 40))

    def second(self, folder: Path) -> tuple[object, ...]:
        return (*self.first, "--overwrite")


class Degrade(Trial):
    """Low pictures, made from good ones."""

    full_codes = (1, 5)

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.first = ("degrade", "in", "-o", "low", "--sheet")

    def prepare(self, folder: Path) -> None:
        for number in range(3):
            noise(folder / f"in/{number}.png", number, (64, 48))

    def second(self, folder: Path) -> tuple[object, ...]:
        return (*self.first, "--overwrite")


TRIALS: dict[str, Callable[[Path], Trial]] = {
    "picture": Picture,
    "format": Format,
    "folder": Folder,
    "pull": Pull,
    "pull-hub": PullFromHub,
    "training": Training,
}
DISK_TRIALS: dict[str, Callable[[Path], Trial]] = {
    **TRIALS,
    **formats(),
    "report": Report,
    "onnx": Export,
    "torchscript": ExportTorchScript,
    "compare": Compare,
    "degrade": Degrade,
}
