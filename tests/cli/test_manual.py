"""The commands as data, the manual page, and what the help says."""

import shutil
import subprocess

import pytest

from srcli.cli.app import app, main
from srcli.cli.manual import commands

COMMANDS = commands(app)


def page(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--man"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_every_option_is_found_with_its_names_value_default_and_bounds():
    upscale = next(each for each in COMMANDS if each.name == "upscale")
    options = {each.names[0]: each for each in upscale.parameters}
    assert options["INPUT"].is_argument and options["INPUT"].is_repeatable
    assert options["--output"].names == ("--output", "-o")
    assert options["--alpha"].value == "network|lanczos|drop"
    assert options["--alpha"].default == "network"
    assert options["--quality"].bounds == "1 to 100"
    assert options["--metadata"].names == ("--metadata", "--no-metadata")
    assert upscale.usage == "srcli upscale [OPTIONS] INPUT..."


def test_commands_of_a_group_are_called_by_both_names():
    assert "weights pull" in {each.name for each in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_a_command_and_each_of_its_options_are_explained_in_sentences(command):
    assert command.summary.endswith(".")
    for each in command.parameters:
        assert each.help.endswith("."), each


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_the_help_of_a_command_ends_with_its_examples(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main([*command.name.split(), "--help"])
    shown = capsys.readouterr().out
    assert all(each.line in shown for each in command.examples)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_the_help_breaks_no_sentence_where_its_source_does(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "600")
    with pytest.raises(SystemExit):
        main([*command.name.split(), "--help"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert {command.summary, *command.paragraphs} <= set(lines)


def test_the_manual_names_every_command_and_every_option(capsys):
    text = page(capsys).replace("\\-", "-")
    for command in COMMANDS:
        assert f".SS {command.usage}" in text
        assert all(name in text for each in command.parameters for name in each.names)


def test_man_finds_nothing_wrong_with_the_manual(capsys):
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    text = page(capsys)
    read = subprocess.run(
        [groff, "-man", "-ww", "-Tutf8", "-K", "utf-8"], input=text, capture_output=True, text=True
    )
    assert (read.returncode, read.stderr) == (0, "")
    assert "Interrupted." in read.stdout
