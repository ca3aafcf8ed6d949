"""As much of a shell as the documentation needs, with srcli called in this process."""

import os
import re
import shlex
import sys
from contextlib import ExitStack, redirect_stdout
from functools import wraps
from pathlib import Path
from tempfile import TemporaryFile

import typer

from srcli.cli import app as commands
from srcli.cli.spellings import canonical

# Commands of others: named in the documentation, not tested by it.
OTHERS = {
    ".",
    "apt",
    "curl",
    "cyclonedx-py",
    "git",
    "hf",
    "man",
    "pip",
    "pip-audit",
    "python",
    "ray",
    "serve",
    "sqlite3",
    "tensorboard",
    "torchrun",
    "uv",
}
OWN = {"cat", "cd", "echo", "mkdir"}  # what `execute` does itself
# Options that make a training short; the last of several holds.
SHORT = ("--steps", "2", "--batch", "1", "--patch", "64")
# Sizes are made smaller, as the pictures are.
SIZES = {"--width", "--height", "--long-side", "--short-side", "--size"}
SIZE_DIVISOR = 32


class BrokenLineError(Exception):
    """A command of the documentation does not do what it says."""


def lines(text):
    """The command lines of a block: continued lines joined, comments left out."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return [line for line in joined.splitlines() if words(line)]


def words(line):
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>&;")
    lexer.whitespace_split = True
    return list(lexer)


def run(line):
    """Run a line in the current folder; BrokenLineError if any of it fails."""
    for chain in split(words(line), {"&&", ";"}):
        fed = None
        for command in split(chain, {"|"}):
            fed = execute(*redirections(command), line, fed)


def check(line):
    """Parse all of srcli's options in a line without running it."""
    for command in split(words(line), {"&&", ";", "|"}):
        arguments, _, _ = redirections(command)
        own = own_arguments(arguments)
        if own is not None:
            call(own, line, parse_only=True)
        elif arguments and arguments[0] not in OTHERS | OWN:
            raise BrokenLineError(f"{line}: {arguments[0]} is no command that the tests know")


def own_arguments(arguments):
    """What srcli is given, also behind `torchrun ... -m`; None where it is another's command."""
    names = [place for place, word in enumerate(arguments) if word == "srcli"]
    is_own = bool(names) and (names[0] == 0 or arguments[names[0] - 1] == "-m")
    return arguments[names[0] + 1 :] if is_own else None


def execute(arguments, source, target, line, fed):
    own = own_arguments(arguments)
    if own is not None and own[:1] == ["serve"]:  # it does not end by itself
        return call(own, line, parse_only=True)
    if own is not None:
        expanded = [each for word in own for each in expand(word, line)]
        return call(shortened(expanded), line, source=source or fed, target=target)
    match arguments:
        case ["mkdir", *rest]:
            Path(rest[-1]).expanduser().mkdir(parents=True, exist_ok=True)
        case ["cat", *rest]:
            return b"".join(Path(each).read_bytes() for each in rest)
        case ["echo", *rest] if target:
            Path(target).write_text(" ".join(rest) + "\n", "utf-8")
        case ["cd", folder]:
            os.chdir(folder)
        case [other, *_] if other in OTHERS:
            pass
        case _:
            raise BrokenLineError(f"{line}: this is no command that the tests know")
    return None


def call(arguments, line, *, source=None, target=None, parse_only=False):
    """srcli with a file or bytes as input; what it writes as bytes, and to `target` if named."""
    with ExitStack() as stack:
        output = stack.enter_context(TemporaryFile("w+", encoding="utf-8"))
        fed = stack.enter_context(TemporaryFile("w+", encoding="utf-8"))
        fed.buffer.write(source if isinstance(source, bytes) else read(source))
        fed.seek(0)
        stack.enter_context(redirect_stdout(output))
        stack.callback(setattr, sys, "stdin", sys.stdin)
        sys.stdin = fed
        code = exit_code(arguments, parse_only=parse_only)
        output.flush()
        output.buffer.seek(0)
        written = output.buffer.read()
    if code:
        raise BrokenLineError(f"{line}: exit code {code}")
    if target:
        Path(target).expanduser().write_bytes(written)
    return written


def exit_code(arguments, *, parse_only):
    try:
        if parse_only:
            parser(commands.app)(args=canonical(arguments))
        else:
            commands.main(arguments)
    except SystemExit as ended:
        return ended.code
    return 0


def parser(app):
    """The same commands with the same options, doing nothing."""
    idle = typer.Typer()
    if app.registered_callback:
        idle.callback()(doing_nothing(app.registered_callback.callback))
    for info in app.registered_commands:
        idle.command(info.name or info.callback.__name__)(doing_nothing(info.callback))
    for group in app.registered_groups:
        idle.add_typer(parser(group.typer_instance), name=group.name)
    return idle


def doing_nothing(function):
    return wraps(function)(lambda **_: None)


def split(sequence, separators):
    """Lists of words between the separators."""
    parts = [[]]
    for word in sequence:
        if word in separators:
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]


def redirections(command):
    """Words, the file after `<`, the file after `>`."""
    places = dict.fromkeys(("<", ">"))
    rest = iter(command)
    kept = []
    for word in rest:
        if word in places:
            places[word] = next(rest)
        else:
            kept.append(word)
    return kept, places["<"], places[">"]


def expand(word, line):
    """The files that a pattern means, or the word itself."""
    is_pattern = "*" in word and f"'{word}'" not in line
    found = sorted(map(str, Path().glob(word))) if is_pattern else []
    return found or [str(Path(word).expanduser()) if word.startswith("~") else word]


def read(source):
    return Path(source).read_bytes() if source else b""


def shortened(arguments):
    """The same command with little to do: two steps of training, small results."""
    if arguments[:1] == ["finetune"]:
        return [*arguments, *SHORT]
    if arguments[:1] == ["bench"]:  # without those that compile for a minute
        arguments = ["spandrel" if word == "all" else word for word in arguments]
    if arguments[:1] in (["upscale"], ["bench"]):
        pairs = zip(["", *arguments], arguments, strict=False)
        return [str(int(w) // SIZE_DIVISOR) if option in SIZES else w for option, w in pairs]
    if arguments[:1] == ["train"] and arguments[1:] and arguments[1].endswith(".toml"):
        shorten(Path(arguments[1]))
    return arguments


def shorten(path):
    values = {"steps": 2, "batch": 1, "patch_px": 64}
    text = path.read_text("utf-8")
    for key, value in values.items():
        text = re.sub(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
    path.write_text(text, "utf-8")
