import math

import pytest
import torch
from torch import nn

from srcli.training.ema import WeightAverage
from srcli.training.schedule import (
    ConstantSchedule,
    CosineSchedule,
    MultistepSchedule,
    rate_at,
    warmup_of,
)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (ConstantSchedule(warmup_steps=0), {0: 1.0, 5: 1.0, 9: 1.0}),
        (ConstantSchedule(warmup_steps=3), {0: 0.25, 1: 0.5, 2: 0.75, 3: 1.0, 9: 1.0}),
        (CosineSchedule(final_rate=0.2, warmup_steps=0), {0: 1.0, 9: 0.2}),
        (CosineSchedule(final_rate=0.0, warmup_steps=1), {0: 0.5, 1: 1.0, 5: 0.5, 9: 0.0}),
        (
            MultistepSchedule(milestone_steps=(2, 5), warmup_steps=0),
            {0: 1.0, 1: 1.0, 2: 0.5, 4: 0.5, 5: 0.25},
        ),
        (MultistepSchedule(milestone_steps=(4,), factor=0.1, warmup_steps=0), {3: 1.0, 4: 0.1}),
    ],
)
def test_the_rate_of_a_step_is_a_table(schedule, expected):
    got = {step: rate_at(schedule, step, steps=10, rate=1.0) for step in expected}
    assert got == pytest.approx(expected)


def test_a_milestone_is_a_step_of_the_run_also_where_the_generator_begins_later():
    schedule = MultistepSchedule(milestone_steps=(20,), warmup_steps=4)
    got = [rate_at(schedule, step, steps=40, rate=1.0, first=10) for step in (0, 9, 10, 14, 19, 20)]
    assert got == pytest.approx([0.2, 0.2, 0.2, 1.0, 1.0, 0.5])


def test_a_schedule_that_begins_later_is_that_of_the_shorter_run():
    schedule = CosineSchedule(final_rate=0.1, warmup_steps=3)
    late = [rate_at(schedule, step, steps=30, rate=1.0, first=10) for step in range(10, 30)]
    assert late == [rate_at(schedule, step, steps=20, rate=1.0) for step in range(20)]


@pytest.mark.parametrize(("steps", "warmup"), [(10, 0), (300, 15), (5000, 100)])
def test_the_warmup_of_itself_is_a_twentieth_of_the_run(steps, warmup):
    schedule = ConstantSchedule()
    assert warmup_of(schedule, steps) == warmup
    assert rate_at(schedule, warmup, steps=steps, rate=1.0) == 1.0
    assert warmup == 0 or rate_at(schedule, 0, steps=steps, rate=1.0) == 1 / (warmup + 1)


def test_the_cosine_is_the_cosine():
    for step in range(11):
        expected = 1e-7 + (2e-4 - 1e-7) * (1 + math.cos(math.pi * step / 10)) / 2
        assert rate_at(CosineSchedule(warmup_steps=0), step, steps=11, rate=2e-4) == pytest.approx(
            expected
        )


def test_the_average_is_the_weighted_sum_of_all_weights_so_far():
    network, decay, history = nn.Linear(1, 1, bias=False).double(), 0.9, []
    average = WeightAverage(network, decay)
    history.append(network.weight.item())
    for value in (3.0, -1.0, 7.0):
        nn.init.constant_(network.weight, value)
        average.update()
        history.append(value)
    expected = decay**3 * history[0] + sum(
        (1 - decay) * decay ** (3 - n) * history[n] for n in (1, 2, 3)
    )
    assert average.state_dict()["weight"].item() == pytest.approx(expected, rel=1e-12)


def test_the_average_is_lent_and_the_weights_come_back_whatever_happens():
    network = nn.Linear(2, 2)
    average = WeightAverage(network, 0.5)
    before = network.weight.detach().clone()
    nn.init.zeros_(network.weight)
    with pytest.raises(KeyError), average.applied():
        assert torch.equal(network.weight, before)
        raise KeyError
    assert not network.weight.any()
