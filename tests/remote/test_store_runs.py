"""Folders of stores: what holds on a disk holds here."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from remote_tools import contents, names_in, picture

from srcli.errors import ImageError
from srcli.io import stores

ROOT = Path(__file__).parents[2]


def statuses(told):
    """How the pictures of a run with --json ended, by the ends of their names."""
    records = (json.loads(line) for line in told.splitlines() if line.startswith("{"))
    return {Path(one["source"]).name: one["status"] for one in records if one["type"] == "file"}


def test_a_folder_of_a_store_becomes_one_and_is_not_done_twice(srcli, photos, store, tmp_path):
    code, told = srcli(photos, "-r", "-o", f"{store}/large", "--json")
    assert (code, set(statuses(told).values())) == (0, {"done"})
    assert names_in(store / "large") == ["a_x4.png", "b_x4.png", "trip/c_x4.png"]
    assert set(statuses(srcli(photos, "-r", "-o", f"{store}/large", "--json")[1]).values()) == {
        "skipped"
    }


def test_a_store_and_a_disk_give_the_same_bytes(srcli, photos, store, tmp_path):
    srcli(photos, "-r", "-o", f"{store}/large")
    assert srcli(photos, "-r", "-o", tmp_path / "large")[0] == 0
    for name, data in contents(photos).items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(data)
    srcli(tmp_path / "photos", "-r", "-o", f"{store}/again")
    here = {name: (tmp_path / "large" / name).read_bytes() for name in names_in(store / "large")}
    assert contents(store / "large") == contents(store / "again") == here


def test_results_beside_their_sources_are_no_sources(srcli, photos):
    srcli(photos, "-r")
    first = contents(photos)
    assert len(first) == 7
    code, told = srcli(photos, "-r", "--json")
    assert set(statuses(told).values()) == {"skipped"} and contents(photos) == first


def test_only_what_changed_or_is_gone_is_done_again(srcli, photos, store):
    srcli(photos, "-r", "-o", f"{store}/large")
    stores.write(picture(9), photos / "a.png")
    stores.delete(store / "large/b_x4.png")
    told = srcli(photos, "-r", "-o", f"{store}/large", "--json")[1]
    assert statuses(told) == {"a.png": "done", "b.png": "done", "c.png": "skipped"}


def test_an_object_that_srcli_did_not_write_is_not_replaced(srcli, photos, store):
    stores.write(b"precious", store / "large/a_x4.png")
    code, told = srcli(photos, "-o", f"{store}/large", "--json")
    assert (code, statuses(told)["a.png"]) == (1, "failed")
    assert stores.read(store / "large/a_x4.png") == b"precious"
    assert "exists already" in told
    assert srcli(photos, "-o", f"{store}/large", "--overwrite")[0] == 0


def test_what_vanishes_or_is_damaged_fails_alone(srcli, photos, store, monkeypatch):
    stores.write(b"no picture", photos / "bad.png")
    fetch = stores.fetch

    def lose(source, path):
        if source.name == "b.png":
            stores.delete(source)
        fetch(source, path)

    monkeypatch.setattr(stores, "fetch", lose)
    code, told = srcli(photos, "-r", "-o", f"{store}/large", "--json")
    assert code == 1
    wanted = {"a.png": "done", "b.png": "failed", "bad.png": "failed", "c.png": "done"}
    assert statuses(told) == wanted
    assert f"{photos}/b.png does not exist" in told and f"{photos}/bad.png" in told


def test_one_object_is_one_picture(srcli, photos, store, tmp_path, monkeypatch):
    assert srcli(photos / "a.png", "-o", f"{store}/one.png")[0] == 0
    monkeypatch.chdir(tmp_path)
    assert srcli(photos / "a.png", "-o", "one.png")[0] == 0
    assert Path("one.png").read_bytes() == stores.read(store / "one.png")
    code, told = srcli(photos / "none.png", "-o", "none.png")
    assert code == ImageError.exit_code and "does not exist" in told


def test_a_dry_run_of_a_store_writes_nothing(srcli, photos, store):
    code, told = srcli(photos, "-r", "-o", f"{store}/large", "--dry-run")
    assert code == 0 and "3 pictures to do" in told and "6x5" in told
    assert names_in(store / "large", hidden=True) == []


def test_a_list_of_addresses_mirrors_what_they_share(srcli, photos, store, tmp_path):
    lines = ["# my pictures", f"{photos}/a.png", "", f"{photos}/trip/c.png", f"{photos}/a.png"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    assert srcli(tmp_path / "list.txt", "-o", f"{store}/large")[0] == 0
    assert names_in(store / "large") == ["a_x4.png", "trip/c_x4.png"]


def test_a_list_may_lie_in_the_store_beside_its_pictures(srcli, photos, store):
    stores.write(b"b.png\r\ntrip/c.png", photos / "list.txt")
    assert srcli(photos / "list.txt", "-o", f"{store}/large")[0] == 0
    assert names_in(store / "large") == ["b_x4.png", "trip/c_x4.png"]


def test_a_column_of_parquet_is_a_list(srcli, photos, store, tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: pip install '.[test]'")
    from pyarrow import parquet

    table = {"url": [f"{photos}/a.png", f"{photos}/b.png"], "label": ["cat", "dog"]}
    parquet.write_table(arrow.table(table), tmp_path / "list.parquet")
    assert srcli(tmp_path / "list.parquet", "-o", f"{store}/large")[0] == 0
    assert names_in(store / "large") == ["a_x4.png", "b_x4.png"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"s3://me:secret@bucket/a.png"])
def test_a_list_that_cannot_be_read_is_named_with_its_line(srcli, tmp_path, content):
    (tmp_path / "list.txt").write_bytes(content)
    code, told = srcli(tmp_path / "list.txt", "-o", tmp_path / "large")
    assert code == ImageError.exit_code and "list.txt" in told and "1" in told
    assert "secret@" not in told


def test_killed_at_any_moment_a_store_still_ends_whole(srcli, s3, tiny_weights, tmp_path):
    for seed in range(12):
        stores.write(picture(seed, size=(9, 8)), s3 / f"in/{seed}.png")
    command = [sys.executable, "-m", "srcli", "upscale", f"{s3}/in", "-o", f"{s3}/out", "--json"]
    run = subprocess.Popen(
        [*command, "-m", str(tiny_weights), "-d", "cpu"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    for _ in range(3):
        run.stdout.readline()
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert len(names_in(s3 / "out")) < 12
    code, told = srcli(s3 / "in", "-o", f"{s3}/out", "--json")
    ended = list(statuses(told).values())
    assert (code, len(ended)) == (0, 12) and ended.count("skipped") < 12
    _, told = srcli(s3 / "in", "-o", f"{s3}/out", "--json")
    assert list(statuses(told).values()) == ["skipped"] * 12
    srcli(s3 / "in", "-o", tmp_path)
    assert contents(s3 / "out") == {
        name: (tmp_path / name).read_bytes() for name in names_in(s3 / "out")
    }
