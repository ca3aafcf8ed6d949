"""The commands as data, read from their signatures: for the manual page and the reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from inspect import Parameter as Place
from inspect import getdoc, signature
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo, CommandInfo, OptionInfo

from srcli.cli.examples import EXAMPLES, Example

OPTIONS = "Options"
WORDS: dict[object, str] = {int: "N", float: "X", Path: "PATH", str: "TEXT", bool: ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """An option or an argument of a command."""

    names: tuple[str, ...]  # of an option: "--output", "-o"; of an argument: what usage shows
    value: str  # what is written after an option: "PATH", "auto|fp16"; "" for a switch
    help: str
    default: str  # as it is typed; "" where there is none to show
    panel: str
    is_argument: bool
    is_required: bool
    is_repeatable: bool
    bounds: str  # "at least 1", "0 to 1" or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command: what it is called, what it does, what it takes."""

    name: str  # "upscale", "weights pull"
    summary: str
    paragraphs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    examples: tuple[Example, ...]

    @property
    def arguments(self) -> tuple[Parameter, ...]:
        return tuple(each for each in self.parameters if each.is_argument)

    @property
    def panels(self) -> dict[str, list[Parameter]]:
        """Options by the heading they stand under, in the order of the help."""
        found: dict[str, list[Parameter]] = {}
        for each in self.parameters:
            if not each.is_argument:
                found.setdefault(each.panel, []).append(each)
        return found

    @property
    def usage(self) -> str:
        words = ["srcli", self.name, "[OPTIONS]"]
        for each in self.arguments:
            word = each.names[0] + ("..." if each.is_repeatable else "")
            words.append(word if each.is_required else f"[{word}]")
        return " ".join(words)


def commands(app: typer.Typer) -> list[Command]:
    """Every command that is not hidden, those of groups too, in the order of the help."""
    return list(_commands(app, ""))


def _commands(app: typer.Typer, prefix: str) -> Iterator[Command]:
    for info in app.registered_commands:
        if info.callback is not None and not info.hidden:
            yield _command(info, prefix)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from _commands(group.typer_instance, f"{prefix}{group.name} ")


def _command(info: CommandInfo, prefix: str) -> Command:
    callback = info.callback
    assert callback is not None
    name = prefix + (info.name or callback.__name__.replace("_", "-"))
    summary, *paragraphs = [
        " ".join(each.split()) for each in plain(getdoc(callback) or "").split("\n\n")
    ]
    hints = get_type_hints(callback, include_extras=True)
    places = signature(callback).parameters.values()
    return Command(
        name=name,
        summary=summary,
        paragraphs=tuple(paragraphs),
        parameters=tuple(_parameter(each, hints[each.name]) for each in places),
        examples=EXAMPLES.get(name, ()),
    )


def _parameter(place: Place, hint: object) -> Parameter:
    assert get_origin(hint) is Annotated, place.name
    kind, info, *_ = get_args(hint)
    assert isinstance(info, ArgumentInfo | OptionInfo)
    kind, is_repeatable = _value_type(kind)
    is_argument = isinstance(info, ArgumentInfo)
    is_required = place.default is Place.empty
    # Annotated[..., typer.Option("--output", "-o")] puts the first name where a default once stood.
    first = (info.default,) if isinstance(info.default, str) else ()
    declared = tuple(
        part for name in (*first, *(info.param_decls or ())) for part in name.split("/")
    )
    if is_argument:
        names: tuple[str, ...] = ((info.metavar or place.name.upper()).removesuffix("..."),)
    else:
        names = declared or (f"--{place.name.replace('_', '-')}",)
    return Parameter(
        names=names,
        value="" if is_argument else _value_word(kind, info),
        help=plain(info.help or ""),
        default="" if is_required or not info.show_default else _shown(place.default),
        panel=info.rich_help_panel or OPTIONS,
        is_argument=is_argument,
        is_required=is_required,
        is_repeatable=is_repeatable,
        bounds=_bounds(info),
    )


def _value_type(kind: Any) -> tuple[Any, bool]:
    """The type of one value, and whether there may be several."""
    members = [each for each in get_args(kind) if each is not NoneType]
    if get_origin(kind) is list:
        return members[0], True
    return _value_type(members[0]) if members else (kind, False)


def _value_word(kind: Any, info: ArgumentInfo | OptionInfo) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(each.value for each in kind)
    return info.metavar or WORDS[kind]


def _shown(default: object) -> str:
    if default is None or isinstance(default, bool):
        return ""
    return str(default.value if isinstance(default, Enum) else default)


def _bounds(info: ArgumentInfo | OptionInfo) -> str:
    low, high = info.min, info.max
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    return (
        f"at least {low:g}" if low is not None and low > 1 else ""
    )  # the rest goes without saying


def plain(text: str) -> str:
    """Text without rich's marks.

    >>> plain("type [bold]srcli doctor[/bold] first")
    'type srcli doctor first'
    """
    return re.sub(r"\[/?(?:bold|dim|italic)\]", "", text)


def notes(parameter: Parameter) -> list[str]:
    """What the help does not say in words: bounds, default, whether it may be said again."""
    bounds = [f"{parameter.bounds[0].upper()}{parameter.bounds[1:]}."] if parameter.bounds else []
    default = [f"Default: {parameter.default}."] if parameter.default else []
    return bounds + default
