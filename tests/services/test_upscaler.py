"""The Python API: the same kind comes back."""

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import srcli


@pytest.fixture(scope="module")
def upscaler(tiny_weights):
    return srcli.Upscaler(tiny_weights, device="cpu")


def noise(*shape, dtype=np.uint8):
    full = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    return (np.random.default_rng(0).random(shape) * full).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 2), (9, 7, 3), (9, 7, 4)])
def test_an_array_comes_back_with_its_dtype_and_channels(upscaler, dtype, shape):
    larger = upscaler(noise(*shape, dtype=dtype))
    assert (larger.shape, larger.dtype) == ((36, 28, *shape[2:]), np.dtype(dtype))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1"])
def test_a_pil_image_comes_back_as_one(upscaler, mode):
    larger = upscaler(Image.fromarray(noise(9, 7, 3)).convert(mode), scale=2)
    assert isinstance(larger, Image.Image) and larger.size == (14, 18)


def test_a_tensor_goes_through_the_bare_network(upscaler, tiny_weights):
    images = torch.rand(2, 3, 9, 7)
    expected = srcli.load_network(tiny_weights)(images).clamp(0, 1)
    torch.testing.assert_close(upscaler(images), expected, atol=2e-6, rtol=0)
    torch.testing.assert_close(upscaler(images[0]), expected[0], atol=2e-6, rtol=0)


def test_all_kinds_give_the_same_picture(upscaler, tmp_path):
    pixels = noise(20, 12, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    by_array = upscaler(pixels)
    by_pil = np.asarray(upscaler(Image.fromarray(pixels)))
    by_path = np.asarray(Image.open(upscaler(tmp_path / "a.png")))
    assert np.array_equal(by_array, by_pil) and np.array_equal(by_array, by_path)


def test_a_page_is_what_it_is_alone_whatever_the_first_one_is(upscaler, tmp_path):
    pages = [noise(9, 8), noise(9, 8, 3), noise(9, 8, dtype=np.uint16), noise(9, 8, 4)]

    def enlarged(*pages):
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            for page in pages:
                kind = "rgb" if page.ndim == 3 else "minisblack"
                file.write(page, photometric=kind, metadata=None)
        with tifffile.TiffFile(
            upscaler(tmp_path / "a.tif", overwrite=True, color_fix="off")
        ) as file:
            return [page.asarray() for page in file.pages]

    beside_others = enlarged(*pages)
    for page, enlarged_beside in zip(pages, beside_others, strict=True):
        assert np.array_equal(enlarged(page)[0], enlarged_beside)


def test_a_path_comes_back_as_the_path_of_the_result(upscaler, tmp_path):
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.png")
    assert upscaler(tmp_path / "a.png", scale=3) == tmp_path / "a_x3.png"
    assert upscaler(str(tmp_path / "a.png")) == str(tmp_path / "a_x4.png")


@pytest.mark.parametrize(
    ("call", "phrase"),
    [
        (lambda up: up(torch.rand(1, 8, 8)), "is no picture"),
        (lambda up: up(torch.rand(3, 8, 8), scale=3), "x4 only"),
        (lambda up: up(torch.rand(3, 8, 8), strength=0.5), "without strength"),
        (lambda up: up(torch.rand(3, 8, 8), color_fix="on"), "without strength and color_fix"),
        (lambda up: up(noise(8, 8), scale=2, size=srcli.TargetSize(width=9)), "contradict"),
        (lambda up: up(noise(8, 8), output="a.png"), "output is for a picture given by its path"),
        (lambda up: up(np.zeros((2, 2, 7), np.uint8)), "is no picture"),
        (lambda up: up(42), "a int is no picture"),
        (lambda up: srcli.Upscaler("x.pth", precision="fp8"), "is no precision"),
        (lambda up: srcli.Upscaler("x.pth", plan="guess"), "is no plan"),
        (lambda up: up(np.zeros((2, 2), np.uint8), icc="lose"), "is no way with profiles"),
    ],
)
def test_what_cannot_be_is_named(upscaler, call, phrase):
    with pytest.raises(srcli.SrcliError, match=phrase):
        call(upscaler)
