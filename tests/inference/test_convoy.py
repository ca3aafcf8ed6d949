"""Several ticks of a stream at the same time: the same rows in order, and nothing left behind."""

import gc
import threading
import weakref

import pytest
import torch
from small_networks import picture, tiny_rrdb

from srcli.inference.convoy import MOST_AT_ONCE, convoy, ticks_at_once
from srcli.inference.delays import ticks
from srcli.inference.streams import INPUT, RowStream, build_stream

HEIGHT, WIDTH, BAND = 60, 14, 8


@pytest.fixture(autouse=True)
def no_thread_outlives_the_test():
    before = {*threading.enumerate()}
    yield
    assert before >= {*threading.enumerate()}


def network():
    return tiny_rrdb(blocks=4).body


def stream(at_once: int) -> RowStream:
    return build_stream(network(), images=1, width=WIDTH, band=BAND, at_once=at_once)


def steps(made: RowStream):
    image = picture(HEIGHT, WIDTH)[None]
    for tick in ticks(HEIGHT, BAND, made.output):
        rows = tick.rows(INPUT)
        yield tick, image[:, :, rows.start : rows.stop]


@pytest.mark.parametrize("at_once", [2, 3, 5])
def test_ticks_at_once_give_the_bits_of_one_after_another(at_once):
    alone, together = stream(1), stream(at_once)
    with torch.inference_mode():
        one_by_one = [alone.step(tick, rows) for tick, rows in steps(alone)]
        at_once = list(convoy(together, steps(together)))
    assert [tick.index for tick, _ in at_once] == list(range(len(one_by_one)))
    for (_, rows), expected in zip(at_once, one_by_one, strict=True):
        assert torch.equal(rows, expected)


def test_what_goes_wrong_in_a_tick_is_raised_to_the_caller():
    made = stream(3)

    def wrong():
        for tick, rows in steps(made):
            yield tick, rows[:, :2] if tick.index == 3 else rows

    with torch.inference_mode(), pytest.raises(RuntimeError, match="must match"):
        list(convoy(made, wrong()))


def test_what_goes_wrong_in_reading_is_raised_as_it_is():
    made = stream(2)

    def torn():
        yield next(steps(made))
        raise OSError("the file ends here")

    with torch.inference_mode(), pytest.raises(OSError, match="ends here"):
        list(convoy(made, torn()))


def test_a_caller_who_has_had_enough_leaves_no_thread():
    made = stream(3)
    with torch.inference_mode():
        results = convoy(made, steps(made))
        next(results)
        results.close()


def test_reading_is_never_far_ahead_of_writing():
    made, read = stream(2), []

    def counted():
        for step in steps(made):
            read.append(step)
            yield step

    with torch.inference_mode():
        for written, _ in enumerate(convoy(made, counted())):
            assert len(read) - written <= 4


def test_the_callers_number_of_threads_stays():
    before, made = torch.get_num_threads(), stream(2)
    with torch.inference_mode():
        list(convoy(made, steps(made)))
    assert torch.get_num_threads() == before


def test_a_new_thread_has_as_many_threads_of_torch_after_a_convoy_as_before():
    def asked() -> int:
        heard = []
        thread = threading.Thread(target=lambda: heard.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        return heard[0]

    callers = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        made = stream(2)
        with torch.inference_mode():
            list(convoy(made, steps(made)))
        assert asked() == 4
    finally:
        torch.set_num_threads(callers)


def test_where_python_is_most_of_the_work_one_tick_is_under_way(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    full = tiny_rrdb(channels=64, growth=32, blocks=1)
    assert ticks_at_once(full, torch.device("cpu")) == MOST_AT_ONCE
    assert ticks_at_once(full, torch.device("meta")) == 1
    assert ticks_at_once(tiny_rrdb(channels=2, growth=2), torch.device("cpu")) == 1


@pytest.mark.parametrize("index", [0, 3])
def test_what_goes_wrong_holds_no_memory(index):
    made = stream(3)
    parts = [weakref.ref(stage) for stage in made.stages]
    wrong = ((tick, rows[:, :2] if tick.index == index else rows) for tick, rows in steps(made))
    gc.collect()
    gc.disable()  # a plan that needs less starts at once, before anything would be collected
    try:
        with torch.inference_mode(), pytest.raises(RuntimeError) as caught:
            list(convoy(made, wrong))
        del made, wrong, caught
        assert not any(part() for part in parts)
    finally:
        gc.enable()


def test_where_the_system_gives_no_more_threads_those_it_gave_end(monkeypatch):
    start, left = threading.Thread.start, [2]

    def refusing(thread):
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refusing)
    made = stream(3)
    with pytest.raises(RuntimeError, match="new thread"):
        list(convoy(made, steps(made)))
