"""A folder of small pictures, and the command line over it."""

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from srcli.cli.app import main


@dataclass
class Result:
    """What one call of the command line gave."""

    code: int
    out: str
    err: str


@pytest.fixture
def srcli(tiny_weights, capsys, tmp_path, monkeypatch):
    """Run `srcli upscale ... -m tiny -d cpu` in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["upscale", "-m", str(tiny_weights), "-d", "cpu", *map(str, arguments)])
        printed = capsys.readouterr()
        return Result(ended.value.code, printed.out, printed.err)

    return run


def draw(path, size=(6, 5), seed=0, **options):
    """A small picture of noise; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def files_below(folder):
    """Every visible file below a folder, as text."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )


@pytest.fixture
def photos(tmp_path):
    """photos/: three pictures in two folders."""
    draw(tmp_path / "photos/a.png")
    draw(tmp_path / "photos/b.jpg", seed=1)
    draw(tmp_path / "photos/trip/c.png", seed=2)
    return tmp_path / "photos"
