import torch
from axes import AXES
from hypothesis import given, settings
from hypothesis import strategies as st

from srcli.inference.feather import rising, weights
from srcli.inference.geometry import part_axis


@settings(max_examples=100)
@given(AXES, st.sampled_from([1, 2, 3, 4]))
def test_the_weights_of_all_tiles_sum_to_one_at_every_pixel(axis, scale):
    parts = part_axis(**axis)
    total = torch.zeros(axis["length"] * scale)
    for index, part in enumerate(parts):
        kept = part.kept.scaled(scale)
        total[kept.start : kept.stop] += weights(parts, index, scale)
    assert (total - 1).abs().max() <= 1e-6


@settings(max_examples=50)
@given(AXES)
def test_no_weight_is_negative_or_above_one_and_a_core_only_pixel_is_its_tiles_own(axis):
    parts = part_axis(**axis)
    for index, part in enumerate(parts):
        weight = weights(parts, index, 1)
        assert weight.min() > 0 and weight.max() <= 1
        others = parts[:index] + parts[index + 1 :]
        for place, value in enumerate(weight.tolist(), part.kept.start):
            is_shared = any(other.kept.start <= place < other.kept.stop for other in others)
            assert is_shared or value == 1


def test_the_ramp_is_straight_and_its_mirror_completes_it():
    assert rising(4).tolist() == [0.125, 0.375, 0.625, 0.875]
    assert (rising(7) + rising(7).flip(0)).tolist() == [1] * 7
    assert rising(0).tolist() == []
