"""TOML is read strictly, and every problem names its place."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import pytest

from srcli.errors import ConfigError
from srcli.io.toml import parse_toml, read_toml


class Mode(StrEnum):
    FAST = "fast"


@dataclass(frozen=True, kw_only=True)
class Inner:
    steps: int
    mode: Mode = Mode.FAST


@dataclass(frozen=True, kw_only=True)
class Outer:
    rate: float = 1.0
    runs: tuple[Inner, ...] = ()
    folder: Path = field(default=Path())


def parse(text):
    return parse_toml(text, Outer, source="run.toml", hint="see the reference")


def test_arrays_strings_and_whole_numbers_become_what_the_fields_say():
    parsed = parse('rate = 2\nfolder = "a/b"\n[[runs]]\nsteps = 3\nmode = "fast"')
    expected = Outer(rate=2.0, folder=Path("a/b"), runs=(Inner(steps=3, mode=Mode.FAST),))
    assert parsed == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("rat = 1.0", r"rat: unknown key \(did you mean rate\?\)", id="typo"),
        pytest.param("[[runs]]\nsteps=1\n[[runs]]", r"runs\[2\]\.steps: missing", id="missing"),
        pytest.param("[[runs]]\nsteps=1\nstep=1", r"runs\[1\]\.step: unknown key", id="nested"),
        pytest.param('rate = "1"', "rate: Input should be a valid number", id="string-for-number"),
        pytest.param("[[runs]]\nsteps = 1.0", r"runs\[1\]\.steps: .*integer", id="float-for-int"),
        pytest.param('[[runs]]\nsteps=1\nmode="x"', r"runs\[1\]\.mode: .*'fast'", id="choice"),
        pytest.param("rate = = 1", "line 1, column 8", id="syntax"),
    ],
)
def test_a_problem_names_its_place(text, expected):
    with pytest.raises(ConfigError, match=rf"run\.toml: .*{expected}") as caught:
        parse(text)
    assert caught.value.hint == "see the reference"


def test_all_problems_are_named_at_once():
    with pytest.raises(ConfigError, match=r"rate: .*; runs\[1\]\.steps: missing"):
        parse("rate = true\n[[runs]]")


def test_an_error_of_the_configuration_itself_keeps_its_own_hint():
    @dataclass(frozen=True, kw_only=True)
    class Checked:
        tile: int

        def __post_init__(self) -> None:
            if self.tile < 1:
                raise ConfigError("impossible tile", hint="use at least 1")

    with pytest.raises(ConfigError, match="impossible tile") as caught:
        parse_toml("tile = 0", Checked, source="run.toml", hint="other")
    assert caught.value.hint == "use at least 1"


def test_a_missing_and_an_unreadable_file_are_named(tmp_path):
    with pytest.raises(ConfigError, match="no file .*absent"):
        read_toml(tmp_path / "absent.toml", Outer, hint="")
    (tmp_path / "latin.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match="latin.toml cannot be read"):
        read_toml(tmp_path / "latin.toml", Outer, hint="")
