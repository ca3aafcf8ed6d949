"""The parts of the reference that the code knows best, as lines of Markdown."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator

from srcli import errors
from srcli.cli.app import app
from srcli.cli.manual import Command, Parameter, commands, notes
from srcli.cli.render.units import file_size
from srcli.io.catalogue import catalogue
from srcli.services.weights_cost import cost_of
from srcli.training.config import json_schema
from srcli.training.document import reference_tables


def command(name: str) -> Iterator[str]:
    """A command, or all commands of a group: usage, arguments, options, examples."""
    found = [each for each in commands(app) if f"{each.name} ".startswith(f"{name} ")]
    if not found:
        raise KeyError(f"no command is called {name}")
    for each in found:
        if each.name != name:
            yield from (f"## srcli {each.name}", "")
        yield from _command(each, level=2 if each.name == name else 3)


def _command(each: Command, *, level: int) -> Iterator[str]:
    yield from (_text(each.summary), "")
    for paragraph in each.paragraphs:
        yield from (_text(paragraph), "")
    yield from ("```text", each.usage, "```", "")
    if each.arguments:
        yield from _heading("Arguments", each, level)
        yield from ("| argument | meaning |", "| --- | --- |")
        yield from (f"| `{it.names[0]}` | {_meaning(it)} |" for it in each.arguments)
        yield ""
    for panel, options in each.panels.items():
        yield from _heading(panel, each, level)
        yield from ("| option | meaning |", "| --- | --- |")
        yield from (f"| {_option(it)} | {_meaning(it)} |" for it in options)
        yield ""
    yield from _heading("Examples", each, level)
    yield "```sh"
    for example in each.examples:
        yield f"{example.line}  # {example.effect}"
    yield from ("```", "")


def _heading(title: str, each: Command, level: int) -> Iterator[str]:
    anchor = f"{each.name}-{title}".lower().replace(" ", "-")
    yield from (f"{'#' * level} {title} {{ #{anchor} }}", "")


def _option(it: Parameter) -> str:
    value = f" {html.escape(it.value).replace('|', '&#124;')}" if it.value else ""
    return f"<code>{', '.join(it.names)}{value}</code>"


def _meaning(it: Parameter) -> str:
    required = ["Required."] if it.is_required and not it.is_argument else []
    return " ".join([_text(it.help), *required, *map(_text, notes(it))])


def _text(text: str) -> str:
    """Help as Markdown: stars and pipes of globs and choices are no markup."""
    parts = text.split("`")
    parts[::2] = [
        html.escape(each).replace("*", "\\*").replace("|", "&#124;") for each in parts[::2]
    ]
    marked = "`".join(parts)
    return re.sub(r"(?<![\w`-])(--[a-z-]+(?: \d+)?)", r"<code>\1</code>", marked)


def command_index(_: str) -> Iterator[str]:
    """All commands in a table, each with its page."""
    yield from ("| command | effect |", "| --- | --- |")
    for each in commands(app):
        page, _, rest = each.name.partition(" ")
        anchor = f"#srcli-{page}-{rest}" if rest else ""
        yield f"| [`srcli {each.name}`](commands/{page}.md{anchor}) | {_text(each.summary)} |"


def weights(_: str) -> Iterator[str]:
    """The catalogue, weights.toml, as a table."""
    headings = ("name", "scale", "size", "speed", "GB/MP", "licence", "good for")
    yield from (f"| {' | '.join(headings)} |", f"| {' | '.join(['---'] * len(headings))} |")
    for entry in catalogue():
        licence = entry.licence + ("" if entry.commercial else ", no commercial use")
        scale = f"x{entry.scale}" if entry.scale else "-"
        cost = cost_of(entry)
        costs = (cost.speed, f"{cost.gigabytes():.1f}") if cost else ("-", "-")
        name, size = f"`{entry.name}`", file_size(entry.size)
        cells = (name, scale, size, *costs, licence, entry.purpose)
        yield f"| {' | '.join(cells)} |"


def error_tree(_: str) -> Iterator[str]:
    """The tree of errors as errors.py draws it."""
    tree = (errors.__doc__ or "").partition("\n\n")[2].rpartition("\n\n")[0]
    yield from ("```text", *(line.removeprefix("    ") for line in tree.splitlines()), "```")


def training_tables(_: str) -> Iterator[str]:
    """Every table of a training file with its keys."""
    yield from reference_tables()


def training_schema(_: str) -> Iterator[str]:
    """The JSON schema of a training file, folded."""
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    yield from ('??? note "The JSON schema"', "", "    ```json")
    yield from (f"    {line}" for line in text.splitlines())
    yield "    ```"


GENERATORS: dict[str, Callable[[str], Iterator[str]]] = {
    "command": command,
    "commands": command_index,
    "weights": weights,
    "errors": error_tree,
    "training-tables": training_tables,
    "training-schema": training_schema,
}
