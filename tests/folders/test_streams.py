"""A picture through a pipe: `srcli upscale - -o - < in > out`."""

import io
import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from conftest import draw, files_below
from PIL import Image

from srcli.cli.app import main


@dataclass
class Piped:
    code: int
    out: bytes
    err: str


@pytest.fixture
def pipe(tiny_weights, capfdbinary, tmp_path, monkeypatch):
    """Run `srcli upscale ...` with bytes on standard input."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, given=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(BytesIO(given)))
        with pytest.raises(SystemExit) as ended:
            main(["upscale", "-m", str(tiny_weights), "-d", "cpu", *map(str, arguments)])
        printed = capfdbinary.readouterr()
        return Piped(ended.value.code, printed.out, printed.err.decode())

    return run


@pytest.fixture
def jpeg(tmp_path):
    return draw(tmp_path / "photo.jpg").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "kind"), [(["-"], "JPEG"), (["-", "-o", "-", "-f", "png"], "PNG")]
)
def test_a_picture_goes_in_and_the_larger_one_comes_out(pipe, jpeg, arguments, kind):
    result = pipe(*arguments, given=jpeg)
    picture = Image.open(BytesIO(result.out))
    assert (result.code, picture.format, picture.size) == (0, kind, (24, 20))
    assert "cpu fp32" in result.err  # all words go to the other stream


def test_a_file_can_be_written_to_a_pipe_and_a_pipe_to_a_file(pipe, jpeg, tmp_path):
    from_file = pipe("photo.jpg", "-o", "-").out
    assert pipe("-", "-o", "named.jpg", given=jpeg).code == 0
    assert pipe("-", "-o", "folder/", "--json", given=jpeg).code == 0
    assert (tmp_path / "named.jpg").read_bytes() == from_file
    assert files_below(tmp_path / "folder") == ["stdin_x4.jpg"]


def test_a_bad_picture_gives_no_byte_and_code_4(pipe):
    result = pipe("-", given=b"this is no picture" * 9)
    assert (result.code, result.out) == (4, b"") and "hint:" in result.err


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["-", "photo.jpg"], "takes one picture"),
        ([".", "-o", "-"], "takes one picture"),
        (["-", "--json"], "cannot share"),
        (["-", "--dry-run"], "--dry-run needs files"),
        (["-", "--watch"], "--watch needs files"),
        (["photo.jpg", "-o", "-", "--compare"], "--compare needs files"),
        (["-", "--engine", "ray"], "--engine ray needs files"),
    ],
)
def test_what_a_pipe_cannot_do_is_said(pipe, jpeg, arguments, phrase):
    result = pipe(*arguments, given=jpeg)
    assert (result.code, phrase in result.err) == (2, True)
    assert not result.out.startswith(b"\xff\xd8")


def test_a_terminal_at_either_end_is_refused(tmp_path, jpeg):
    """In a process of its own, on a terminal of its own."""
    told = []
    for arguments in (["-", "-o", "x.png"], ["photo.jpg", "-o", "-"]):
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "srcli", "upscale", *arguments],
            stdin=follower,
            stdout=follower,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            text=True,
        )
        told.append(process.communicate()[1])
        assert process.returncode == 2
        os.close(leader), os.close(follower)
    assert "nothing is piped in" in told[0] and "nothing for a terminal" in told[1]


def test_a_json_line_of_a_piped_input_calls_it_by_its_sign(pipe, jpeg):
    lines = pipe("-", "-o", "x.png", "--json", given=jpeg).out.decode().splitlines()
    assert json.loads(lines[0])["source"] == "-"
