"""Each shell completes commands, options and choices with what srcli gives it to read."""

import os
import shutil
import subprocess
import sys

import pytest

# The line as each shell asks for it: words so far, and which of them is being written.
ASK = {
    "bash": {"_SRCLI_COMPLETE": "complete_bash", "COMP_WORDS": "{line}", "COMP_CWORD": "{last}"},
    "zsh": {"_SRCLI_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "{line}"},
    "fish": {
        "_SRCLI_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_ARGS": "{line}",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    },
}


def srcli(arguments, **environment):
    code = "import sys; from srcli.cli.app import main; sys.argv[0] = 'srcli'; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    ).stdout


@pytest.mark.parametrize("shell", ASK)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("srcli ups", "upscale"),
        ("srcli upscale --long", "--long-side"),
        ("srcli upscale --alpha lan", "lanczos"),
        ("srcli weights pu", "pull"),
        ("srcli upscale --model bsrg", "bsrganx2"),
        ("srcli weights show realsr", "realsr-df2k"),
    ],
)
def test_a_shell_is_offered_what_fits(shell, line, offered):
    last = len(line.split()) - 1
    asked = {key: value.format(line=line, last=last) for key, value in ASK[shell].items()}
    assert offered in srcli([], **asked)


@pytest.mark.parametrize("shell", ASK)
def test_a_shell_understands_the_script_that_it_is_given(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "completion"
    script.write_text(srcli([], _SRCLI_COMPLETE=f"source_{shell}"))
    assert "srcli" in script.read_text()
    read = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")
