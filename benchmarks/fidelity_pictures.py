"""Make the side-by-side pictures of docs/explanation/fidelity.md: transparency, colour, depth.

    python benchmarks/fidelity_pictures.py --profile DisplayP3.icc [--model realesrgan-x4plus]

Each shows what srcli writes beside what comes out when the same network is fed the bare samples and
the rest of the file is dropped, which is the usual way.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageDraw, ImageFont

import srcli

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"


def sprite() -> Image.Image:
    """A red disc with a soft edge; under its transparent pixels lies green, as games leave it."""
    y, x = np.mgrid[:64, :64]
    distance = np.hypot(x - 31.5, y - 31.5)
    alpha = np.clip(26.5 - distance, 0, 1)
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., :3] = np.where(alpha[..., None] > 0, (200, 40, 30), (0, 255, 0))
    pixels[..., 3] = np.rint(alpha * 255)
    return Image.fromarray(pixels)


def on_backgrounds(picture: Image.Image) -> Image.Image:
    """Laid on black, white and checker, side by side; the upper right of each."""
    side = picture.width
    squares = (np.indices((8, 8)).sum(0) % 2 * 96 + 96).astype(np.uint8)
    checker = Image.fromarray(squares).resize((side, side), Image.Resampling.NEAREST)
    black, white = (Image.new("RGB", picture.size, colour) for colour in ("black", "white"))
    shown = []
    for ground in (black, white, checker):
        laid = ground.convert("RGBA")
        laid.alpha_composite(picture)
        shown.append(laid.convert("RGB").crop((side // 2, 0, side, side // 2)))
    return beside(shown)


def beside(pictures: list[Image.Image], gap: int = 4) -> Image.Image:
    width = sum(picture.width + gap for picture in pictures) - gap
    sheet = Image.new("RGB", (width, max(picture.height for picture in pictures)), "white")
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width + gap
    return sheet


def labelled(rows: list[tuple[str, Image.Image]]) -> Image.Image:
    """Rows with a line of text above each."""
    font = ImageFont.load_default(18)
    height = sum(picture.height + 30 for _, picture in rows)
    sheet = Image.new("RGB", (max(picture.width for _, picture in rows), height), "white")
    draw, top = ImageDraw.Draw(sheet), 0
    for text, picture in rows:
        draw.text((2, top + 4), text, "black", font)
        sheet.paste(picture, (0, top + 28))
        top += picture.height + 30
    return sheet


def transparency(upscaler: srcli.Upscaler) -> Image.Image:
    low = sprite()
    bare = upscaler(low.convert("RGB"), color_fix="off").convert("RGBA")
    bare.putalpha(low.getchannel("A").resize(bare.size, Image.Resampling.BICUBIC))
    return labelled(
        [
            ("colours enlarged as they lie in the file", on_backgrounds(bare)),
            ("srcli", on_backgrounds(upscaler(low))),
        ]
    )


def colour(upscaler: srcli.Upscaler, profile: bytes) -> Image.Image:
    """Patches in a wide profile, shown as a screen of sRGB shows each file."""
    patches = np.kron(
        np.array([[[255, 40, 0], [0, 230, 60], [250, 210, 0], [200, 120, 90]]], np.uint8),
        np.ones((32, 32, 1), np.uint8),
    )
    wide = Image.fromarray(patches)
    wide.info["icc_profile"] = profile
    dropped = upscaler(Image.fromarray(patches))
    kept = upscaler(wide)
    return labelled(
        [
            ("profile dropped: other colours", dropped),
            ("srcli: the same colours", shown(kept, profile)),
            ("the input, enlarged by repetition", shown(wide.resize(kept.size, 0), profile)),
        ]
    )


def shown(picture: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    target = ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(picture.convert("RGB"), source, target)


def depth(upscaler: srcli.Upscaler) -> Image.Image:
    """A dark ramp of 16 bits, brightened 24 times so that a screen can show the steps."""
    ramp = np.tile(np.linspace(500, 2500, 192), (32, 1)).astype(np.uint16)
    deep = upscaler(np.stack([ramp] * 3, -1))[..., 0]
    flat = upscaler(np.stack([ramp // 257] * 3, -1).astype(np.uint8))[..., 0].astype(int) * 257

    def brightened(samples: np.ndarray) -> Image.Image:
        return Image.fromarray(np.clip(samples.astype(float) * 24 / 257, 0, 255).astype(np.uint8))

    steps = len(np.unique(deep)), len(np.unique(flat))
    return labelled(
        [
            (f"8 bits: {steps[1]} levels", brightened(flat).convert("RGB")),
            (f"srcli, 16 bits: {steps[0]} levels", brightened(deep).convert("RGB")),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="realesrgan-x4plus")
    parser.add_argument("--profile", type=Path, required=True, help="A Display P3 or similar .icc")
    arguments = parser.parse_args()
    upscaler = srcli.Upscaler(arguments.model)
    sheets = {
        "transparency": transparency(upscaler),
        "colour": colour(upscaler, arguments.profile.read_bytes()),
        "depth": depth(upscaler),
    }
    for name, sheet in sheets.items():
        sheet.save(PICTURES / f"fidelity_{name}.webp", lossless=True)


if __name__ == "__main__":
    main()
