import math

import pytest
import torch
from torch import nn

from srcli.errors import ConfigError
from srcli.losses.adversarial import AdversarialLoss
from srcli.losses.balance import (
    AdaptiveGanBalance,
    DynamicWeightAverage,
    StaticBalance,
    UncertaintyBalance,
)
from srcli.losses.pixel import PixelLoss
from srcli.losses.schedule import CosineSchedule, LinearSchedule, StepSchedule, weight_at
from srcli.losses.stack import LossStack, Term

ONES = {"pixel": 1.0, "perceptual": 1.0, "realism": 1.0}


def scalars(**values):
    return {name: torch.tensor(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (0.5, [0.5, 0.5, 0.5, 0.5, 0.5]),
        (LinearSchedule(start=1.0, stop=3.0, from_step=10, to_step=20), [1, 1, 2, 3, 3]),
        (
            CosineSchedule(start=1.0, stop=3.0, from_step=10, to_step=20),
            [1, 1, 2, 3, 3],
        ),
        (StepSchedule(steps=(10, 20), weights=(1.0, 2.0, 4.0)), [1, 2, 2, 4, 4]),
    ],
)
def test_a_weight_is_a_function_of_the_step(weight, expected):
    assert [weight_at(weight, step) for step in (0, 10, 15, 20, 99)] == pytest.approx(expected)


def test_a_cosine_goes_slowly_at_both_ends():
    schedule = CosineSchedule(start=0.0, stop=1.0, to_step=8)
    assert weight_at(schedule, 2) == pytest.approx((1 - math.cos(math.pi / 4)) / 2)


class Slopes:
    """A last layer of two weights whose terms have known gradients there."""

    def __init__(self):
        self.last_layer = nn.Parameter(torch.tensor([1.0, 1.0]))

    def raw(self, content, adversarial):
        content = torch.tensor(content) @ self.last_layer
        return {"pixel": content, "realism": torch.tensor(adversarial) @ self.last_layer}


def test_the_adaptive_factor_is_the_ratio_of_gradient_norms():
    slopes = Slopes()
    balance = AdaptiveGanBalance(slopes.last_layer, "realism", maximum=1e4, eps=1e-4)
    raw = slopes.raw([3.0, 4.0], [0.0, 2.0])  # norms 5 and 2
    factor = balance.factors(raw, {"pixel": 0.5, "realism": 7.0}, step=0).of["realism"]
    assert factor.item() == pytest.approx(0.5 * 5 / (2 + 1e-4))


def test_the_adaptive_factor_is_clamped_smoothed_and_refreshed_every_few_steps():
    slopes = Slopes()
    balance = AdaptiveGanBalance(slopes.last_layer, "realism", smoothing=0.9, refresh_steps=2)
    strong, weak = slopes.raw([4.0, 0.0], [2.0, 0.0]), slopes.raw([1.0, 0.0], [2.0, 0.0])
    weights = {"pixel": 1.0, "realism": 1.0}
    factors = [
        balance.factors(raw, weights, step=step).of["realism"].item()
        for step, raw in enumerate([strong, weak, weak, strong])
    ]
    smoothed = 0.9 * 1 + 0.1 * (1 / (2 + 1e-4))  # the first ratio, 2, is clamped to 1
    assert factors == pytest.approx([1, 1, smoothed, smoothed], rel=1e-5)


def test_the_adaptive_factor_survives_a_batch_that_is_not_finite():
    slopes = Slopes()
    balance = AdaptiveGanBalance(slopes.last_layer, "realism", refresh_steps=1)
    weights = {"pixel": 1.0, "realism": 1.0}
    before = balance.factors(slopes.raw([1.0, 0.0], [2.0, 0.0]), weights, step=0).of["realism"]
    bad = slopes.raw([torch.nan, 0.0], [2.0, 0.0])
    assert balance.factors(bad, weights, step=1).of["realism"] == before


def test_a_first_ratio_that_is_not_finite_is_not_averaged_in():
    slopes = Slopes()
    balance = AdaptiveGanBalance(slopes.last_layer, "realism", maximum=10.0, refresh_steps=1)
    batches = slopes.raw([math.nan, 0.0], [2.0, 0.0]), slopes.raw([4.0, 0.0], [2.0, 0.0])
    factors = [balance.factors(raw, ONES, step=step) for step, raw in enumerate(batches)]
    assert [each.of["realism"].item() for each in factors] == pytest.approx([0, 2], rel=1e-3)


def test_small_gradients_of_fp16_are_not_lost():
    generator = nn.Conv2d(3, 3, kernel_size=3, padding=1)
    with torch.autocast("cpu", torch.float16):
        restored = generator(torch.rand(2, 3, 64, 64))
        value = nn.Conv2d(3, 1, kernel_size=3)(restored).float().mean()
    balance = AdaptiveGanBalance(generator.weight, "realism", maximum=1e9, eps=0.0)
    raw = {"pixel": value, "realism": value * 1e-4}  # as of a discriminator that is sure
    factor = balance.factors(raw, {"pixel": 1.0, "realism": 1.0}, step=0).of["realism"]
    assert factor.item() == pytest.approx(1e4, rel=0.02)


def test_large_gradients_of_fp16_are_not_lost():
    generator = nn.Conv2d(3, 3, kernel_size=3, padding=1)
    with torch.autocast("cpu", torch.float16):
        restored = generator(torch.rand(2, 3, 64, 64))
    value = restored.float().sum()  # thousands at each weight
    balance = AdaptiveGanBalance(generator.weight, "realism", maximum=1e9, eps=0.0)
    raw = {"pixel": value, "realism": value / 4}
    factor = balance.factors(raw, {"pixel": 1.0, "realism": 1.0}, step=0).of["realism"]
    assert factor.item() == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize("slope", [(math.inf, 2.0), (2.0, math.inf)], ids=["content", "realism"])
def test_a_gradient_that_is_infinite_moves_no_factor(slope):
    slopes = Slopes()
    balance = AdaptiveGanBalance(slopes.last_layer, "realism", refresh_steps=1)
    before = balance.factors(slopes.raw([1.0, 0.0], [2.0, 0.0]), ONES, step=0).of["realism"]
    content, adversarial = slope
    bad = slopes.raw([content, 0.0], [adversarial, 0.0])
    assert balance.factors(bad, ONES, step=1).of["realism"] == before


def test_the_gradient_is_averaged_over_processes_before_its_norm():
    slopes = Slopes()
    balance = AdaptiveGanBalance(slopes.last_layer, "realism", eps=0.0, average=lambda g: g / 4)
    raw = slopes.raw([1.0, 0.0], [2.0, 0.0])
    factor = balance.factors(raw, {"pixel": 1.0, "realism": 1.0}, step=0).of["realism"]
    assert factor.item() == pytest.approx(0.5)


def run_dwa(balance, windows, *, first=0):
    """Two steps per window; the factors at the last step."""
    factors = {}
    for number, (pixel, perceptual) in enumerate(windows, start=first):
        for step in (2 * number, 2 * number + 1):
            raw = scalars(pixel=pixel, perceptual=perceptual)
            factors = balance.factors(raw, ONES, step=step).of
    return {name: value.item() for name, value in factors.items()}


def dwa():
    return DynamicWeightAverage(["pixel", "perceptual"], window_steps=2, temperature=2.0)


def test_dwa_averages_over_processes_where_the_terms_are():
    places = []

    def average(sums):
        places.append(sums.device.type)
        return sums

    dwa = DynamicWeightAverage(["pixel"], window_steps=1, average=average)
    dwa.load_state_dict({"window": 0, "sums": torch.ones(2, 1), "means": []})  # of a file
    dwa.factors({"pixel": torch.ones((), device="meta")}, ONES, step=1)
    assert places == ["meta"]


def test_dwa_is_equal_until_two_windows_are_full():
    assert run_dwa(dwa(), [(1.0, 1.0), (0.5, 0.9)]) == {}


def test_dwa_is_the_softmax_of_how_slowly_terms_fall():
    factors = run_dwa(dwa(), [(1.0, 1.0), (0.5, 0.9), (0.4, 0.8)])
    fast, slow = math.exp(0.5 / 2), math.exp(0.9 / 2)
    expected = {"pixel": 2 * fast / (fast + slow), "perceptual": 2 * slow / (fast + slow)}
    assert factors == pytest.approx(expected)


def test_dwa_leaves_out_values_that_are_not_finite():
    balance = dwa()
    for step, pixel in enumerate([1.0, torch.nan, 0.5, torch.inf, 1.0]):
        raw = scalars(pixel=pixel, perceptual=1.0)
        factors = balance.factors(raw, ONES, step=step).of
    fast, slow = math.exp(0.5 / 2), math.exp(1 / 2)
    assert factors["pixel"].item() == pytest.approx(2 * fast / (fast + slow))


@pytest.mark.parametrize(
    ("likelihood", "formula"),
    [
        ("gaussian", lambda s, value: math.exp(-s) * value / 2 + s / 2),
        ("laplace", lambda s, value: math.exp(-s) * value + s),
    ],
)
def test_the_uncertainty_total_is_the_formula(likelihood, formula):
    balance = UncertaintyBalance(["a", "b"], likelihood=likelihood)
    with torch.no_grad():
        balance.log_variance.copy_(torch.tensor([0.3, -0.7]))
    losses = LossStack(
        balance, a=Term(PixelLoss("l1"), weight=2.0), b=Term(PixelLoss("mse"), weight=5.0)
    )
    total = losses(torch.full((1, 3, 2, 2), 0.5), torch.zeros(1, 3, 2, 2)).total
    expected = formula(0.3, 2 * 0.5) + formula(-0.7, 5 * 0.25)
    assert total.item() == pytest.approx(expected, rel=1e-6)


def test_the_uncertainty_learns_the_size_of_each_loss_within_its_limits():
    balance = UncertaintyBalance(["a", "b"], learning_rate=0.1)
    (optimizer,) = balance.optimizers()
    for _ in range(400):
        raw = scalars(a=2.0, b=1e-9)
        factors = balance.factors(raw, {"a": 1.0, "b": 1.0}, step=0)
        optimizer.zero_grad()
        (sum(factors.of[name] * raw[name] for name in raw) + factors.penalty).backward()
        optimizer.step()
    balance.factors(raw, {"a": 1.0, "b": 1.0}, step=0)
    # The minimum of exp(-s)·L + s is at s = log L; log(1e-9) is beyond the limit.
    assert balance.log_variance.tolist() == pytest.approx([math.log(2), -5], abs=1e-2)


@pytest.mark.parametrize("make", [DynamicWeightAverage, UncertaintyBalance])
def test_the_adversarial_term_is_refused_where_only_content_can_be_balanced(make):
    terms = {"pixel": Term(PixelLoss()), "realism": Term(AdversarialLoss(nn.Flatten()))}
    with pytest.raises(ConfigError, match="cannot balance realism, only content terms"):
        LossStack(make(["pixel", "realism"]), **terms)
    with pytest.raises(ConfigError, match="cannot balance unknown"):
        LossStack(make(["pixel", "unknown"]), **terms)


def test_the_adaptive_balance_refuses_a_content_term():
    balance = AdaptiveGanBalance(nn.Parameter(torch.ones(1)), "pixel")
    with pytest.raises(ConfigError, match="only adversarial terms"):
        LossStack(balance, pixel=Term(PixelLoss()), other=Term(PixelLoss("mse")))


def test_a_factor_multiplies_the_weight_of_its_term():
    network = nn.Conv2d(3, 3, 1)
    balance = AdaptiveGanBalance(network.weight, "realism")
    losses = LossStack(
        balance, pixel=Term(PixelLoss()), realism=Term(AdversarialLoss(nn.Flatten()), weight=0.1)
    )
    report = losses(network(torch.rand(1, 3, 4, 4)), torch.rand(1, 3, 4, 4))
    factor = balance.state_dict()["factor"]
    assert 0 < factor <= 1
    realism = report.terms["realism"]
    torch.testing.assert_close(realism.weighted, 0.1 * factor * realism.raw)


class Run:
    """A tiny training with one balance."""

    def __init__(self, kind):
        torch.manual_seed(1)
        self.network = nn.Conv2d(3, 3, 3, padding=1)
        balance = {
            "static": StaticBalance,
            "dwa": lambda: DynamicWeightAverage(["pixel", "square"], window_steps=2),
            "uncertainty": lambda: UncertaintyBalance(["pixel", "square"]),
            "adaptive-gan": lambda: AdaptiveGanBalance(
                self.network.weight, "realism", refresh_steps=3
            ),
        }[kind]()
        critic = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
        self.losses = LossStack(
            balance,
            pixel=Term(PixelLoss()),
            square=Term(PixelLoss("mse"), LinearSchedule(start=0.1, stop=1.0, to_step=5)),
            realism=Term(AdversarialLoss(critic), weight=0.1),
        )
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.1)

    def go(self, steps):
        for step in steps:
            images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(step))
            optimizers = (self.optimizer, *self.losses.optimizers())
            for optimizer in optimizers:
                optimizer.zero_grad()
            self.losses(self.network(images), images, step=step).total.backward()
            for optimizer in optimizers:
                optimizer.step()
        return self


@pytest.mark.parametrize("kind", ["static", "dwa", "uncertainty", "adaptive-gan"])
def test_a_run_that_is_stopped_and_resumed_is_the_run_that_was_not(kind, tmp_path):
    whole, first, second = Run(kind).go(range(11)), Run(kind).go(range(5)), Run(kind)
    torch.save([first.network.state_dict(), first.losses.state_dict()], tmp_path / "state")
    network, losses = torch.load(tmp_path / "state", weights_only=True)
    second.network.load_state_dict(network)
    second.losses.load_state_dict(losses)
    second.go(range(5, 11))
    assert torch.equal(second.network.weight, whole.network.weight)


def test_the_state_of_another_balance_is_refused():
    with pytest.raises(ConfigError, match="by dwa"):
        Run("uncertainty").losses.load_state_dict(Run("dwa").losses.state_dict())
