"""The manual page srcli(1), written from the commands."""

from __future__ import annotations

from srcli.cli.manual import Command, notes

EXIT_CODES = {
    0: "Everything was done.",
    1: "A file failed, or a training run could not go on.",
    2: "Options that cannot be, or not together; a bad configuration.",
    3: "Weights are unknown, unavailable, damaged or dangerous.",
    4: "The only input cannot be read as a picture.",
    5: "Out of memory or disk space.",
    130: "Interrupted.",
}


def roff(found: list[Command], *, version: str) -> str:
    """The page in the language of man(1)."""
    text = [
        f'.TH SRCLI 1 "" "srcli {version}" "User Commands"',
        ".SH NAME",
        "srcli \\- enlarge pictures with ESRGAN-family networks, and train them",
        ".SH SYNOPSIS",
        *_separated(".br", [_escaped(each.usage) for each in found]),
        ".SH COMMANDS",
    ]
    for each in found:
        text += _roff_command(each)
    text.append(".SH EXAMPLES")
    for example in (example for each in found for example in each.examples):
        text += [".TP", f"\\fB{_escaped(example.line)}\\fR", _line(example.effect)]
    text.append(".SH EXIT STATUS")
    for code, meaning in EXIT_CODES.items():
        text += [".TP", str(code), _line(meaning)]
    return "\n".join(text) + "\n"


def _roff_command(command: Command) -> list[str]:
    text = [f".SS {_escaped(command.usage)}", _line(command.summary)]
    text += [line for each in command.paragraphs for line in (".PP", _line(each))]
    for each in command.parameters:
        names = ", ".join(f"\\fB{_escaped(name)}\\fR" for name in each.names)
        value = f" \\fI{_escaped(each.value)}\\fR" if each.value else ""
        text += [".TP", names + value, _line(" ".join([each.help, *notes(each)]))]
    return text


def _separated(separator: str, lines: list[str]) -> list[str]:
    return [each for line in lines for each in (line, separator)][:-1]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")


def _line(text: str) -> str:
    """A line of text: one that begins with a dot or a quote would be a request."""
    escaped = _escaped(text)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
