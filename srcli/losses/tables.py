"""Parsed TOML to the specifications of losses, strictly, and a change of a weight before that."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from srcli.errors import ConfigError
from srcli.losses.spec import KINDS, LossConfig


def parse_losses(tables: Mapping[str, object], *, source: str) -> LossConfig:
    """The configuration of parsed TOML; ConfigError names each problem's place in `source`."""
    try:
        return LossConfig.model_validate(dict(tables))
    except ValidationError as error:
        raise ConfigError(
            f"{source}: {problems(error, tables)}", hint="see docs/explanation/losses.md"
        ) from error


def problems(error: ValidationError, tables: Mapping[str, object]) -> str:
    """Each problem with its place as it is written in the file: `losses.pixel.eps: ...`."""
    return "; ".join(
        f"{place(problem['loc'], tables, is_missing=problem['type'] == 'missing')}: "
        f"{_complaint(problem, error.title)}"
        for problem in error.errors()
    )


def _complaint(problem: ErrorDetails, title: str) -> str:
    if problem["type"] == "missing":
        return "missing"
    if problem["type"] == "extra_forbidden":
        similar = get_close_matches(str(problem["loc"][-1]), _known_keys(title), n=1)
        return "unknown key" + (f" (did you mean {similar[0]}?)" if similar else "")
    return problem["msg"].removeprefix("Value error, ")


def _known_keys(title: str) -> set[str]:
    """All keys of the tables of a configuration, by the name of its class."""
    classes: list[type[LossConfig]] = [LossConfig, *LossConfig.__subclasses__()]
    schema = next(each for each in classes if each.__name__ == title).model_json_schema()
    tables = [schema, *schema.get("$defs", {}).values()]
    return {key for table in tables for key in table.get("properties", {})}


def place(
    location: tuple[int | str, ...], tables: Mapping[str, object], *, is_missing: bool = False
) -> str:
    """Pydantic's location as a path in the file, without the names of the alternatives it tried.

    >>> place(("losses", "pixel", "pixel", "eps"), {"losses": {"pixel": {"eps": "small"}}})
    'losses.pixel.eps'
    """
    here: object = tables
    parts: list[str] = []
    for part in location:
        match here, part:
            case dict(), _ if part in here:
                here = here[part]
            case list(), int():
                here = here[part]
            case _:
                continue
        parts.append(str(part))
    missing = [str(location[-1])] if is_missing else []
    return ".".join(parts + missing) or "the file"


def with_weight(tables: Mapping[str, object], name: str, weight: float) -> dict[str, object]:
    """Parsed TOML with another weight for one term, to be read by `parse_losses`.

    Weight 0 takes the term away (and, with the adversarial one, the discriminator). A term that
    is not there is added if its name is a kind. ConfigError for any other name.
    """
    losses = tables.get("losses")
    terms = dict(losses) if isinstance(losses, Mapping) else {}
    if name not in terms and name not in KINDS:
        raise ConfigError(
            f"there is no loss {name!r}",
            hint=f"change one of {', '.join(terms)}; or add one of {', '.join(KINDS)}",
        )
    changed = {**terms.pop(name, {"kind": name}), "weight": weight}
    if weight:
        return {**tables, "losses": {**terms, name: changed}}
    dropped = "discriminator" if changed.get("kind") == "adversarial" else None
    return {key: value for key, value in tables.items() if key != dropped} | {"losses": terms}
