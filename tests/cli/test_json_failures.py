"""What ends a command stands on stdout too where --json was asked for, in one object, the last."""

import json

import pytest
from PIL import Image

from srcli.cli.app import main


def run(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*arguments.split(), "--json"])
    printed = capsys.readouterr()
    return ended.value.code, [json.loads(line) for line in printed.out.splitlines()], printed.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("upscale none.png", 4),
        ("upscale none.png --scale 2 --width 30", 2),
        ("evaluate none.png none.png", 4),
        ("evaluate none.png", 2),
        ("compare none.png none.png", 4),
        ("degrade none -o low", 2),
        ("report none", 2),
        ("finetune none", 2),
        ("train none.toml", 2),
        ("export none", 3),
        ("weights show none", 3),
        ("weights path none", 3),
        ("weights import none.pth", 3),
    ],
)
def test_a_failure_is_one_object_and_two_lines(arguments, code, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended, objects, said = run(arguments, capsys)
    failures = [each for each in objects if each["error"]]
    assert failures == objects[-1:]
    assert (ended, failures[0]["exit_code"]) == (code, code)
    assert said.splitlines()[-2:] == [
        f"error: {failures[0]['error']}",
        f"hint: {failures[0]['hint']}",
    ]


@pytest.mark.parametrize("arguments", ["upscale", "compare --none", "bench --rounds 0", "none"])
def test_arguments_that_cannot_be_are_an_object_too(arguments, capsys):
    ended, objects, _ = run(arguments, capsys)
    (failure,) = objects
    assert (ended, failure["type"], failure["exit_code"]) == (2, "error", 2)
    assert failure["error"] and failure["hint"]


def test_a_name_after_two_hyphens_asks_for_no_json(capsys):
    with pytest.raises(SystemExit):
        main(["compare", "none.png", "--", "--json"])
    assert capsys.readouterr().out == ""


def test_an_evaluation_that_fails_has_the_keys_of_one_that_does_not(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, (failed,), _ = run("evaluate none.png none.png", capsys)
    Image.new("RGB", (32, 32)).save("one.png")
    _, objects, _ = run("evaluate one.png one.png", capsys)
    assert failed.keys() == objects[-1].keys()
