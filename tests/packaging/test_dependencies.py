"""The page of dependencies against pyproject.toml and against what is installed."""

from pathlib import Path

import pytest

from srcli_docs.dependencies import ABSENT, dependencies, licence

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "dependencies.md"
ROWS = [
    tuple(cell.strip().strip("`") for cell in line.strip("|").split("|"))
    for line in PAGE.read_text("utf-8").splitlines()
    if line.startswith("| ")
]
LISTED = {
    (extra.replace("srcli", ""), name, bounds): told for extra, name, bounds, told in ROWS[2:]
}
# Numbered by date, or never numbered on: no number says what will break.
UNBOUNDED = {"fsspec", "s3fs", "gcsfs", "adlfs", "ncnn", "pnnx", "tifffile", "types-psutil"} | {
    "gcp-storage-emulator"
}
# Of what srcli itself needs. Copyleft may only come with an extra that says so on the page.
FREE = {"Apache-2.0", "BSD", "BSL-1.0", "CC0", "ISC", "MIT", "MIT-CMU", "MPL-2.0", "PSF", "Zlib"}


def test_the_page_lists_what_is_asked_for_with_its_bounds():
    asked = {(each.extra, each.package, each.bounds.replace(",", ", ")) for each in dependencies()}
    assert asked == set(LISTED), "python -m srcli_docs.dependencies prints the table"


@pytest.mark.parametrize("package", sorted({each.package for each in dependencies()}))
def test_a_licence_is_the_one_that_the_package_states(package):
    stated = {told for (_, name, _), told in LISTED.items() if name == package}
    installed = licence(package)
    assert stated - {ABSENT}, "nobody knows its licence"
    assert installed == ABSENT or stated == {installed}


@pytest.mark.parametrize("each", dependencies(), ids=lambda each: f"{each.extra} {each.package}")
def test_every_dependency_is_bounded_below_and_above(each):
    assert ">=" in each.bounds
    assert "<" in each.bounds or each.package in UNBOUNDED


def test_srcli_itself_needs_nothing_with_copyleft_but_libvips():
    needed = {name: set(told.split(", ")) for (extra, name, _), told in LISTED.items() if not extra}
    odd = {name for name, licences in needed.items() if not licences <= FREE}
    assert odd == {"pyvips-binary"}
