"""Small pictures of one size share a run, and nobody can tell from the results."""

import time

import numpy as np
import pytest
import torch
from conftest import draw, files_below
from PIL import Image

from srcli.errors import BadWeightsError, UsageError
from srcli.inference.memory import MemoryExhaustedError
from srcli.inference.rows import TensorSink, TensorSource
from srcli.services import engine as engines
from srcli.services.batch import upscale_files
from srcli.services.engine import Engine, EngineOptions
from srcli.services.job import PictureOptions
from srcli.services.network import load_network
from srcli.services.observer import Observer
from srcli.services.request import UpscaleRequest
from srcli.services.sizes import TargetSize
from srcli.services.tasks import FolderOptions


@pytest.fixture
def mixed(tmp_path):
    """Ten pictures of one size in all kinds, two of another, one that is damaged."""
    folder = tmp_path / "in"
    for number in range(6):
        draw(folder / f"a{number}.png", (9, 7), seed=number)
    Image.open(folder / "a0.png").convert("L").save(folder / "gray.png")
    Image.open(folder / "a1.png").save(folder / "photo.jpg")
    clear = Image.open(folder / "a2.png").convert("RGBA")
    clear.putalpha(Image.open(folder / "a3.png").convert("L"))
    clear.save(folder / "clear.png")
    Image.fromarray(np.arange(63, dtype=np.uint16).reshape(7, 9) * 900).save(folder / "deep.png")
    draw(folder / "wide.png", (12, 7)), draw(folder / "wider.png", (12, 7), seed=8)
    whole = draw(folder / "zz.png", (9, 7), seed=9).read_bytes()
    (folder / "zz.png").write_bytes(whole[:-40])
    return folder


class FirstWaits(Observer):
    """Lets the others queue up behind the first picture."""

    def __init__(self):
        self.has_begun = False

    def opened(self, job, engine):
        time.sleep(0 if self.has_begun else 0.4)
        self.has_begun = True


def run(folder, output, weights, batch):
    request = UpscaleRequest(
        model=str(weights),
        engine=EngineOptions(device="cpu", batch=batch),
        picture=PictureOptions(size=TargetSize(scale=6)),  # two passes
        folder=FolderOptions(journal=False),
    )
    outcomes = list(upscale_files(request, [folder], str(output), FirstWaits()))
    assert [each.source for each in outcomes if each.error] == [str(folder / "zz.png")]
    return {name: (output / name).read_bytes() for name in files_below(output)}


def test_pictures_that_share_a_run_are_those_of_one_by_one_to_the_last_byte(
    mixed, tiny_weights, tmp_path, monkeypatch
):
    sizes = []

    def spied(runner, sources, sinks):
        sizes.append(len(sources))
        return together(runner, sources, sinks)

    together = engines.enlarge_together
    monkeypatch.setattr(engines, "enlarge_together", spied)
    alone = run(mixed, tmp_path / "alone", tiny_weights, None)
    assert sizes == [] and len(alone) == 12
    assert run(mixed, tmp_path / "together", tiny_weights, 4) == alone
    assert max(sizes) == 4


@pytest.mark.parametrize(
    "error",
    [MemoryExhaustedError("no"), BadWeightsError("no", hint="no"), MemoryError(), TypeError("bug")],
)
def test_a_batch_that_fails_is_done_one_by_one(mixed, tiny_weights, tmp_path, monkeypatch, error):
    def failing(runner, sources, sinks):
        raise error

    alone = run(mixed, tmp_path / "alone", tiny_weights, None)
    monkeypatch.setattr(engines, "enlarge_together", failing)
    assert run(mixed, tmp_path / "together", tiny_weights, 4) == alone


@pytest.mark.parametrize("size", [(1, 1), (5, 6), (7, 33), (40, 24)])
def test_an_image_does_not_hang_on_who_is_beside_it(tiny_weights, size):
    engine = Engine(load_network(tiny_weights), EngineOptions(device="cpu", batch=5))
    images = torch.rand(5, 3, *size)
    together, alone = (torch.zeros(5, 3, 4 * size[0], 4 * size[1]) for _ in range(2))
    assert engine.most_together(*size) == 5
    engine.run_together(
        [TensorSource(image) for image in images],
        [TensorSink(image) for image in together],
        on_tiles=[lambda done, total: None] * 5,
    )
    for image, restored in zip(images, alone, strict=True):
        engine.run(TensorSource(image), TensorSink(restored))
    assert torch.equal(together, alone)


def test_only_small_pictures_share_a_run(tiny_weights):
    engine = Engine(load_network(tiny_weights), EngineOptions(device="cpu", batch=5))
    assert (engine.most_together(64, 64), engine.most_together(500, 500)) == (5, 1)
    assert Engine(load_network(tiny_weights), EngineOptions(device="cpu")).most_together(9, 9) == 1
    with pytest.raises(UsageError):
        EngineOptions(batch=0)
