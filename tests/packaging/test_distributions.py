"""What is published: a wheel and an sdist that hold what they should, and nothing else."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from srcli import __version__

ROOT = Path(__file__).parents[2]
DATA = (".html", ".css", ".js", ".toml", ".webp", ".safetensors", "LICENSE-swift", "py.typed")
# Files that the build adds, and what it needs of the tree beside the package.
METADATA = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
BESIDE = {"LICENSE", "README.md", "pyproject.toml", "weights.toml", "PKG-INFO", ".gitignore"}


def build(kind, folder, *, tree=ROOT, moment=None):
    """A distribution as pip makes it, without the isolation that would need a network."""
    environment = {name: value for name, value in os.environ.items() if "EPOCH" not in name}
    environment |= {"SOURCE_DATE_EPOCH": str(moment)} if moment else {}
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=tree, env=environment, check=True, capture_output=True)
    (made,) = Path(folder).iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    return build("sdist", tmp_path_factory.mktemp("sdist"))


def package_files():
    """Every file of the package, but for what Python leaves there."""
    files = (path for path in (ROOT / "srcli").rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"}


def test_the_wheel_is_the_package_the_catalogue_and_its_metadata(wheel):
    about = f"srcli-{__version__}.dist-info"
    expected = package_files() | {"srcli/weights.toml"} | {f"{about}/{name}" for name in METADATA}
    assert set(zipfile.ZipFile(wheel).namelist()) == expected


def test_the_sdist_is_the_package_and_what_builds_it(sdist):
    top = f"srcli-{__version__}"
    with tarfile.open(sdist) as archive:
        names = {member.name for member in archive if member.isfile()}
    assert names == {f"{top}/{name}" for name in package_files() | BESIDE}


def test_nothing_in_the_package_is_of_an_unknown_kind():
    odd = [name for name in package_files() if not name.endswith((".py", *DATA))]
    assert odd == []


def test_the_wheel_is_small_and_typed(wheel):
    assert wheel.name == f"srcli-{__version__}-py3-none-any.whl"
    assert wheel.stat().st_size < 4_000_000
    assert "srcli/py.typed" in zipfile.ZipFile(wheel).namelist()


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_two_builds_have_the_same_bytes(kind, wheel, sdist, tmp_path):
    first = {"wheel": wheel, "sdist": sdist}[kind]
    assert build(kind, tmp_path / "again").read_bytes() == first.read_bytes()
    dated = [build(kind, tmp_path / place, moment=1_700_000_000) for place in ("one", "two")]
    assert dated[0].read_bytes() == dated[1].read_bytes() != first.read_bytes()


def test_the_wheel_of_the_sdist_is_the_wheel_of_the_tree(wheel, sdist, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build("wheel", tmp_path / "dist", tree=tmp_path / f"srcli-{__version__}")
    assert again.read_bytes() == wheel.read_bytes()


def test_an_unpacked_wheel_runs_from_anywhere(wheel, tmp_path):
    """As pip lays it: no tree beside it, another working folder, the catalogue found inside."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    command = [sys.executable, "-P", "-m", "srcli", "weights", "path", "swift"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        Path(done.stdout.strip()) == tmp_path / "site" / "srcli" / "shipped" / "swift.safetensors"
    )
