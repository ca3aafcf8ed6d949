"""Animations and pages: all of them, with their times, from every kind of file into every other."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from picture_tools import encoded, enlarge, noise, smooth
from PIL import Image

from srcli.errors import ImageError, PixelLimitError
from srcli.io import leftovers
from srcli.io.apng import write_animation
from srcli.io.formats import PictureFormat
from srcli.io.metadata import Animation
from srcli.io.pictures import open_picture
from srcli.io.vips import from_numpy

DELAYS = [50, 60, 70, 80]
ANIMATED = ["GIF", "WEBP", "PNG"]


def animation(kind, *, has_alpha=False, **options):
    frames = [Image.fromarray(np.roll(smooth(40, 50), 9 * i, axis=1)) for i in range(4)]
    if has_alpha:
        frames = [frame.convert("RGBA") for frame in frames]
        for i, frame in enumerate(frames):
            frame.paste((0, 0, 0, 0), (5 + 6 * i, 5, 25 + 6 * i, 25))
    buffer = io.BytesIO()
    frames[0].save(
        buffer, kind, save_all=True, append_images=frames[1:], duration=DELAYS, loop=3, **options
    )
    return buffer.getvalue()


def frames_of(data):
    image = Image.open(io.BytesIO(data))
    frames, delays = [], []
    for index in range(image.n_frames):
        image.seek(index)
        frames.append(np.asarray(image.convert("RGBA")).astype(int))
        delays.append(round(image.info["duration"]))
    return frames, delays, image.info.get("loop")


@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("target", ANIMATED)
@pytest.mark.parametrize("source", ANIMATED)
def test_every_frame_with_its_time_goes_into_every_animated_format(source, target, has_alpha):
    data = animation(source, has_alpha=has_alpha)
    written = io.BytesIO()
    enlarge(data, written, scale=2, format=PictureFormat(target.lower()))
    before, _, _ = frames_of(data)
    after, delays, _ = frames_of(written.getvalue())
    assert delays == DELAYS
    for old, new in zip(before, after, strict=True):
        wide = old.repeat(2, axis=0).repeat(2, axis=1)
        visible = (wide[:, :, 3] > 0) & (new[:, :, 3] > 0)
        assert np.abs(wide - new)[visible].mean() < 6  # palettes and WebP are lossy
        assert (visible == (wide[:, :, 3] > 0)).mean() > 0.95


@pytest.mark.parametrize("kind", ANIMATED)
def test_the_number_of_loops_stays(kind):
    data, written = animation(kind), io.BytesIO()
    enlarge(data, written, scale=2)
    assert frames_of(written.getvalue())[2] == frames_of(data)[2]


@pytest.mark.parametrize(
    ("kind", "longest"), [("GIF", 655_350), ("WEBP", (1 << 24) - 1), ("PNG", 60_000_000)]
)
def test_times_and_loops_beyond_a_format_become_the_most_that_it_holds(kind, longest):
    data = bytearray(animation("PNG"))
    count, control = data.index(b"acTL"), data.index(b"fcTL")
    struct.pack_into(">I", data, count + 8, (1 << 32) - 1)
    struct.pack_into(">I", data, count + 12, zlib.crc32(data[count : count + 12]))
    struct.pack_into(">HH", data, control + 24, 60_000, 1)  # seconds
    struct.pack_into(">I", data, control + 30, zlib.crc32(data[control : control + 30]))
    written = io.BytesIO()
    enlarge(bytes(data), written, format=PictureFormat[kind])
    played = open_picture(written.getvalue()).metadata.animation
    loops = (1 << (32 if kind == "PNG" else 16)) - 1
    assert played == Animation(delays_ms=(longest, *DELAYS[1:]), loops=loops)


def test_a_picture_beside_the_frames_of_an_apng_is_no_frame():
    data = animation("PNG", default_image=True)
    assert open_picture(data).pages == 3


def test_frames_come_in_any_order_and_no_decoder_begins_anew_for_each(monkeypatch):
    data = animation("PNG", has_alpha=True)
    expected, _, _ = frames_of(data)
    opened = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda file: opened.append(file) or real(file))
    picture = open_picture(data)
    for index in (0, 1, 1, 2, 3, 2, 0, 1, 3):
        picture._opened.clear()
        page = picture.page(index)
        rows = np.rint(page.read_rows(0, page.height) * 255)
        visible = expected[index][:, :, 3] > 0
        assert np.array_equal(rows[visible], expected[index][:, :, :3][visible])
    assert len(opened) == 4  # for the header, for the frames, and for each way back


@pytest.mark.parametrize(
    ("channels", "dtype", "notes"),
    [(1, "uint16", ()), (3, "uint8", ("16-bit samples are read as 8-bit ones",))],
)
def test_what_frames_lose_of_16_bits_is_told(channels, dtype, notes):
    pages = [from_numpy(noise(8, 9, channels, dtype=np.uint16)) for _ in DELAYS]
    file = io.BytesIO()
    frames = (bytes(page.pngsave_buffer()) for page in pages)
    write_animation(file, frames, Animation(delays_ms=tuple(DELAYS), loops=0))
    picture = open_picture(file.getvalue())
    assert (picture.pages, picture.dtype, picture.notes) == (4, dtype, notes)


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_frames_are_turned_upright(kind):
    orientation = Image.Exif()
    orientation[0x0112] = 6
    options = {"lossless": True} if kind == "WEBP" else {}
    data = animation(kind, exif=orientation.tobytes(), **options)
    picture = open_picture(data)
    assert (picture.width, picture.height) == (40, 50)
    for index, frame in enumerate(frames_of(data)[0]):
        rows = np.rint(picture.page(index).read_rows(0, 50) * 255)
        assert np.array_equal(rows, np.rot90(frame, -1)[..., :3])


def test_pictures_that_nobody_plays_are_pages():
    """DCX: a list of places, then a PCX at each; what faxes were kept in."""
    pages = [encoded(noise(8, 9 + i, 3), "PCX") for i in range(3)]
    places = np.cumsum([4 * 5, *map(len, pages)])
    head = struct.pack("<5I", 0x3ADE68B1, *places[:3], 0)
    picture = open_picture(head + b"".join(pages))
    assert (picture.pages, picture.is_animated) == (3, False)
    assert [picture.page(index).width for index in range(3)] == [9, 10, 11]


def layered(layers):
    """A PSD of 7 x 5 pixels that opens gray; each of its layers is black."""
    record = struct.pack(">4IHhI", 0, 0, 5, 7, 1, 0, 2 + 35) + b"8BIMnorm\xff\0\0\0"
    record += struct.pack(">IIIi", 12, 0, 0, 0)
    planes = bytes(2 + 35) * layers
    content = struct.pack(">h", layers) + record * layers + planes
    content += bytes(len(content) % 2)
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 1, 5, 7, 8, 1) + bytes(8)
    section = struct.pack(">II", len(content) + 4, len(content)) + content
    return head + section + bytes(2) + b"\x80" * 35


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_the_layers_of_a_psd_are_no_frames(layers):
    picture = open_picture(layered(layers))
    assert (picture.pages, picture.is_animated) == (1, False)
    assert np.allclose(picture.page(0).read_rows(0, 5), 128 / 255)


def test_frames_drawn_over_each_other_are_whole():
    first = Image.fromarray(smooth(40, 50))
    second = first.copy()
    second.paste((255, 0, 0), (10, 10, 20, 20))
    buffer, written = io.BytesIO(), io.BytesIO()
    first.save(buffer, "PNG", save_all=True, append_images=[second], duration=50, disposal=0)
    enlarge(buffer.getvalue(), written, scale=2)
    frames, _, _ = frames_of(written.getvalue())
    np.testing.assert_array_equal(frames[1][::2, ::2, :3], np.asarray(second))


@pytest.mark.parametrize("blend", [0, 1], ids=["source", "over"])
@pytest.mark.parametrize("disposal", [0, 1, 2], ids=["stays", "is cleared", "is taken back"])
def test_a_frame_is_the_same_whatever_was_shown_before_it(disposal, blend):
    shown = np.full((5, 12, 40, 4), 255, np.uint8)
    for i, frame in enumerate(shown[1:]):
        frame[2:8, 8 * i + 2 : 8 * i + 8] = (250, 20 * i, 0, 255)
    first, *others = map(Image.fromarray, shown)
    options = {"duration": 50, "disposal": [0, *[disposal] * 4], "blend": blend}
    buffer = io.BytesIO()
    first.save(buffer, "PNG", save_all=True, append_images=others, **options)
    picture = open_picture(buffer.getvalue())
    for index in range(5):
        alone = open_picture(buffer.getvalue()).page(index).read_rows(0, 12)
        np.testing.assert_array_equal(picture.page(index).read_rows(0, 12), alone)
        np.testing.assert_array_equal(np.rint(alone * 255), shown[index, ..., :3])


def avif_sequence(brand=b"avis"):
    frames = [Image.fromarray(np.roll(smooth(40, 50), 9 * i, axis=1)) for i in range(3)]
    buffer = io.BytesIO()
    delays = [50, 60, 70]
    frames[0].save(buffer, "AVIF", save_all=True, append_images=frames[1:], duration=delays)
    data = buffer.getvalue()
    return data[:8] + brand + data[12:]


@pytest.mark.parametrize("kind", [PictureFormat.PNG, PictureFormat.AVIF])
def test_an_animated_avif_keeps_its_frames_and_their_times(kind):
    data, written = avif_sequence(), io.BytesIO()
    enlarge(data, written, format=kind)
    frames, delays, _ = frames_of(written.getvalue())
    assert delays == [50, 60, 70]
    for before, after in zip(frames_of(data)[0], frames, strict=True):
        assert np.abs(before[..., :3].astype(int) - after[..., :3]).mean() < 2


def test_frames_in_an_avif_that_calls_itself_still_are_announced():
    picture = open_picture(avif_sequence(b"avif"))
    assert (picture.pages, picture.is_animated) == (1, False)
    assert "frames that it holds are left out" in picture.notes[0]


def pages_of(shapes, **options):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, **options) as writer:
        for shape, dtype in shapes:
            photometric = "rgb" if len(shape) == 3 else "minisblack"
            writer.write(noise(*shape, dtype=dtype), photometric=photometric, metadata=None)
    return buffer.getvalue()


def test_pages_of_any_size_depth_and_kind_stay_what_they_are(tmp_path):
    shapes = [((40, 50, 3), np.uint8), ((20, 30), np.uint16), ((33, 11, 4), np.uint8)]
    data = pages_of(shapes)
    enlarge(data, tmp_path / "pages.tif", scale=2)
    with tifffile.TiffFile(tmp_path / "pages.tif") as file:
        assert len(file.pages) == 3
        for (shape, dtype), page in zip(shapes, file.pages, strict=True):
            expected = noise(*shape, dtype=dtype).repeat(2, axis=0).repeat(2, axis=1)
            visible = expected[..., 3:] > 0 if shape[-1] == 4 else np.ones_like(expected[..., :1])
            colours = slice(0, 3) if len(shape) == 3 else slice(None)
            difference = (page.asarray().astype(int) - expected)[..., colours]
            assert np.abs(difference * (visible if len(shape) == 3 else 1)).max() <= 1


def test_pages_count_together_however_they_differ():
    data = pages_of([((8, 9, 3), np.uint8), ((70, 80), np.uint8), ((70, 90), np.uint8)])
    picture = open_picture(data, pixel_limit=6000)
    assert picture.page(1).width == 80
    for _ in range(2):  # nor does it help to ask again
        with pytest.raises(PixelLimitError, match="11,972 pixels in 3 pages"):
            picture.page(2)


def test_a_tiff_of_one_page_costs_no_look_at_the_whole_folder(tmp_path, monkeypatch):
    leftovers._partials_in(tmp_path)  # which is remembered
    monkeypatch.setattr(leftovers, "_listed", lambda folder: pytest.fail(f"{folder} is listed"))
    enlarge(pages_of([((8, 9, 3), np.uint8)]), tmp_path / "page.tif")


def test_pages_into_one_picture_are_announced():
    written = enlarge(
        pages_of([((8, 9, 3), np.uint8)] * 3), io.BytesIO(), format=PictureFormat.JPEG
    )
    assert "only the first of 3" in written.notes[0]
    assert written.pages == 1


@pytest.mark.parametrize("kind", [PictureFormat.WEBP, PictureFormat.PNG, PictureFormat.AVIF])
def test_pages_are_no_frames_and_are_not_played(kind):
    written = enlarge(pages_of([((8, 9, 3), np.uint8)] * 3), io.BytesIO(), format=kind)
    assert "only the first of 3" in written.notes[0]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_cut_off_is_an_error_not_a_shorter_one(kind):
    data = animation(kind)
    with pytest.raises(ImageError):
        picture = open_picture(data[: len(data) // 2])
        for index in range(picture.pages):
            picture.page(index).read_rows(0, 40)
