"""When rows are known, as tables of integers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcli.inference.delays import Signal, Tick, ticks
from srcli.inference.geometry import Span

INPUT = Signal()


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        (INPUT, [(0, 8), (8, 16), (16, 19), (19, 19)]),
        (INPUT.later(), [(0, 7), (7, 15), (15, 19), (19, 19)]),
        (INPUT.later(10), [(0, 0), (0, 6), (6, 14), (14, 19)]),
        (INPUT.later(3).enlarged(2), [(0, 10), (10, 26), (26, 38), (38, 38)]),
        (INPUT.later(3).enlarged(2).later(), [(0, 9), (9, 25), (25, 38), (38, 38)]),
    ],
)
def test_each_convolution_makes_its_rows_a_row_later(signal, expected):
    made = [Tick(index, band=8, height=19).rows(signal) for index in range(4)]
    assert made == [Span(start, stop) for start, stop in expected]


@given(
    st.integers(1, 60),
    st.integers(1, 40),
    st.builds(Signal, st.sampled_from([1, 2, 4]), st.integers(0, 90)),
)
def test_every_row_is_made_once_and_in_order(height, band, signal):
    spans = [tick.rows(signal) for tick in ticks(height, band, signal)]
    made = [row for span in spans for row in range(span.start, span.stop)]
    assert made == list(range(signal.rate * height))
    assert max(span.length for span in spans) <= signal.rate * band


def test_the_last_tick_is_needed():
    assert len(list(ticks(height=100, band=16, output=INPUT.later(12)))) == 7
    assert len(list(ticks(height=100, band=16, output=INPUT.later(13)))) == 8


@given(st.integers(0, 20), st.integers(1, 60), st.sampled_from([1, 2, 4]))
def test_the_parts_of_a_tick_make_what_the_tick_makes(index, height, parts):
    tick, signal = Tick(index, 16, height), Signal(2, 7)
    spans = [part.rows(signal) for part in tick.divided(parts)]
    whole = tick.rows(signal)
    assert [row for span in spans for row in range(span.start, span.stop)] == list(
        range(whole.start, whole.stop)
    )


@pytest.mark.parametrize(
    ("index", "is_idle", "is_steady"),
    [(0, True, False), (1, False, False), (2, False, True), (3, False, False), (9, True, False)],
)
def test_a_tick_knows_the_borders_of_the_picture(index, is_idle, is_steady):
    tick = Tick(index, band=8, height=30)
    assert tick.is_idle(INPUT.later(8), INPUT.later(16)) is is_idle
    assert tick.is_steady(INPUT.later(16)) is is_steady
