"""Every command of the documentation runs, or says why it cannot and has options that exist."""

import re
import tomllib

import pytest
from pages import ALL, PAGES, ROOT
from PIL import Image
from shell import BrokenLineError, check, lines, run

from srcli.cli.app import app
from srcli.cli.examples import EXAMPLES
from srcli.cli.manual import commands

LANGUAGES = {"sh", "python", "toml", "text", "json", "math", "html", "yaml"}
COMMANDS = [block for block in ALL if block.language == "sh"]
EVERY_EXAMPLE = [(name, each.line) for name, examples in EXAMPLES.items() for each in examples]
# What the reader has done before.
BEFORE = {
    "srcli train run.toml": ["srcli train --print-config psnr > run.toml"],
    "srcli finetune photos --resume": ["srcli finetune photos"],
    "srcli report runs/photos": ["srcli finetune photos"],
    "srcli report runs/photos runs/photos-2": ["srcli finetune photos"] * 2,
    "srcli compare photo.jpg photo_x4.jpg": ["srcli upscale photo.jpg"],
}


def of(page, language):
    return [block for block in ALL if block.page == page and block.language == language]


def with_blocks(language):
    return [page for page in PAGES if any(not block.reason for block in of(page, language))]


@pytest.mark.parametrize("page", with_blocks("sh"), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_run_one_after_the_other(page, sandbox):
    for block in of(page, "sh"):
        for line in lines(block.text):
            try:
                (check if block.reason else run)(line)
            except BrokenLineError as failure:
                pytest.fail(f"{block}: {failure}")


SPAN = re.compile(r"`srcli ((?:weights )?[a-z]+)([^`]*)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_an_option_that_is_named_with_its_command_in_a_sentence_exists(page):
    named = {each.name: each.parameters for each in commands(app)}
    for command, rest in SPAN.findall(page.read_text("utf-8")):
        names = {name for each in named.get(command, ()) for name in each.names}
        given = re.findall(r"(?<=\s)(--?[a-z][a-z-]*)", rest)
        assert set(given) <= names | {"--help"}, (command, given)


@pytest.mark.parametrize("block", [block for block in COMMANDS if block.reason], ids=str)
def test_a_command_that_is_not_run_has_options_that_exist(block):
    for line in lines(block.text):
        check(line)


@pytest.mark.parametrize(
    ("command", "line"), EVERY_EXAMPLE, ids=[line for _, line in EVERY_EXAMPLE]
)
def test_the_examples_of_a_command_run(command, line, sandbox):
    for before in BEFORE.get(line, ()):
        run(before)
    run(line)


def test_every_command_has_examples_of_itself():
    for command in commands(app):
        assert command.examples, command.name
        assert all(each.line.startswith(f"srcli {command.name}") for each in command.examples)


@pytest.mark.parametrize(
    "page", with_blocks("python"), ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_python_of_a_page_runs(page, sandbox):
    names = {"picture": Image.new("RGB", (12, 8), "teal")}  # the reader's own
    for block in of(page, "python"):
        code = compile(block.text, str(block), "exec")
        if not block.reason:
            exec(code, names)


@pytest.mark.parametrize("block", [each for each in ALL if each.language == "toml"], ids=str)
def test_toml_is_toml(block):
    tomllib.loads(block.text)


@pytest.mark.parametrize("block", ALL, ids=str)
def test_a_block_says_its_language_and_hides_no_command(block):
    assert block.language in LANGUAGES
    assert block.language == "sh" or not re.search(r"^\$? ?srcli \w+ [^\[]*$", block.text, re.M)


@pytest.mark.parametrize(
    "line",
    ["srcli upscale a.png --scael 2", "srcli upscal a.png", "srcli degrade photos -o x --scale 99"],
)
def test_a_mistake_in_a_command_would_be_found(line):
    with pytest.raises(BrokenLineError):
        check(line)
