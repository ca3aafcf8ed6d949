"""A configuration as a TOML file for people, each key with its meaning; and as a reference page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from srcli.errors import ConfigError
from srcli.losses.spec import Table
from srcli.training.config import TrainingConfig, parse_config

PRESETS = ("psnr", "srgan", "esrgan", "realesrgan", "content-style")
COMMENT_COLUMN = 34
ORDER = (
    *("data", "network", "teacher", "training", "optimizer", "schedule", "losses", "balance"),
    *("discriminator", "adversary", "average", "validation", "checkpoints", "guard", "log"),
)


def preset_text(name: str) -> str:
    """The file of a preset: only what is not a default. ConfigError if there is no such preset."""
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}", hint=f"choose {', '.join(PRESETS)}")
    return files("srcli.training").joinpath(f"presets/{name}.toml").read_text("utf-8")


def preset_tables(name: str) -> dict[str, Any]:
    """The parsed file of a preset."""
    import tomllib

    return tomllib.loads(preset_text(name))


def preset_document(name: str) -> str:
    """The whole file that a preset stands for, commented: what `--print-config` prints."""
    tables = preset_tables(name)
    tables["data"] = {"high": "photos", **tables.get("data", {})}
    head = [line for line in preset_text(name).splitlines() if line.startswith("# ")]
    start = next((n for n, line in enumerate(head) if line.startswith("# =")), len(head))
    return write_document(parse_config(tables, source=f"preset {name}"), head=head[:start])


def write_document(config: TrainingConfig, *, head: list[str] | None = None) -> str:
    """The configuration as TOML with a comment for each key; parsed, it is the same again."""
    lines = [*(head or []), ""]
    for name in ORDER:
        value = getattr(config, name)
        if name == "losses":
            for term, spec in config.losses.items():
                lines += [*_table(f"losses.{term}", spec, is_sparse=True), ""]
        elif isinstance(value, BaseModel):
            lines += [*_table(name, value), ""]
    return "\n".join(lines).strip("\n") + "\n"


def _table(name: str, table: BaseModel, *, is_sparse: bool = False) -> Iterator[str]:
    """The lines of a table; a sparse one shows what nobody set as a comment.

    A term of a published preset, for instance, must not also set what that preset fixes.
    """
    yield f"[{name}]  # {_summary(type(table))}"
    shown = table.model_fields_set | {"kind", "weight"} if is_sparse else set(_keys(type(table)))
    if getattr(table, "low", None) is not None:
        shown -= {"degradation"}
    for key, field in _keys(type(table)).items():
        value = getattr(table, key)
        if value is None:
            yield _commented(f"# {key} =", field)
            continue
        plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        line = f"{key} = {toml_value(plain)}"
        yield _commented(line if key in shown else f"# {line}", field)


def _keys(table: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of a table, `kind` in front."""
    fields = table.model_fields
    return {key: fields[key] for key in sorted(fields, key=lambda key: key != "kind")}


def _summary(table: type[BaseModel]) -> str:
    return (table.__doc__ or "").partition("\n")[0].rstrip(".")


def _commented(line: str, field: FieldInfo) -> str:
    return f"{line:<{COMMENT_COLUMN}} # {field.description}" if field.description else line


def toml_value(value: object) -> str:
    """A plain value as TOML writes it on one line.

    >>> toml_value({"kind": "step", "steps": [1, 2], "weights": [1e-3, True]})
    '{ kind = "step", steps = [1, 2], weights = [0.001, true] }'
    """
    match value:
        case Mapping():
            pairs = ", ".join(f"{key} = {toml_value(each)}" for key, each in value.items())
            return f"{{ {pairs} }}"
        case list() | tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return repr(value)


def reference_tables() -> Iterator[str]:
    """Every table of a training file with its keys, as lines of Markdown."""
    for name in ORDER:
        if name in {"losses", "discriminator", "balance"}:
            continue
        for table in _tables_of(TrainingConfig.model_fields[name].annotation):
            yield from _section(name, table)
            yield ""


def _tables_of(annotation: object) -> Iterator[type[Table]]:
    if isinstance(annotation, type) and issubclass(annotation, Table):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _tables_of(member)


def _section(name: str, table: type[Table]) -> Iterator[str]:
    kind = table.model_fields.get("kind")
    is_choice = kind is not None and len(get_args(kind.annotation)) == 1
    title = f"[{name}]" + (f" kind = {toml_value(kind.default)}" if kind and is_choice else "")
    yield from (f"## `{title}`", "", f"{_summary(table)}.", "")
    yield from ("| key | default | meaning |", "| --- | --- | --- |")
    for key, field in _keys(table).items():
        if key == "kind" and is_choice:
            continue
        default = "required" if field.is_required() else f"`{toml_value(field.default)}`"
        default = "none" if field.default is None else default
        yield f"| `{key}` | {default} | {field.description or ''} |"
