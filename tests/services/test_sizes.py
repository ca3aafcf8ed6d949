"""From what was asked to exact pixels and passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcli.errors import UsageError
from srcli.services.sizes import TargetSize, passes_for


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({}, (400, 800), id="nothing-is-the-network's-scale"),
        pytest.param({"scale": 3}, (300, 600), id="factor"),
        pytest.param({"scale": 2.5}, (250, 500), id="fraction"),
        pytest.param({"scale": 0.001}, (1, 1), id="never-below-one-pixel"),
        pytest.param({"width": 500}, (250, 500), id="width"),
        pytest.param({"height": 333}, (333, 666), id="height"),
        pytest.param({"width": 500, "height": 1000}, (250, 500), id="box-limited-by-width"),
        pytest.param({"width": 5000, "height": 300}, (300, 600), id="box-limited-by-height"),
        pytest.param({"long_side": 1000}, (500, 1000), id="long-side"),
        pytest.param({"short_side": 1000}, (1000, 2000), id="short-side"),
        pytest.param({"megapixels": 0.32}, (400, 800), id="megapixels"),
    ],
)
def test_a_target_size_becomes_height_and_width(asked, expected):
    assert TargetSize(**asked).resolve(height=100, width=200, native=4) == expected


@pytest.mark.parametrize(
    "asked",
    [{"scale": 2, "width": 10}, {"long_side": 5, "megapixels": 1}, {"width": 5, "short_side": 5}],
)
def test_sizes_that_contradict_each_other_are_refused(asked):
    with pytest.raises(UsageError, match="contradict"):
        TargetSize(**asked)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_that_is_no_size_is_refused(scale):
    with pytest.raises(UsageError, match="is no size"):
        TargetSize(scale=scale)


@pytest.mark.parametrize(
    ("factor", "native", "expected"),
    [(0.5, 4, 1), (1, 4, 1), (4, 4, 1), (4.01, 4, 2), (16, 4, 2), (17, 4, 3), (3, 2, 2), (9, 1, 1)],
)
def test_the_network_runs_until_nothing_is_left_to_enlarge(factor, native, expected):
    assert passes_for(factor, native) == expected


@given(st.floats(0.1, 500), st.sampled_from([2, 4, 8]))
def test_the_passes_reach_the_factor_and_none_is_wasted(factor, native):
    passes = passes_for(factor, native)
    assert native**passes >= factor * (1 - 1e-5)
    assert passes == 1 or native ** (passes - 1) < factor


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 9000))
def test_an_asked_side_is_met_exactly(height, width, side):
    assert TargetSize(width=side).resolve(height, width, 4)[1] == side
    assert TargetSize(height=side).resolve(height, width, 4)[0] == side
    assert max(TargetSize(long_side=side).resolve(height, width, 4)) == side
    assert min(TargetSize(short_side=side).resolve(height, width, 4)) == side
