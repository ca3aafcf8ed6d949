"""What an address means, and what it never shows."""

import os
import pickle
from pathlib import Path

import pytest

from srcli.errors import ImageError, UsageError, redacted
from srcli.io.addresses import Remote, address_of
from srcli.io.formats import PictureFormat
from srcli.services.targets import Place, settle, target_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photos/a.jpg", Path("photos/a.jpg")),
        ("file:///d/a%20b.jpg", Path("/d/a b.jpg")),
        ("s3://bucket/d/a.jpg", Remote("s3", "bucket/d/a.jpg")),
        ("S3://bucket/d/", Remote("s3", "bucket/d")),
        ("hf://datasets/owner/name@main/a.jpg", Remote("hf", "datasets/owner/name@main/a.jpg")),
        ("https://host/d/a.jpg?X-Amz-Signature=1&se=2", Remote("https", "host/d/a.jpg")),
        ("memory://d/a.jpg", Remote("memory", "d/a.jpg")),
    ],
)
def test_an_address_is_a_path_or_a_place_in_a_store(text, expected):
    assert address_of(text) == expected


@pytest.mark.parametrize("text", ["gopher://host/a.jpg", "s3://", "s3://key:secret@bucket/a.jpg"])
def test_what_is_no_address_is_refused_without_showing_secrets(text):
    with pytest.raises(UsageError) as told:
        address_of(text)
    assert "secret" not in f"{told.value} {told.value.hint}".replace("keep secrets", "")


def test_two_signatures_of_an_object_are_one_address_and_two_queries_are_two():
    signed = [address_of(f"https://host/get?id={n}&sig={s}") for n, s in ((1, 1), (1, 2), (2, 1))]
    assert signed[0] == signed[1] != signed[2]
    assert signed[1].url == "https://host/get?id=1&sig=2"
    assert "sig" not in str(signed[0]) + repr(signed[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("to ftp://me:pass@word@host/a", "to ftp://host/a"),
        ("at 'https://host/a?X-Amz-Credential=1'", "at 'https://host/a'"),
        ("(password=12 34)", "(password=… 34)"),
        ("hf://owner/repo/file@v1 is a revision", "hf://owner/repo/file@v1 is a revision"),
        ("s3://bucket/what?.jpg is a key", "s3://bucket/what?.jpg is a key"),
    ],
)
def test_messages_never_hold_what_an_address_keeps_secret(text, expected):
    assert redacted(text) == str(ImageError(text, hint="none")) == expected


def test_an_error_survives_the_way_to_another_process():
    there = pickle.loads(pickle.dumps(ImageError("what", hint="how")))
    assert (type(there), str(there), there.hint) == (ImageError, "what", "how")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (None, "s3://bucket/d/a_x4.png"),
        ("gs://other/large", "gs://other/large/a_x4.png"),
        ("gs://other/large.d/", "gs://other/large.d/a_x4.png"),
        ("gs://other/b.png", "gs://other/b.png"),
        ("large", "large/a_x4.png"),
    ],
)
def test_results_are_named_in_stores_as_they_are_in_folders(output, expected):
    target = target_of(Remote("s3", "bucket/d/a.png"), output)
    assert str(settle(target, ".png", None, "_x4", PictureFormat.PNG)) == expected
    assert isinstance(target, Place) == (not expected.endswith("b.png"))


@pytest.mark.skipif(os.name != "posix", reason="names are text elsewhere")
@pytest.mark.parametrize(
    "name", [b"a b%.png", b"\xff\xfe.png", "\N{BLACK HEART SUIT}#?.png".encode()]
)
def test_a_path_comes_back_from_the_address_that_python_makes_of_it(name):
    path = Path("/folder") / os.fsdecode(name)
    assert address_of(path.as_uri()) == path
    as_typed = os.fsdecode(name).replace("%", "%25")
    assert address_of(f"file:///folder/{as_typed}") == path


@pytest.mark.parametrize("address", ["\ud800.png", "file:///\ud800.png"])
def test_half_a_character_is_in_no_name(address):
    with pytest.raises(UsageError, match="can be no file"):
        address_of(address)
