"""Stages at work at the same time, and the gate that bounds their memory."""

import threading
import time
from itertools import count

import pytest

from srcli.services.gate import Gate
from srcli.services.pipeline import GroupStage, Stage, run_stages
from srcli.services.stop import Stop


def passing(parcel):
    return True


def stages(*workers):
    return [Stage(str(place), [worker]) for place, worker in enumerate(workers)]


def test_every_parcel_goes_through_every_stage_once():
    seen = [[], [], []]
    adding = [Stage("s", [lambda n, here=here: not here.append(n)] * 3) for here in seen]
    ended = list(run_stages(iter(range(100)), adding, Stop()))
    assert sorted(ended) == list(range(100))
    assert all(sorted(here) == list(range(100)) for here in seen)


def test_a_parcel_that_ends_early_skips_the_stages_after():
    later = []
    lines = stages(lambda n: n % 2 == 0, lambda n: not later.append(n))
    assert sorted(run_stages(iter(range(10)), lines, Stop())) == list(range(10))
    assert later == [0, 2, 4, 6, 8]


def test_stages_work_at_the_same_time():
    both_are_in = threading.Barrier(2, timeout=10)  # breaks unless two stages meet in it
    lines = stages(lambda n: n > 0 or both_are_in.wait() >= 0, passing)
    lines[1] = Stage("late", [lambda n: n == 0 or both_are_in.wait() >= 0])
    assert sorted(run_stages(iter([1, 0]), lines, Stop())) == [0, 1]


def test_no_more_is_taken_than_fits_in_the_short_queues():
    taken, first, go_on = [], threading.Event(), threading.Event()
    parcels = (taken.append(n) or n for n in range(50))

    def slow(parcel):
        first.set()
        return go_on.wait(10)

    def look():
        first.wait(10)
        time.sleep(0.2)
        most.append(len(taken))
        go_on.set()

    most = []
    watcher = threading.Thread(target=look)
    watcher.start()
    list(run_stages(parcels, stages(passing, slow), Stop()))
    watcher.join()
    assert most[0] <= 4  # one in the slow stage, one in its queue, one waiting to get in


def test_stopping_takes_nothing_new_but_lets_through_what_is_under_way():
    stop = Stop()
    lines = stages(passing, passing, lambda n: stop.set() is None)
    ended = list(run_stages(count(), lines, stop))
    assert ended == list(range(len(ended))) and len(ended) < 12


def test_leaving_early_stops_the_threads():
    before = {*threading.enumerate()}
    lines = run_stages(count(), stages(passing, passing), Stop())
    next(lines)
    lines.close()
    assert before >= {*threading.enumerate()}


@pytest.mark.parametrize("broken", [0, 1, 2, "feed"])
def test_a_bug_in_any_thread_is_raised_where_the_work_was_asked_for(broken):
    def worker(place):
        return lambda n: 1 / 0 if place == broken and n == 5 else True

    feed = (1 / 0 if broken == "feed" and n == 5 else n for n in range(1000))
    with pytest.raises(ZeroDivisionError):
        list(run_stages(feed, stages(*map(worker, range(3))), Stop()))


def test_the_gate_never_holds_more_than_its_limit_unless_one_alone_is_larger():
    gate, lock, inside, most = Gate(100), threading.Lock(), [], []

    def visit(size):
        gate.enter(size)
        with lock:
            inside.append(size)
            most.append((sum(inside), len(inside)))
        time.sleep(0.002)
        with lock:
            inside.remove(size)
        gate.leave(size)

    threads = [threading.Thread(target=visit, args=(n,)) for n in [30, 60, 250, 10, 90] * 6]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(most) == 30
    assert all(total <= 100 or number == 1 for total, number in most)


def test_the_gate_lets_a_large_one_in_before_small_ones_that_came_later():
    gate, entered = Gate(100), []
    gate.enter(50)

    def visit(size):
        gate.enter(size)
        entered.append(size)
        gate.leave(size)

    large = threading.Thread(target=visit, args=(80,))
    large.start()
    time.sleep(0.1)
    small = threading.Thread(target=visit, args=(10,))
    small.start()
    time.sleep(0.1)
    gate.leave(50)
    large.join(10), small.join(10)
    assert entered == [80, 10]


def test_a_stage_takes_those_together_that_belong_together_and_the_oldest_first():
    groups, has_begun, all_wait = [], threading.Event(), threading.Event()

    def work(parcels):
        has_begun.set()
        all_wait.wait(10)
        groups.append(list(parcels))
        return parcels

    def feed():
        yield 1
        has_begun.wait(10)
        yield from [11, 2, 21, 12, 31, 41]
        time.sleep(0.2)
        all_wait.set()

    group = GroupStage(
        "group",
        [work],
        belongs=lambda one, other: one % 10 == other % 10,
        most=lambda n: 3,
        queue=8,
    )
    ended = list(run_stages(feed(), [Stage("first", [passing]), group], Stop()))
    assert sorted(ended) == [1, 2, 11, 12, 21, 31, 41]
    assert groups == [[1], [11, 21, 31], [2, 12], [41]]


def test_a_bug_in_choosing_who_belongs_together_is_raised_and_nobody_waits_for_ever():
    def bug(parcel):
        raise ValueError("how many?")

    together = GroupStage("together", [list], belongs=lambda one, other: True, most=bug)
    lines = [*stages(passing), together, *stages(passing)]
    before = {*threading.enumerate()}
    with pytest.raises(ValueError, match="how many"):
        list(run_stages(iter(range(30)), lines, Stop()))
    assert before >= {*threading.enumerate()}


def test_a_bug_in_what_is_fed_is_raised():
    def parcels():
        yield 0
        raise ValueError("of the feed")

    with pytest.raises(ValueError, match="of the feed"):
        list(run_stages(parcels(), stages(passing, passing), Stop()))


def test_threads_that_cannot_be_started_leave_none_that_goes_on(monkeypatch):
    start, begun = threading.Thread.start, []

    def refuse(thread):
        if len(begun) == 2:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    taken = []
    parcels = (taken.append(n) or time.sleep(0.01) or n for n in range(1000))
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError):
        next(run_stages(parcels, [Stage("all", [lambda parcel: False] * 3)], Stop()))
    for thread in begun:
        thread.join(5)
    assert len(taken) < 1000
