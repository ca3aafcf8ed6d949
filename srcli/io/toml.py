"""TOML read strictly: an unknown key or a wrong type is an error that names its place."""

from __future__ import annotations

import json
import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails

from srcli.errors import ConfigError

Kind = TypeVar("Kind")
# A key of a hundred parts: each costs the reader of TOML what those before it cost together.
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){100}""")
_ENDLESS = "arrays or tables within others without end"
_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}


def read_toml(path: Path, kind: type[Kind], *, hint: str) -> Kind:
    """The file as an object of `kind`: a pydantic model or a dataclass, nested as one likes.

    Strict: unknown keys are refused, also by plain dataclasses, and nothing is converted but an
    integer to a float, an array to a tuple, and a string to an enumeration or a path.
    Raises ConfigError that names the file and the place of every problem, with `hint`.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"no file {path}", hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint=hint) from error
    return parse_toml(text, kind, source=str(path), hint=hint)


def parse_toml(text: str, kind: type[Kind], *, source: str, hint: str) -> Kind:
    """As `read_toml`, from a text whose problems are reported under the name `source`.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Run:
    ...     steps: int
    >>> parse_toml("steps = 3", Run, source="run.toml", hint="")
    Run(steps=3)
    >>> parse_toml("step = 3", Run, source="run.toml", hint="")
    Traceback (most recent call last):
    srcli.errors.ConfigError: run.toml: steps: missing; step: unknown key (did you mean steps?)
    """
    return check(read_tables(text, source=source, hint=hint), kind, source=source, hint=hint)


def read_tables(text: str, *, source: str, hint: str) -> dict[str, Any]:
    """The tables of a text as they stand there. Raises ConfigError where it is no TOML."""
    try:
        if _LONG_KEY.search(text):
            raise RecursionError
        return tomllib.loads(text)
    except RecursionError:
        problem = _ENDLESS
    except ValueError as error:  # of TOML, or of a number with thousands of digits
        problem = _on_one_line(str(error))
    raise ConfigError(f"{source}: {problem}", hint=hint)


def check(values: dict[str, Any], kind: type[Kind], *, source: str, hint: str) -> Kind:
    """As `read_toml`, from a table already read."""
    # A wrapper's configuration reaches plain dataclasses too; by itself a dataclass would let
    # unknown keys pass. JSON mode takes arrays for tuples and strings for enumerations.
    wrapper: type[BaseModel] = create_model(
        "Document", __config__=ConfigDict(extra="forbid", strict=True), value=(kind, ...)
    )
    try:
        document = wrapper.model_validate_json(json.dumps({"value": values}, default=str))
    except RecursionError:
        raise ConfigError(f"{source}: {_ENDLESS}", hint=hint) from None
    except ValidationError as error:
        known = _field_names(wrapper)
        problems = "; ".join(_describe(problem, values, known) for problem in error.errors())
        raise ConfigError(f"{source}: {_on_one_line(problems)}", hint=hint) from None
    value: Kind = getattr(document, "value")  # noqa: B009 (the field was made at run time)
    return value


def _on_one_line(text: str) -> str:
    """A key may hold any character."""
    return text if text.isprintable() else ascii(text)[1:-1]


def _describe(problem: ErrorDetails, values: dict[str, Any], known: set[str]) -> str:
    place = _place(problem["loc"][1:], values)
    if problem["type"] in _UNKNOWN:
        similar = get_close_matches(str(problem["loc"][-1]), known, n=1)
        return f"{place}: unknown key" + (f" (did you mean {similar[0]}?)" if similar else "")
    if problem["type"] in {"missing", "missing_argument"}:
        return f"{place}: missing"
    return f"{place or 'the file'}: {problem['msg']}"


def _place(path: tuple[int | str, ...], values: object) -> str:
    """The dotted path of a key, with [n] for the n-th entry of an array, counted from one.

    pydantic's path also names the chosen member of a union, which stands nowhere in the file.
    """
    place = ""
    for depth, step in enumerate(path):
        is_last = depth == len(path) - 1
        if isinstance(values, list) and isinstance(step, int):
            place, values = f"{place}[{step + 1}]", values[step]
        elif isinstance(values, dict) and (step in values or is_last):
            place, values = f"{place}.{step}", values.get(step)
    return place.removeprefix(".")


def _field_names(model: type[BaseModel]) -> set[str]:
    tables = model.model_json_schema().get("$defs", {}).values()
    return {name for table in tables for name in table.get("properties", {})}
