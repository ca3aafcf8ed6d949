"""Failures at the same moment: each is told with its own reason."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from srcli.errors import ImageError
from srcli.io.pictures import open_picture

ROUNDS, THREADS = 1, 6


def read(path):
    """What is wrong with a file, read to its end; None where nothing is."""
    try:
        page = open_picture(path).page(0)
        page.read_rows(0, page.height)
    except ImageError as error:
        return str(error).partition(" cannot be read: ")[2]
    return None


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Files of several kinds, each broken in its own way; their reasons when read alone."""
    folder = tmp_path_factory.mktemp("broken")
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    reasons = {}
    for kind in ("png", "jpg", "webp", "tif"):
        whole = folder / f"whole.{kind}"
        Image.fromarray(pixels).save(whole)
        data = whole.read_bytes()
        for share in (0.05, 0.5, 0.9):
            path = folder / f"cut-{share}.{kind}"
            path.write_bytes(data[: int(len(data) * share)])
            if (reason := read(path)) is not None:
                reasons[path] = reason
    assert len(set(reasons.values())) > 2
    return reasons


UNKNOWN = "its content makes no sense"  # what is said where libvips' own words are not to be had


def test_files_that_fail_at_the_same_moment_keep_their_own_reasons(broken):
    """Where the machine is too busy to tell them apart, hardly ever, none; and another's beside
    their own in one of a hundred at most: threads may be stopped for longer than anybody waits."""
    start = threading.Barrier(THREADS)

    def read_many(number):
        files = list(broken)
        start.wait()
        return [(path, read(path)) for path in (files[number % len(files) :] + files) * ROUNDS]

    with ThreadPoolExecutor(THREADS) as pool:
        told = [each for part in pool.map(read_many, range(THREADS)) for each in part]
    others = [(path.name, reason) for path, reason in told if reason != broken[path]]
    assert len([reason for _, reason in others if reason != UNKNOWN]) <= len(told) / 100
    assert len(others) < len(told) / 20
