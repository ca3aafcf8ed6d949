"""Files made to do harm to who parses them: each ends in a value, or in an error of one line."""

import io
import json
import sqlite3
import struct
import tracemalloc
import warnings
import zlib
from contextlib import closing
from math import isfinite
from types import SimpleNamespace

import numpy as np
import pytest
from test_damaged_metadata import curve_of, profile

from srcli.errors import ConfigError, ImageError, OutputError, UsageError
from srcli.io import png_text, stores
from srcli.io.addresses import Remote, address_of
from srcli.io.claims import check_tiff
from srcli.io.curves import PowerCurve
from srcli.io.exif import exif_of_tiff
from srcli.io.png_text import png_texts
from srcli.io.profiles import ProfileError, read_profile
from srcli.io.sources import url
from srcli.io.sources.network import Hosts, SourceError
from srcli.io.structure import jpeg_comments
from srcli.io.tiff import Entry, Tiff
from srcli.io.toml import parse_toml
from srcli.io.vips import from_numpy
from srcli.reports.progress import CHUNK, read_sheet
from srcli.services.fingerprint import Settings
from srcli.services.journal import JOURNAL_NAME, Journal, results_in
from srcli.services.manifest import read_manifest
from srcli.services.training.log import read_log

SETTINGS = Settings("{}")
COLUMNS = ((28000, 14000, 900), (25000, 47000, 6000), (9000, 4000, 46000))
PNG = bytes.fromhex("89504e470d0a1a0a") + struct.pack(">I4s", 13, b"IHDR") + bytes(17)


@pytest.mark.parametrize("text", ["http://[a/b.png", "https://a]b/c", "http://a\u2100b/c.png"])
def test_an_address_that_cannot_be_taken_apart_is_refused(text):
    with pytest.raises(UsageError, match="is no address"):
        address_of(text)
    with pytest.raises(SourceError, match="is no address"):
        Hosts().require(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(".".join("a" * 60_000) + " = 1", id="a key of many parts"),
        pytest.param(
            "x = " + ('{"a" . ' * 3 + "a." * 90 + "a = ") * 40 + "1" + "}" * 40, id="deep"
        ),
        pytest.param('"a\\nb\\u001b" = 1', id="a key of two lines"),
    ],
)
def test_hostile_toml_is_an_error_of_one_line(text):
    with pytest.raises(ConfigError) as refused:
        parse_toml(text, dict[str, str], source="x.toml", hint="mend it")
    assert str(refused.value).isprintable()


def test_many_numbers_on_a_line_of_toml_are_no_long_key():
    text = f"x = [{', '.join(['0.5'] * 500)}]"
    assert len(parse_toml(text, dict[str, list[float]], source="x", hint="")["x"]) == 500


@pytest.mark.parametrize("length", [0, 1])
def test_a_comment_shorter_than_its_own_length_ends_the_comments(tmp_path, length):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff\xfe\0\4ok\xff\xfe" + struct.pack(">H", length) + b"rest")
    with path.open("rb") as file:
        assert jpeg_comments(file) == ("ok",)


def test_millions_of_empty_comments_are_not_all_kept():
    assert len(jpeg_comments(io.BytesIO(b"\xff\xd8" + b"\xff\xfe\0\2" * 50_000))) == 10_000
    empty = struct.pack(">I4s", 2, b"tEXt") + b"a\0" + bytes(4)
    assert len(png_texts(io.BytesIO(PNG[:8] + empty * 70_000))) <= 1 << 16


def test_texts_that_unpack_to_too_much_are_unpacked_a_few_times_only(monkeypatch):
    unpacked = []
    inflated = png_text._inflated
    monkeypatch.setattr(png_text, "_inflated", lambda *a: unpacked.append(a) or inflated(*a))
    bomb = b"a\0\0" + zlib.compress(bytes(20 << 20), 9)
    chunk = struct.pack(">I4s", len(bomb), b"zTXt") + bomb + bytes(4)
    assert png_texts(io.BytesIO(PNG[:8] + chunk * 50)) == ()
    assert len(unpacked) == 4


def big_endian(tag, count):
    entry = struct.pack(">HHII", tag, 3, count, 26)
    return (
        b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4) + bytes(range(1, 5)) * (count // 2)
    )


def test_a_directory_is_checked_without_the_values_that_nobody_asks_for():
    data = big_endian(0x9000, 1 << 21)
    tracemalloc.start()
    check_tiff("a.tif", io.BytesIO(data), len(data))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < len(data)  # it was 35 times as much


def test_values_of_the_other_byte_order_are_turned_in_place():
    tiff = Tiff.opened(io.BytesIO(big_endian(0x9000, 4)))
    (field,) = tiff.read(8)[0].values()
    assert field == Entry.numbers(0x9000, 3, [0x102, 0x304, 0x102, 0x304])


def test_layers_of_the_picture_as_it_was_are_left_out():
    assert exif_of_tiff(io.BytesIO(big_endian(0x935C, 4))).main == {}
    assert exif_of_tiff(io.BytesIO(big_endian(0x9000, 4))).main.keys() == {0x9000}


@pytest.mark.parametrize(
    "curve",
    [
        pytest.param(b"curv" + bytes(4) + struct.pack(">I", 70_000) + bytes(140_000), id="long"),
        pytest.param(curve_of((1 << 31) - 1, (1 << 31) - 1, 0, kind=1), id="infinite"),
    ],
)
def test_a_tone_curve_of_no_use_is_refused_in_silence(curve):
    with warnings.catch_warnings(), pytest.raises(ProfileError):
        warnings.simplefilter("error")
        read_profile(profile(curve), 3)


@pytest.mark.parametrize(
    "curve",
    [
        pytest.param(PowerCurve(g=2.4, a=167, b=-3584, c=0.077, d=0.04), id="below zero"),
        pytest.param(PowerCurve(g=100, c=1, d=30_000), id="beyond any number"),
    ],
)
def test_a_tone_curve_whose_pieces_do_not_meet_is_used_both_ways_in_silence(curve):
    """(a d + b)^g, where the pieces should meet, is no real number, or infinite."""
    coded = from_numpy(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isfinite(curve.encode_image(curve.decode_image(coded)).avg())


@pytest.mark.parametrize("length", ["\u00b2", "9" * 5000, "-1", ""])
def test_a_length_that_is_no_number_is_none(length):
    answer = SimpleNamespace(status=200, headers={"Content-Length": length})
    assert url._extent(answer, 0) == (0, None)


@pytest.mark.parametrize(
    "line",
    [
        *("[" * 100_000, "5", '{"step": 1}', '{"type": [], "step": 1}'),
        '{"type": "train", "step": "1", "seconds": 1.0}',
        '{"type": "train", "step": 1, "seconds": 1e999}',
        '{"type": "train", "step": 1, "seconds": 1.0, "loss/pixel": "low"}',
        '{"type": "begin", "step": 0, "network": "swift", "losses": ["pixel"], "steps": 300}',
        '{"type": "end", "step": 1, "state": "elsewhere", "seconds": 1.0}',
        '{"type": "warning", "step": 1, "text": 5}',
    ],
)
def test_a_damaged_line_of_a_run_is_left_out(tmp_path, line):
    whole = '{"type": "train", "step": 50, "seconds": 4.0, "loss/pixel": null}'
    (tmp_path / "metrics.jsonl").write_bytes(f"{line}\n{whole}\n".encode() + b"\xff\n")
    assert read_log(tmp_path / "metrics.jsonl") == [json.loads(whole)]


@pytest.mark.parametrize(
    "rows",
    [
        "[" * 100_000,
        "5",
        "[5]",
        '[{"title": "a", "sizes": 5}]',
        '[{"title": "a", "sizes": [[9, 9], [0, -8], [9, 9], [9, 9]]}]',
        '[{"title": "a", "sizes": [[9, 9], [9, 9], [9, 9], [90000, 90000]]}]',
    ],
)
def test_a_sheet_of_impossible_rows_has_none(tmp_path, rows):
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    told.add_itxt(CHUNK, rows)
    Image.new("RGB", (300, 300)).save(tmp_path / "a.png", pnginfo=told)
    assert read_sheet(tmp_path / "a.png") == ()


def parquet(path, values, **how):
    arrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: pip install '.[test]'")
    from pyarrow import parquet

    parquet.write_table(arrow.table({"path": values}), path, **how)
    return path


def test_a_list_that_repeats_itself_names_each_picture_once(tmp_path):
    path = parquet(tmp_path / "a.parquet", ["a.png", None, "b.png"] * 5000)
    assert [found.path.name for found in read_manifest(path)] == ["a.png", "b.png"]
    (tmp_path / "a.txt").write_text("a.png\nb.png\na.png\n")
    assert [found.path.name for found in read_manifest(tmp_path / "a.txt")] == ["a.png", "b.png"]


def test_a_text_of_parquet_that_is_no_address_is_refused(tmp_path):
    path = parquet(tmp_path / "a.parquet", ["x" * 70_000] * 9)
    with pytest.raises(ImageError, match="70,000 bytes"):
        read_manifest(path)
    path = parquet(path, ["abcd.png"], use_dictionary=False, compression="none")
    path.write_bytes(path.read_bytes().replace(b"abcd.png", b"ab\xff\xff.png"))
    with pytest.raises(ImageError, match="cannot be read as Parquet"):
        read_manifest(path)


def test_a_view_in_place_of_a_journal_is_not_asked(tmp_path):
    with sqlite3.connect(tmp_path / JOURNAL_NAME) as database:
        database.execute("CREATE VIEW pictures AS SELECT 'a.png' AS output")  # it may never end
        database.execute("PRAGMA user_version = 1")
    database.close()
    assert results_in(tmp_path) == frozenset()


def test_a_damaged_index_of_a_journal_is_not_asked(tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    with Journal(tmp_path, SETTINGS, "model") as journal:
        journal.begin(tmp_path / "a.png", tmp_path / "a_x2.png", overwrite=False)
    with closing(sqlite3.connect(tmp_path / JOURNAL_NAME)) as database, database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("CREATE TEMP TABLE kept AS SELECT * FROM sqlite_master WHERE type='index'")
        database.execute("DELETE FROM sqlite_master WHERE name = 'pictures_by_output'")
        database.execute("PRAGMA writable_schema = RESET")
        database.execute("UPDATE pictures SET output = NULL")
        database.execute("PRAGMA writable_schema = ON")
        back = "SELECT * FROM kept WHERE name = 'pictures_by_output'"
        database.execute(f"INSERT INTO sqlite_master {back}")
    assert results_in(tmp_path) == frozenset()


def test_a_journal_cannot_have_files_elsewhere_removed(tmp_path):
    out, precious, source = tmp_path / "out", tmp_path / "precious.png", tmp_path / "a.png"
    out.mkdir()
    precious.write_bytes(b"precious")
    source.write_bytes(b"picture")
    with Journal(out, SETTINGS, "model") as journal:
        journal.begin(source, out / "a_x2.png", overwrite=False)
        journal.done(source, precious, 1.0)  # eight bytes
        journal._rows.change("output = ?", str(precious), source=source)
    source.write_bytes(b"another")
    with Journal(out, SETTINGS, "model") as journal:
        journal.begin(source, out / "a_x3.png", overwrite=False)
    assert precious.exists()


KEY = {"source": "memory://x/a.png", "settings": "s", "model": "m"}
ROW = {**KEY, "status": "done", "tries": 1, "changed": "now"}


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        "5",
        "{}",
        '{"meaning": 5, "fingerprint": "x"}',
        '{"gone": [1, 2]}',
        json.dumps({**ROW, "status": "ended"}),
        json.dumps({**ROW, "tries": 1 << 70}),
        json.dumps({**ROW, "output": {"base64": "x"}}),
        json.dumps({**ROW, "output": "a\0b"}),
        json.dumps({**ROW, "error": "\ud800"}),
        json.dumps({**ROW, "hint": ["a"]}),
        json.dumps(KEY),
    ],
)
def test_a_journal_in_a_store_with_an_impossible_row_is_damaged(line):
    home = Remote("memory", "hostile/out/.srcli-journal")
    stores.write(f"{line}\n".encode(), home / "0000000001.jsonl")
    try:
        with pytest.raises(OutputError, match="is damaged") as refused:
            Journal(home.parent, SETTINGS, "m")
        assert str(refused.value).isprintable() and refused.value.hint
        assert stores.entry_at(home / "lease.json") is None
    finally:
        stores.delete(home / "0000000001.jsonl")


@pytest.mark.parametrize(
    "holder",
    [
        "[" * 100_000,
        '"text"',
        '{"host": 5, "pid": 1, "started": 1.0, "token": "t"}',
        '{"host": "h", "pid": 1e99, "started": 1.0, "token": "t"}',
        '{"host": "h", "pid": -1, "started": "1", "token": "t"}',
    ],
)
def test_a_lease_that_no_process_has_written_is_nobodys(holder):
    home = Remote("memory", "hostile/leased/.srcli-journal")
    stores.write(holder.encode(), home / "lease.json")
    Journal(home.parent, SETTINGS, "m").close()
