"""Metadata that fell under fuzzing: damage in it is its own error, and never costs the picture."""

import io
import struct

import pytest

from srcli.errors import ConfigError, UsageError
from srcli.io.addresses import address_of
from srcli.io.exif import corrected_xmp, exif_of_tiff, iptc_records, read_exif
from srcli.io.files import can_be
from srcli.io.profiles import ProfileError, read_profile
from srcli.io.tiff import TiffError
from srcli.io.toml import parse_toml

HEAD = b"II*\0\x08\0\0\0"


def field(tag, kind, count, value):
    return struct.pack("<HHII", tag, kind, count, value)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(HEAD + b"\2\0" + field(271, 2, 900, 0)[:9], id="cut in a field"),
        pytest.param(HEAD + b"\1\0" + field(0x8769, 4, 0, 0) + bytes(4), id="a pointer to nothing"),
        pytest.param(b"II+\0\x08\0\0\0" + b"\xff" * 8, id="beyond every file"),
    ],
)
def test_damaged_exif_is_an_error_of_its_own_or_is_left_out(block):
    for read in (read_exif, lambda data: exif_of_tiff(io.BytesIO(data))):
        try:
            assert read(block).camera == {}
        except TiffError as error:
            assert str(error)


def test_fields_that_share_their_bytes_cannot_multiply_them():
    many = b"".join(field(tag, 1, 50_000, 0) for tag in range(1000, 1100))
    block = HEAD + struct.pack("<H", 100) + many + bytes(50_000)
    with pytest.raises(TiffError, match="one over the other"):
        read_exif(block)


def test_thumbnails_without_an_end_cost_no_more_than_their_length():
    packet = b"<xmp:Thumbnails>" * 60_000
    assert corrected_xmp(packet, 3, 4) == packet
    assert corrected_xmp(b"a<xap:Thumbnails>b</xap:Thumbnails>c", 3, 4) == b"ac"


def test_a_cut_photoshop_block_has_no_records():
    assert iptc_records(b"8BIM\4\4\xff" + bytes(8)) is None


def curve_of(*numbers, kind=0):
    return (
        b"para"
        + bytes(4)
        + struct.pack(">HH", kind, 0)
        + struct.pack(f">{len(numbers)}i", *numbers)
    )


def profile(curve, column=(1 << 16, 0, 0)):
    xyz = b"XYZ " + bytes(4) + struct.pack(">3i", *column)
    tags = {b"rXYZ": xyz, b"gXYZ": xyz, b"bXYZ": xyz} | dict.fromkeys(
        (b"rTRC", b"gTRC", b"bTRC"), curve
    )
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    head = bytearray(128)
    head[16:20], head[36:40] = b"RGB ", b"acsp"
    return bytes(head) + table + body


@pytest.mark.parametrize(
    "curve",
    [
        pytest.param(curve_of(0), id="to the power of 0"),
        pytest.param(curve_of(1 << 16, 0, 1 << 16, kind=1), id="a slope of 0"),
        pytest.param(curve_of(1 << 16), id="three times one colour"),
    ],
)
def test_a_profile_without_a_way_back_is_no_profile(curve):
    with pytest.raises(ProfileError):
        read_profile(profile(curve), 3)


def test_toml_that_nests_without_end_is_refused():
    with pytest.raises(ConfigError, match="without end"):
        parse_toml("a = " + "[" * 20_000, dict, source="x.toml", hint="mend it")


def test_a_name_that_no_file_can_have_is_refused(tmp_path):
    assert not can_be(tmp_path / "not there" / ("x" * 300))
    assert can_be(tmp_path / "not there" / ("x" * 200))
    for text in ("x" * 300 + ".png", "a\0b.png"):
        with pytest.raises(UsageError, match="can be no file"):
            address_of(text)
