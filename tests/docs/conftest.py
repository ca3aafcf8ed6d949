"""A folder with everything that the documentation names, and weights of all names, but tiny."""

import os
import shutil
import tempfile
import tomllib

import numpy as np
import pytest
import torch
from pages import ROOT
from PIL import Image
from safetensors.torch import save_file

import srcli.io.catalogue
from srcli.io.cache import sha256
from srcli.models.compact import CompactConfig, CompactNet
from srcli.models.rrdb import RRDBConfig, RRDBNet
from srcli.services.weights_cache import import_weights
from srcli.training.document import toml_value

PICTURES = """
    a.png b.png c.png cat.png drawing.png holiday.tif lena.png old.jpg page.png photo.jpg photo.png
    photo.tif portrait.jpg scan.tif sprite.png wall.png
    after/one.png after/two.png before/one.png before/two.png folder_a/one.png folder_b/one.png
    comics/one.jpg comics/two.jpg low/one.png low/two.png originals/one.png ours/one.png
    theirs/one.png photos/one.jpg photos/two.jpg photos/trip/three.jpg restored/one.png
    scans/one.png scans/two.tif target/one.png my-photos/one.png textures/wall.png
    docs/pictures/cat.png
"""
SCALES = (1, 2, 4, 8)
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync"
)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """What a reader has before the first command."""
    folder = tmp_path_factory.mktemp("inputs")
    random = np.random.default_rng(0)
    for place, name in enumerate(PICTURES.split()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        width, height = 24, 24
        if path.parent.name in {"photos", "trip", "comics"}:  # to train with
            width, height = 88, 80
        elif path == folder / "cat.png":
            width, height = 120, 100
        elif path.stem == "photo":  # a strip, which is small at poster size too
            width, height = 96, 12
        smooth = random.integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(smooth).resize((width, height), Image.Resampling.BICUBIC).save(
            path, quality=90 + place % 5
        )
    return folder


@pytest.fixture(scope="session")
def tiny_networks(tmp_path_factory):
    """A file of weights for each scale, and a Compact one."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    networks = {
        str(s): RRDBNet(RRDBConfig(scale=s, channels=8, growth=4, blocks=1)) for s in SCALES
    }
    networks["compact"] = CompactNet(CompactConfig(channels=8, convolutions=1))
    for name, network in networks.items():
        save_file(network.state_dict(), folder / f"{name}.safetensors")
    return folder


@pytest.fixture(scope="session")
def home(tiny_networks, tmp_path_factory):
    """A cache with the catalogue's names, each of a network of its scale; no network is needed."""
    folder = tmp_path_factory.mktemp("home")
    entries = tomllib.loads((ROOT / "weights.toml").read_text("utf-8"))["weights"]
    text = ""
    for name, entry in entries.items():
        if entry.get("role", "upscaler") == "upscaler":
            kind = "compact" if entry["architecture"]["kind"] == "compact" else entry["scale"]
            path = tiny_networks / f"{kind}.safetensors"
            url = f"http://localhost/{path.name}"  # never asked: its digest is in the cache
            entry["sources"] = [{"kind": "url", "url": url, "sha256": sha256(path)}]
        text += f"[weights.{name}]\n"
        text += "".join(f"{key} = {toml_value(value)}\n" for key, value in entry.items())
    (folder / "weights.toml").write_text(text, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRCLI_HOME", str(folder))
        use_catalogue(patch, folder)
        for path in sorted(tiny_networks.iterdir()):
            import_weights(path)
    srcli.io.catalogue.catalogue.cache_clear()
    return folder


def use_catalogue(patch, home):
    patch.setattr(srcli.io.catalogue, "catalogue_path", lambda: home / "weights.toml")
    srcli.io.catalogue.catalogue.cache_clear()


@pytest.fixture
def sandbox(inputs, home, tiny_networks, tmp_path, monkeypatch):
    """The reader's folder, with a home of its own, where nothing can be fetched."""
    folder = tmp_path / "reader"
    shutil.copytree(inputs, folder)
    for name in ("nets/my_net.pth", "net.pth", "stick/RealESRGAN_x4plus.pth"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(tiny_networks / "4.safetensors", folder / name)
    shutil.copytree(home, tmp_path / "home")
    index = tmp_path / "home" / "openmodeldb" / "models.json"  # as if it had just been fetched
    index.parent.mkdir()
    index.write_text("{}")
    monkeypatch.setenv("SRCLI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SRCLI_OFFLINE", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(folder)
    use_catalogue(monkeypatch, home)
    yield folder
    srcli.io.catalogue.catalogue.cache_clear()


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window, its console and its requests on record."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if not all(programs):
        pytest.skip("Chromium and chromedriver are not installed")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = programs[0]
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        environment = {**os.environ, "SE_OFFLINE": "true"}  # selenium looks for no other driver
        service = webdriver.ChromeService(programs[1], env=environment)
        driver = webdriver.Chrome(options=options, service=service)
        yield driver
        driver.quit()
