"""Pictures in stores, written and looked at."""

import io

import numpy as np
from PIL import Image

from srcli.io import stores


def picture(seed=0, size=(6, 5), kind="png"):
    """The bytes of a small picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def names_in(folder, hidden=False):
    """What lies in a folder of a store and below, without the journal."""
    below = (str(entry.address.below(folder)) for entry in stores.listing(folder, below=True))
    return sorted(name for name in below if hidden or not name.startswith("."))


def contents(folder):
    return {name: stores.read(folder / name) for name in names_in(folder)}
