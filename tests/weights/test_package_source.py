"""Data files of Python packages: read like an archive's, with nothing of the package ever run."""

import importlib.util
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from weights_server import digest

from srcli.errors import UnavailableWeightsError
from srcli.io.cache import Cache
from srcli.io.catalogue import PackageSource, WantedFile, catalogue
from srcli.io.sources import Hosts, SourceError, fetch, held_nearby, package
from srcli.services.weights import obtain

PARAM, BIN = b"7767517\n3 3\n", bytes(range(256)) * 40
UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
HAS_PIP = importlib.util.find_spec("pip") is not None


@pytest.fixture(
    params=[
        pytest.param("pip", marks=pytest.mark.skipif(not HAS_PIP, reason="no pip here")),
        pytest.param("uv", marks=pytest.mark.skipif(not UV, reason="no uv here")),
    ]
)
def installer(request, monkeypatch):
    """One installer, which knows only the wheels of the test."""
    if request.param == "uv":
        monkeypatch.setattr(package.importlib.util, "find_spec", lambda name: None)
    return request.param


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    folder = tmp_path / "wheels"
    folder.mkdir()
    for variable in ("PIP_NO_INDEX", "UV_NO_INDEX"):
        monkeypatch.setenv(variable, "1")
    for variable in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    return folder


def contents(marker, param=PARAM):
    info = "tinynets-1.0.dist-info"
    return {
        "tinynets/__init__.py": f"open({str(marker)!r}, 'w')\n".encode(),
        "tinynets/models/net.param": param,
        "tinynets/models/net.bin": BIN,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tinynets\nVersion: 1.0\n"
        b"Requires-Dist: there-is-no-such-thing\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }


def write_wheel(folder, **changes):
    path = folder / "tinynets-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents(folder / "ran", **changes).items():
            archive.writestr(name, content)
    return path


def source(wheel_sha256=None):
    files = tuple(
        WantedFile(path=f"tinynets/models/{name}", sha256=digest(content), size=len(content))
        for name, content in (("net.param", PARAM), ("net.bin", BIN))
    )
    return PackageSource(package="tinynets", version="1.0", wheel_sha256=wheel_sha256, files=files)


def get(wanted):
    return [path.read_bytes() for path, _ in fetch(wanted, Cache(), Hosts(), lambda *_: None)]


def test_the_files_are_taken_from_the_wheel_and_nothing_of_it_runs(wheels, installer):
    wheel = write_wheel(wheels)
    assert get(source(digest(wheel.read_bytes()))) == [PARAM, BIN]
    assert not (wheels / "ran").exists() and "tinynets" not in sys.modules
    assert all(path.is_file() for path in (Cache().root / "partial").iterdir())


def test_a_wheel_with_another_digest_is_refused(wheels, installer):
    write_wheel(wheels)
    with pytest.raises(SourceError, match="(?i)hash"):
        get(source(digest(b"another wheel")))


def test_a_file_with_another_digest_is_refused(wheels, installer):
    write_wheel(wheels, param=PARAM[::-1])
    with pytest.raises(SourceError, match="gave another file"):
        get(source())


def test_a_package_that_would_have_to_be_built_is_refused_unbuilt(wheels, installer):
    setup = wheels / "setup.py"
    setup.write_text(f"open({str(wheels / 'ran')!r}, 'w')")
    with tarfile.open(wheels / "tinynets-1.0.tar.gz", "w:gz") as archive:
        archive.add(setup, "tinynets-1.0/setup.py")
    with pytest.raises(SourceError):
        get(source())
    assert not (wheels / "ran").exists()


def test_a_package_that_is_nowhere_is_named_by_the_installer(wheels, installer):
    with pytest.raises(SourceError, match="tinynets"):
        get(source())


def test_a_wheel_without_the_file_is_refused(wheels, installer):
    write_wheel(wheels)
    wanted = source()
    lost = wanted.files[0].model_copy(update={"path": "nets/other.bin"})
    with pytest.raises(SourceError, match="other.bin"):
        get(wanted.model_copy(update={"files": (lost,)}))


def test_an_installer_is_found_beside_the_interpreter_without_a_path_to_look_in(monkeypatch):
    monkeypatch.setattr(package.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(package.shutil, "which", lambda name, path: path)
    monkeypatch.delenv("PATH", raising=False)
    assert package._command()[0].startswith(str(Path(sys.executable).parent))


def test_without_an_installer_it_is_said_so(monkeypatch):
    monkeypatch.setattr(package.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(package.shutil, "which", lambda *_, **__: None)
    with pytest.raises(SourceError, match="neither pip nor uv"):
        get(source())


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put the package where this interpreter finds it, without importing it."""

    def put(**changes):
        for name, content in contents(tmp_path / "ran", **changes).items():
            (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "site" / name).write_bytes(content)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))

    return put


def in_toml(wanted):
    files = ", ".join(
        f'{{ path = "{file.path}", sha256 = "{file.sha256}", size = {file.size} }}'
        for file in wanted.files
    )
    return f'kind = "package"\npackage = "tinynets"\nversion = "1.0"\nfiles = [{files}]'


def test_an_installed_package_is_used_without_a_connection(
    install, write_catalogue, no_network, tmp_path
):
    install()
    write_catalogue(tiny=[in_toml(source())])
    weights = obtain("tiny", offline=True)
    assert [file.read_bytes() for file in weights.files] == [PARAM, BIN]
    assert [file.suffix for file in weights.files] == [".param", ".bin"]
    assert weights.source == "the package tinynets 1.0" and not (tmp_path / "ran").exists()


def test_an_installed_package_with_other_files_is_not_used(install, write_catalogue, no_network):
    install(param=PARAM[::-1])
    write_catalogue(tiny=[in_toml(source())])
    assert held_nearby(source())
    with pytest.raises(UnavailableWeightsError):
        obtain("tiny", offline=True)


@pytest.mark.parametrize("name", ["lpips-alex", "realesr-animevideov3"])
def test_the_real_package_gives_the_real_weights(name):
    (wanted,) = [s for s in catalogue().find(name).sources if isinstance(s, PackageSource)]
    try:
        gained = fetch(wanted, Cache(), Hosts(), lambda *_: None)
    except SourceError as error:
        if "gave another" in str(error) or "hash" in str(error).lower():
            raise
        pytest.skip(f"the package index gave nothing: {error}")
    assert [file.sha256 for _, file in gained] == [file.sha256 for file in wanted.files]
