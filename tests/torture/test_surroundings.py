"""Odd places to be started in, in short: benchmarks/torture/portability.py is the long version."""

import ast
import sys
import tempfile
from pathlib import Path

import platformdirs
import pytest

from srcli.errors import OutputError
from srcli.io import files
from srcli.io.cache import Cache, cache_root
from srcli.io.catalogue import WantedFile

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks" / "torture"))

from surroundings import SURROUNDINGS, try_out  # noqa: E402

# Those that neither load torch nor need to be root; and the hardest one that does.
QUICK = {
    "version",
    "ASCII, and help",
    "40 columns, help",
    "30 columns, a list",
    "a closed stdout, help",
    "all three closed",
    "a full stdout",
    "a full stdout, help",
    "a list that nobody reads to its end",
    "no libvips, doctor",
    "no libvips, help",
    "a working folder that was deleted",
}


@pytest.mark.parametrize(
    "surrounding", [each for each in SURROUNDINGS if each.name in QUICK], ids=lambda each: each.name
)
def test_srcli_keeps_its_promise(surrounding, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SRCLI_OFFLINE", "1")
    outcome = try_out(surrounding, (sys.executable,), tmp_path)
    assert outcome.fault == ""


def test_the_quick_ones_are_there():
    assert {each.name for each in SURROUNDINGS} > QUICK


def test_only_one_module_meets_libvips():
    """Others get what they need from it, so that its absence is said in one place."""
    importing = set()
    for path in (ROOT / "srcli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import) and any(name.name == "pyvips" for name in node.names):
                importing.add(path.name)
    assert importing == {"vips.py"}


def test_without_a_folder_for_temporary_files_the_error_says_what_to_set(monkeypatch):
    def none():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(files, "gettempdir", none)
    with pytest.raises(OutputError) as told:
        files.scratch_place()
    assert "$TMPDIR" in told.value.hint


@pytest.fixture(params=["new", "old"])
def nobody_without_a_home(request, monkeypatch):
    """platformdirs 4.14 raises where older versions gave the path back as it is."""

    def path(*_):
        if request.param == "new":
            raise RuntimeError("could not determine the home directory")
        return Path("~/.cache/srcli")

    monkeypatch.delenv("SRCLI_HOME", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_path", path)


def test_a_user_without_a_home_has_an_empty_cache_and_makes_no_folder(
    nobody_without_a_home, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    cache = Cache(cache_root())
    assert cache.records() == {} and cache.blobs() == []
    with pytest.raises(OutputError) as told, cache.locked("x"):
        pass
    assert "SRCLI_HOME" in told.value.hint and list(tmp_path.iterdir()) == []


def test_a_cache_that_may_not_be_looked_into_is_an_empty_one(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.glob", refuse)
    monkeypatch.setattr("pathlib.Path.is_file", refuse)
    cache = Cache(tmp_path)
    assert cache.records() == {} and cache.blobs() == []
    assert not cache.holds(WantedFile(path="a.pth", sha256="0" * 64, size=1))


def test_temporary_files_go_where_the_system_says():
    assert files.scratch_place() == Path(tempfile.gettempdir())
