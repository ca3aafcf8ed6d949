import torch

from srcli.losses.adversarial import DiscriminatorReport
from srcli.training.guard import Guard, Verdict
from srcli.training.watch import PATIENCE, Watch

T, S = Verdict.TAKEN, Verdict.SKIPPED


def judged(guard, *steps):
    return [guard.judge(is_finite=good) for good in steps]


def test_bad_steps_are_skipped_then_the_rate_falls_then_back_then_stop():
    guard = Guard(patience=2)
    assert judged(guard, *[False] * 9) == [
        *(S, S, Verdict.LOWERED),
        *(S, S, Verdict.ROLLED_BACK),
        *(S, S, Verdict.STOPPED),
    ]
    assert (guard.rate_factor, guard.skipped) == (0.5, 9)


def test_single_bad_steps_among_good_ones_are_only_skipped():
    guard = Guard(patience=2, recovery_steps=5)
    assert judged(guard, True, False, False, True, False, True) == [T, S, S, T, S, T]
    assert guard.rate_factor == 1.0


def test_measures_start_over_after_enough_good_steps_but_the_rate_stays_low():
    guard = Guard(patience=0, recovery_steps=3)
    assert judged(guard, False, True, True, True, False) == [
        *(Verdict.LOWERED, T, T, T),
        Verdict.LOWERED,
    ]
    assert guard.rate_factor == 0.25


def test_a_guard_goes_on_from_its_state():
    guard, other = Guard(patience=1), Guard(patience=1)
    judged(guard, False, False, False)
    other.load_state_dict(guard.state_dict())
    assert judged(other, False) == judged(guard, False) == [Verdict.ROLLED_BACK]


def observed(watch, shift, real, restored, steps=PATIENCE):
    target = torch.full((1, 3, 4, 4), 0.5)
    moved = target + torch.tensor(shift).view(1, 3, 1, 1) / 255
    logits = DiscriminatorReport(
        torch.tensor(1.0), *(torch.tensor(value) for value in (real, restored))
    )
    for _ in range(steps):
        watch.observe(moved, target, logits)
    return watch.warnings()


def test_colours_that_drift_are_reported_once_with_their_direction():
    watch = Watch(drift_levels=3.0)
    (warning,) = observed(watch, [0.0, 5.0, -1.0], 1.0, -1.0)
    assert "+0.0, +5.0, -1.0 levels" in warning
    assert observed(watch, [0.0, 5.0, -1.0], 1.0, -1.0) == []


def test_a_discriminator_that_sees_no_difference_has_collapsed():
    (warning,) = observed(Watch(drift_levels=3.0), [0.0] * 3, 0.3, 0.3)
    assert "collapsed" in warning


def test_a_discriminator_that_is_sure_has_won():
    (warning,) = observed(Watch(drift_levels=3.0), [0.0] * 3, 20.0, -20.0)
    assert "won" in warning


def test_a_healthy_run_has_no_warnings():
    assert observed(Watch(drift_levels=3.0), [1.0, -1.0, 0.5], 1.0, -0.5) == []
