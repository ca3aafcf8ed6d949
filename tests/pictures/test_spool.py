"""The spool: rows in, rows and lazy images out, in memory or on disk alike."""

import os
import shutil
from collections import namedtuple

import numpy as np
import pytest
from picture_tools import noise

from srcli.errors import DiskFullError, OutputError
from srcli.io.spool import Spool

PLACES = {"memory": 1 << 30, "disk": 0}
DTYPES = ("uint8", "uint16", "float32")


@pytest.fixture(params=PLACES)
def memory_limit(request):
    return PLACES[request.param]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_native_rows_come_back_bit_for_bit(dtype, channels, memory_limit):
    rows = noise(50, 31, channels).astype(dtype)
    with Spool.create(50, 31, channels, dtype, memory_limit=memory_limit) as spool:
        for start in (20, 0, 40, 10, 30):  # in any order
            spool.write_rows(start, rows[start : start + 10])
        np.testing.assert_array_equal(spool.read_rows(7, 43), rows[7:43])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_libvips_sees_the_same_samples(dtype, channels, memory_limit):
    rows = noise(50, 31, channels).astype(dtype)
    with Spool.create(50, 31, channels, dtype, memory_limit=memory_limit) as spool:
        spool.write_rows(0, rows)
        seen = spool.as_vips().numpy().reshape(rows.shape)
        assert seen.dtype == rows.dtype
        np.testing.assert_array_equal(seen, rows)


@pytest.mark.parametrize(("dtype", "top"), [("uint8", 255), ("uint16", 65535)])
def test_floats_are_rounded_to_the_nearest_level_and_clipped(dtype, top, memory_limit):
    values = np.array([-1, 0, 0.25, 0.4999, 1, 7], np.float32).reshape(1, 6, 1)
    with Spool.create(1, 6, 1, dtype, memory_limit=memory_limit) as spool:
        spool.write_rows(0, values)
        expected = [0, 0, round(0.25 * top), round(0.4999 * top), top, top]
        np.testing.assert_array_equal(spool.read_rows(0, 1).ravel(), expected)


def test_a_float_spool_clips_nothing():
    values = np.array([-1, 2], np.float32).reshape(1, 2, 1)
    with Spool.create(1, 2, 1, "float32") as spool:
        spool.write_rows(0, values)
        np.testing.assert_array_equal(spool.read_rows(0, 1), values)


def test_half_precision_rows_are_taken():
    with Spool.create(1, 1, 1, "uint16") as spool:
        spool.write_rows(0, np.full((1, 1, 1), 0.5, np.float16))
        assert spool.read_rows(0, 1).item() == 32768


def test_a_reset_forgets_every_row(memory_limit):
    with Spool.create(4, 3, 1, "uint8", memory_limit=memory_limit) as spool:
        spool.write_rows(0, noise(4, 3, 1))
        spool.reset()
        assert not spool.read_rows(0, 4).any()
        assert spool.as_vips().max() == 0


def test_rows_that_do_not_fit_are_a_bug(memory_limit):
    with Spool.create(4, 3, 1, "uint8", memory_limit=memory_limit) as spool:
        with pytest.raises(ValueError, match="do not fit"):
            spool.write_rows(3, noise(2, 3, 1))
        with pytest.raises(ValueError, match="are not in"):
            spool.read_rows(3, 5)
        with pytest.raises(ValueError, match="floats"):
            spool.write_rows(0, noise(1, 3, 1, dtype=np.uint16))


def test_the_file_goes_when_the_block_ends(tmp_path):
    with Spool.create(4, 3, 1, "uint8", memory_limit=0, folder=tmp_path) as spool:
        assert spool.on_disk
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


def test_a_file_that_somebody_cut_off_is_not_read_for_ever(tmp_path):
    with Spool.create(90, 80, 3, "uint8", memory_limit=0, folder=tmp_path) as spool:
        (file,) = tmp_path.iterdir()
        os.truncate(file, 5000)
        with pytest.raises(OutputError, match="cut off"):
            spool.read_rows(0, 90)


def test_a_disk_without_room_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 1000))
    with pytest.raises(DiskFullError, match="are needed"):
        Spool.create(1000, 1000, 3, "uint8", memory_limit=0, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(OutputError):
        Spool.create(10, 10, 3, "uint8", memory_limit=0, folder=tmp_path / "none")
