"""The catalogue that ships: strict, free of doubt, and found in every spelling."""

import os
import tomllib
from pathlib import Path

import pytest

from srcli.errors import ConfigError, UnknownWeightsError
from srcli.io.catalogue import (
    HubSource,
    PackageSource,
    UrlSource,
    catalogue,
    catalogue_path,
    key,
    read_catalogue,
)
from srcli.services.weights import obtain

ENTRIES = list(catalogue())
SHARED = Path(os.environ.get("SRCLI_SHARED", Path(__file__).parents[2].parent / "shared"))
FACTS = SHARED / "facts" / "weights.toml"


def test_it_holds_what_the_field_uses():
    wanted = """realesrgan-x4plus realesrgan-x2plus realesrnet-x4plus realesrgan-x4plus-anime
    realesr-general-x4v3 realesr-general-wdn-x4v3 realesr-animevideov3 esrgan esrgan-psnr bsrgan
    bsrnet bsrganx2 realsr-df2k realsr-dped realsr-df2k-jpeg 4x-ultrasharp 4x-remacri vgg19"""
    assert set(wanted.split()) <= {entry.name for entry in ENTRIES}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_spelling_of_an_entry_finds_it(entry):
    assert entry.name == entry.name.lower().replace("_", "-")
    for spelling in (entry.name, *entry.aliases):
        for typed in (spelling, spelling.upper(), spelling.replace("-", "_"), f"{spelling}.pth"):
            assert catalogue().find(typed) == entry


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_entry_says_what_a_user_must_know(entry):
    assert entry.purpose and entry.licence and entry.homepage.startswith("https://")
    assert (entry.scale is not None) == (entry.role == "upscaler")
    assert entry.commercial == ("-NC" not in entry.licence)
    is_blind = any(file.sha256 is None for source in entry.sources for file in source.files)
    assert ("--trust" in entry.note) == is_blind


@pytest.mark.skipif(not FACTS.exists(), reason="the records that it was filled from are not here")
def test_every_digest_and_size_stands_in_the_records():
    known = set(map(str, walk(tomllib.loads(FACTS.read_text()))))
    measured_here = {"lpips"}  # a package that the records name without its wheel's digest
    unrecorded = {"st-lpips-alex", "swift"}  # found, and trained, after the records were made
    for entry in (entry for entry in ENTRIES if entry.name not in unrecorded):
        for source in entry.sources:
            digests = {file.sha256 for file in source.files} - {None}
            sizes = {str(file.size) for file in source.files if not file.path.endswith(".param")}
            assert digests <= known and sizes - {"None"} <= known
            if isinstance(source, PackageSource) and source.package not in measured_here:
                assert source.wheel_sha256 in known


def walk(value):
    children = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for child in children:
            yield from walk(child)
    else:
        yield value


def test_mirrors_that_hold_other_files_under_these_names_are_not_used():
    wrong = ("2kpr/", "ai-forever/", "fofr/", "Phips/")
    repos = [s.repo for entry in ENTRIES for s in entry.sources if isinstance(s, HubSource)]
    assert repos and not [repo for repo in repos if repo.startswith(wrong)]


def test_one_digest_belongs_to_one_entry():
    owners = {}
    for entry in ENTRIES:
        for source in entry.sources:
            for file in source.files:
                if file.sha256:
                    assert owners.setdefault(file.sha256, entry.name) == entry.name


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("realesrgan_x4pluss", "realesrgan-x4plus"),
        ("UltraShrap", "4x-ultrasharp"),
        ("anime", "realesrgan-x4plus-anime"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(typed, nearest):
    with pytest.raises(UnknownWeightsError, match=f"the nearest: .*{nearest}") as caught:
        obtain(typed)
    assert "srcli weights list" in caught.value.hint


def test_a_name_like_no_other_is_answered_so():
    with pytest.raises(UnknownWeightsError, match="nothing similar is known"):
        obtain("qqqqqq")


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("RealESRGAN_x4plus.pth", "realesrganx4plus"),
        ("4x-UltraSharp.safetensors", "4xultrasharp"),
        ("A b.PARAM", "ab"),
        ("pytorch", "pytorch"),
    ],
)
def test_what_spellings_have_in_common(spelling, expected):
    assert key(spelling) == expected


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('licence = "BSD', 'license = "BSD', r"realesrgan-x4plus\.license: unknown key .*licence"),
        ("size = 67040989", 'size = "67 MB"', r"realesrgan-x4plus\.sources\[1\]\.size: "),
        ('kind = "hub"', 'kind = "ftp"', r"realesrgan-x4plus\.sources\[1\]: .*'ftp'"),
        ("blocks = 23 ", "blocks = 0 ", r"realesrgan-x4plus\.architecture\.blocks: "),
        ('sha256 = "4fa0', 'sha256 = "4FA0', r"realesrgan-x4plus\.sources\[1\]\.sha256: "),
    ],
)
def test_a_mistake_in_the_file_names_its_place(tmp_path, old, new, place):
    text = catalogue_path().read_text()
    assert old in text
    (tmp_path / "weights.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=rf"weights\.toml: .*weights\.{place}"):
        read_catalogue(tmp_path / "weights.toml")


def test_one_spelling_cannot_mean_two_entries(write_catalogue):
    source = 'kind = "url"\nurl = "https://example.org/a.pth"'
    path = write_catalogue(aliases='"A_b"', one=[source], two=[source])
    with pytest.raises(ConfigError, match=r"weights\.two\.aliases: 'A_b' already means one"):
        read_catalogue(path)


def test_an_address_must_be_of_the_web(write_catalogue):
    path = write_catalogue(tiny=['kind = "url"\nurl = "file:///etc/passwd"'])
    with pytest.raises(ConfigError, match=r"sources\[1\]\.url"):
        read_catalogue(path)


def test_sources_name_themselves():
    assert str(HubSource(repo="a/b", file="c/d.pth", revision="e")) == "hf://a/b/c/d.pth@e"
    assert str(UrlSource(url="https://a.org/b.pth")) == "https://a.org/b.pth"
