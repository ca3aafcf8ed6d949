"""`srcli weights`, through the door that users take: exit codes and a telling phrase."""

import json

import pytest
from PIL import Image
from weights_server import CONTENT, Served, digest, url_source

from srcli.cli.app import main


@pytest.fixture
def run(capsys):
    def run(*arguments):
        try:
            main(["weights", *arguments])
            code = 0
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def tiny(server, write_catalogue):
    server.files["/a.pth"] = Served()
    absent = url_source(f"{server.address}/absent.pth")
    write_catalogue(
        licence="CC-BY-NC-4.0",
        commercial="false",
        aliases='"Tiny_Net"',
        tiny=[absent, url_source(f"{server.address}/a.pth")],
    )
    return server


@pytest.mark.parametrize("columns", [80, 160])
def test_list_is_a_table_with_what_one_chooses_by(run, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, _ = run("list")
    assert code == 0
    for phrase in ("realesrgan-x4plus", "x4", "67.0 MB", "BSD-3-Clause"):
        assert phrase in out
    assert ("good for" in out) == (columns == 160)  # one line a name, however narrow


def test_list_as_json_is_one_object_for_each_name(run):
    code, out, err = run("list", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and not err
    assert {"name": "realesrgan-x4plus", "scale": 4, "cached": False}.items() <= rows[0].items()


def test_pull_tells_failures_and_the_licence_on_stderr_and_the_file_on_stdout(tiny, run):
    code, out, err = run("pull", "TINY_NET")
    assert code == 0 and digest(CONTENT) in out and out.startswith("tiny: ")
    assert "tiny: not from" in err and "answered 404" in err
    assert "licence CC-BY-NC-4.0, not for commercial use" in err


def test_pull_as_json_says_what_became_of_each_name(tiny, run):
    code, out, _ = run("pull", "tiny", "tinny", "--json")
    done, failed = map(json.loads, out.splitlines())
    assert code == 1
    assert (done["status"], done["digest"]) == ("ok", digest(CONTENT))
    assert failed["status"] == "failed" and "tiny" in failed["error"] and failed["hint"]


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("pull", "tinny"), "the nearest: tiny"),
        (("pull", "tiny", "--offline"), "no connection may be opened"),
        (("path", "tiny"), "not on this machine"),
        (("show", "qqqq"), "nothing similar"),
        (("import", "absent.pth"), "no file absent.pth"),
    ],
)
def test_weights_that_cannot_be_had_end_with_3_and_a_hint(tiny, run, arguments, phrase):
    code, out, err = run(*arguments)
    assert (code, out) == (3, "")
    assert phrase in err and "hint: " in err and "Traceback" not in err


def test_offline_comes_from_the_environment_too(tiny, run, monkeypatch):
    monkeypatch.setenv("SRCLI_OFFLINE", "1")
    assert run("pull", "tiny")[0] == 3 and not tiny.requests


def test_path_prints_nothing_but_the_path(tiny, run):
    run("pull", "tiny")
    code, out, err = run("path", "tiny")
    assert (code, err) == (0, "") and out.rstrip().endswith(f"{digest(CONTENT)}.pth")


def test_show_names_the_sources_and_the_licence(tiny, run):
    code, out, _ = run("show", "tiny")
    assert code == 0 and f"{tiny.address}/a.pth" in out and "no commercial use" in out
    record = json.loads(run("show", "tiny", "--json")[1])
    assert record["sources"][1]["url"] == f"{tiny.address}/a.pth" and record["files"] == []


def test_verify_ends_with_3_if_something_was_damaged(tiny, run):
    run("pull", "tiny")
    path = run("path", "tiny")[1].strip()
    assert run("verify")[:2] == (0, "files checked: 1 right, 0 damaged\n")
    with open(path, "ab") as file:  # noqa: PTH123
        file.write(b"more")
    code, out, _ = run("verify")
    assert code == 3 and "tiny: damaged, removed" in out
    assert run("verify", "--json")[:2] == (0, "")


def test_import_and_remove_say_what_they_did(tiny, run, tmp_path):
    (tmp_path / "net.param").write_bytes(b"7767517\n3 3\n")
    (tmp_path / "net.bin").write_bytes(b"numbers")
    code, out, _ = run("import", str(tmp_path / "net.param"), "--name", "mine")
    assert code == 0 and "imported mine: use it with `-m mine`" in out
    assert json.loads(run("path", "mine", "--json")[1])["name"] == "mine"
    assert "mine" in run("list")[1]
    code, out, _ = run("remove", "mine")
    assert code == 0 and "removed mine" in out
    assert run("path", "mine")[0] == 3


def test_show_names_the_sample_picture_where_one_is_shipped(run):
    sample = json.loads(run("show", "realesrgan-x4plus", "--json")[1])["sample"]
    with Image.open(sample) as picture:
        assert picture.size == (2 * 384 + 6, 288)  # bicubic and restored, side by side
    assert sample in run("show", "realesrgan-x4plus")[1]
    assert json.loads(run("show", "bsrgan", "--json")[1])["sample"] is None
