"""Samples are a function of seed and position; pairs fit; a stream goes on exactly."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from srcli.data.crops import Crop, Order, draw_crop, mixed_seed, split_off
from srcli.data.decode import read_picture
from srcli.data.pairs import DegradedPairs, PairedPictures, PairStream, PictureCache, StreamState
from srcli.degradations.names import Preset
from srcli.degradations.presets import DEGRADATIONS
from srcli.degradations.resize import quantize, rescale
from srcli.errors import ConfigError, ImageError, UsageError

CPU = torch.device("cpu")


@pytest.fixture
def pictures(save):
    return [save(f"{name}.png", height=72, width=80) for name in "abc"]


def degraded(pictures, preset=Preset.REALESRGAN, **options) -> DegradedPairs:
    return DegradedPairs(pictures, DEGRADATIONS[preset], scale=4, patch_px=32, **options)


def stream(source, **options) -> PairStream:
    return PairStream(source, **{"batch_size": 2, "device": CPU, **options})


@given(st.integers(1, 20), st.integers(0, 99), st.integers(0, 50))
def test_every_picture_comes_once_in_each_round(pictures, seed, turn):
    order = Order(pictures=pictures, seed=seed)
    positions = range(turn * pictures, (turn + 1) * pictures)
    assert sorted(map(order.picture, positions)) == list(range(pictures))


def test_rounds_are_shuffled_differently():
    order = Order(pictures=30, seed=0)
    first, second = ([order.picture(turn * 30 + place) for place in range(30)] for turn in (0, 1))
    assert first != second


def test_all_eight_ways_of_laying_a_crop_are_drawn_and_differ():
    generator = torch.Generator().manual_seed(0)
    picture = torch.arange(48.0).view(3, 4, 4)
    drawn = [draw_crop((4, 4), (4, 4), generator).of(picture) for _ in range(400)]
    counts = Counter(tuple(crop[0].flatten().tolist()) for crop in drawn)
    assert len(counts) == 8
    assert min(counts.values()) > 25  # of 50 expected: five standard deviations are 33


def test_a_crop_of_a_pair_is_the_same_part_of_both():
    high = torch.rand(1, 3, 64, 48)
    low = torch.nn.functional.avg_pool2d(high, 4)
    for seed in range(20):
        crop = draw_crop((16, 12), (8, 8), torch.Generator().manual_seed(seed))
        shrunk = torch.nn.functional.avg_pool2d(crop.of(high[0], scale=4), 4)
        torch.testing.assert_close(crop.of(low[0]), shrunk)


def test_crops_reach_every_corner():
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_crop((5, 6), (3, 3), generator) for _ in range(200)]
    assert {(crop.top, crop.left) for crop in drawn} == {(y, x) for y in range(3) for x in range(4)}


@pytest.mark.parametrize("preset", [Preset.BICUBIC, Preset.REALESRGAN])
def test_a_degraded_batch_has_its_shapes_and_range(pictures, preset):
    batch = degraded(pictures, preset).batch(range(4), CPU)
    assert batch.low.shape == (4, 3, 8, 8)
    assert batch.high.shape == batch.sharpened.shape == (4, 3, 32, 32)
    assert 0 <= batch.low.min() <= batch.high.max() <= 1


def test_the_low_half_lies_where_the_high_half_does(pictures):
    batch = degraded(pictures, Preset.BICUBIC).batch(range(12), CPU)
    expected = quantize(rescale(batch.high, 1 / 4))
    inner = (..., slice(2, -2), slice(2, -2))  # the kernel reaches two low pixels over the border
    torch.testing.assert_close(batch.low[inner], expected[inner], atol=1.01 / 255, rtol=0)


def test_a_picture_is_waited_for_where_its_memory_is_read_later(pictures, monkeypatch):
    to, waited = torch.Tensor.to, []

    def noted(tensor, *args, non_blocking=False, **kwargs):
        if args == (torch.device("mps"),):
            waited.append(not non_blocking)
            return tensor
        return to(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "to", noted)
    degraded(pictures, preset=Preset.BICUBIC).batch([0], torch.device("mps"))
    assert waited == [True]


def test_a_picture_no_larger_than_the_patch_is_used_whole(save):
    source = degraded([save("only.png", height=32, width=33)], Preset.BICUBIC)
    assert source.batch([0], CPU).high.shape == (1, 3, 32, 32)


def test_a_picture_smaller_than_the_patch_is_an_error_with_a_reason(save):
    source = degraded([save("only.png", height=31, width=90)])
    with pytest.raises(ImageError, match="32 x 88 px does not fit 31 x 90"):
        source.batch([0], CPU)


def test_sharpened_targets_come_beside_the_plain_ones(pictures):
    plain = degraded(pictures, Preset.BICUBIC).batch([3], CPU)
    sharp = degraded(pictures, Preset.BICUBIC, is_sharpened=True).batch([3], CPU)
    assert torch.equal(sharp.high, plain.high)
    assert not torch.equal(sharp.sharpened, plain.high)
    expected = quantize(rescale(sharp.sharpened, 1 / 4))[..., 2:-2, 2:-2]
    torch.testing.assert_close(sharp.low[..., 2:-2, 2:-2], expected, atol=1.01 / 255, rtol=0)


def test_a_paired_batch_is_cut_from_both_files(save):
    high = save("high.png", height=64, width=80)
    low = save("low.png", height=16, width=20)
    source = PairedPictures([(low, high)], scale=4, patch_px=16)
    crop = draw_crop((16, 20), (4, 4), Order(pictures=1, seed=0).generator(5))
    batch = source.batch([5], CPU)
    torch.testing.assert_close(batch.low[0], crop.of(read_picture(low)) / 255)
    torch.testing.assert_close(batch.high[0], crop.of(read_picture(high), 4) / 255)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_that_is_restored_goes_on_exactly(pictures, workers):
    whole = [batch.low for batch in islice(stream(degraded(pictures)), 5)]
    stopped = stream(degraded(pictures), workers=workers)
    first = [batch.low for batch in islice(stopped, 2)]
    resumed = stream(degraded(pictures), workers=workers)
    resumed.restore(stopped.state())
    rest = [batch.low for batch in islice(resumed, 3)]
    assert all(map(torch.equal, whole, first + rest))


def test_two_processes_share_the_batch_of_one(pictures):
    joint = next(iter(stream(degraded(pictures), batch_size=4)))
    parts = [next(iter(stream(degraded(pictures), rank=rank, ranks=2))) for rank in (0, 1)]
    assert torch.equal(joint.low, torch.cat([part.low for part in parts]))


def test_another_seed_gives_other_samples(pictures):
    first, second = (degraded(pictures, seed=seed).batch([0], CPU).low for seed in (0, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("change", ["pictures", "preset", "seed"])
def test_a_run_cannot_go_on_with_other_data(pictures, change):
    state = stream(degraded(pictures)).state()
    other = {
        "pictures": lambda: degraded(pictures[1:]),
        "preset": lambda: degraded(pictures, Preset.LIGHT),
        "seed": lambda: degraded(pictures, seed=1),
    }[change]()
    with pytest.raises(ConfigError, match="not those the run was started with"):
        stream(other).restore(state)


def test_the_state_of_a_stream_is_plain(pictures):
    running = stream(degraded(pictures), batch_size=3)
    next(iter(running))
    assert running.state() == StreamState(position=3, fingerprint=degraded(pictures).fingerprint)


def test_a_cached_picture_is_read_once_and_others_pass_by_a_full_cache(pictures):
    reads = Counter()

    def counted(path):
        reads[path.stem] += 1
        return read_picture(path)

    cache = PictureCache(counted, budget=2 * 3 * 72 * 80)
    for _ in range(3):
        for path in pictures:
            cache(path)
    assert reads == {"a": 1, "b": 1, "c": 3}


def test_a_picture_that_breaks_during_the_run_is_named(pictures):
    source = degraded(pictures)
    for path in pictures:
        path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"[abc]\.png"):
        next(iter(stream(source, workers=1)))


@pytest.mark.parametrize("patch_px", [0, 2, 30])
def test_a_patch_that_is_no_multiple_of_the_scale_is_refused(pictures, patch_px):
    with pytest.raises(ConfigError, match="no multiple of the scale 4"):
        DegradedPairs(pictures, DEGRADATIONS[Preset.BICUBIC], scale=4, patch_px=patch_px)


def test_a_split_is_by_picture_and_complete():
    names = [f"{number}.png" for number in range(40)]
    training, validation = split_off(names, name=str)
    assert len(validation) == 4
    assert sorted(training + validation) == sorted(names)


@pytest.mark.parametrize("fraction", [0.01, 0.9])
def test_there_is_something_to_learn_from_and_something_to_validate_on(fraction):
    training, validation = split_off(["a.png", "b.png", "c.png"], name=str, fraction=fraction)
    assert training and validation


def test_a_later_picture_moves_few_others():
    names = [f"{number}.png" for number in range(40)]
    _, before = split_off(names, name=str)
    _, after = split_off([*names, "late.png"], name=str)
    assert len(set(before) - set(after)) <= 1


@pytest.mark.parametrize("copies", [1, 3])
def test_one_picture_cannot_be_split(copies):
    with pytest.raises(UsageError, match="1 picture"):
        split_off(["only.png"] * copies, name=str)


def test_a_mixed_seed_hangs_on_each_part_and_fits_a_generator():
    seeds = {mixed_seed(*parts) for parts in [(0,), (1,), (0, 1), (1, 0), ("0",), ("01",)]}
    assert len(seeds) == 6
    torch.Generator().manual_seed(max(seeds))


def test_a_crop_times_the_scale_is_the_larger_crop():
    crop = Crop(top=1, left=2, height=3, width=3)
    assert crop.of(torch.rand(3, 20, 20), scale=2).shape == (3, 6, 6)
