"""The lanes of a stream at the same time: the same rows in order, and nothing left behind."""

import threading

import pytest
import torch
from small_networks import picture, tiny_rrdb

from srcli.inference.delays import ticks
from srcli.inference.relay import relay
from srcli.inference.streams import INPUT, Link, RowStream, build_stream, share_out

HEIGHT, WIDTH, BAND = 60, 14, 8


@pytest.fixture(autouse=True)
def no_thread_outlives_the_test():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def network():
    return tiny_rrdb(blocks=4).body


def stream(lanes: int) -> RowStream:
    return build_stream(network(), images=1, width=WIDTH, band=BAND, lanes=lanes)


def steps(made: RowStream):
    image = picture(HEIGHT, WIDTH)[None]
    for tick in ticks(HEIGHT, BAND, made.output):
        rows = tick.rows(INPUT)
        yield tick, image[:, :, rows.start : rows.stop]


@pytest.mark.parametrize("lanes", [2, 3, 5])
def test_lanes_give_the_bits_of_one_after_another(lanes):
    alone, together = stream(1), stream(lanes)
    assert 1 < len(together.lanes) <= lanes
    with torch.inference_mode():
        one_by_one = [alone.step(tick, rows) for tick, rows in steps(alone)]
        at_once = list(relay(together, steps(together)))
    assert [tick.index for tick, _ in at_once] == list(range(len(one_by_one)))
    for (_, rows), expected in zip(at_once, one_by_one, strict=True):
        assert torch.equal(rows, expected)


def test_what_goes_wrong_in_a_lane_is_raised_to_the_caller():
    made = stream(3)

    def wrong():
        for tick, rows in steps(made):
            yield tick, rows[:, :2] if tick.index == 3 else rows

    with torch.inference_mode(), pytest.raises(RuntimeError, match="must match"):
        list(relay(made, wrong()))


def test_what_goes_wrong_in_reading_is_raised_as_it_is():
    made = stream(2)

    def torn():
        yield next(steps(made))
        raise OSError("the file ends here")

    with torch.inference_mode(), pytest.raises(OSError, match="ends here"):
        list(relay(made, torn()))


def test_a_caller_who_has_had_enough_leaves_no_thread():
    made = stream(3)
    with torch.inference_mode():
        results = relay(made, steps(made))
        next(results)
        results.close()


def test_reading_is_never_far_ahead_of_writing():
    made, read = stream(2), []

    def counted():
        for step in steps(made):
            read.append(step)
            yield step

    with torch.inference_mode():
        for written, _ in enumerate(relay(made, counted())):
            assert len(read) - written <= 4


def test_the_callers_number_of_threads_stays():
    before, made = torch.get_num_threads(), stream(2)
    with torch.inference_mode():
        list(relay(made, steps(made)))
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 8])
def test_lanes_have_about_as_much_to_do_each(lanes):
    costs = [1, 40, 40, 40, 40, 40, 40, 75]
    groups = share_out([Link(cost, None) for cost in costs], lanes)
    assert [link.cost for group in groups for link in group] == costs
    assert len(groups) <= lanes
    heaviest = max(sum(link.cost for link in group) for group in groups)
    assert heaviest <= max(max(costs), sum(costs) / lanes + max(costs) / 2)
