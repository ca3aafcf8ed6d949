"""The laws of a step, on tiny networks."""

import pytest
import torch
from training_tools import CPU, GAN, PLAIN, FixedFeed, gradients, louder, tables_of, tiny, weights

from srcli.errors import ConfigError
from srcli.io.checkpoints import read_checkpoint, write_checkpoint
from srcli.services.training.assembly import build_optimizer
from srcli.training.config import OptimizerSpec
from srcli.training.guard import Verdict
from srcli.training.loop import accumulate, train
from srcli.training.state import capture, restore

STEADY = {"schedule": {"kind": "constant", "warmup_steps": 0}}
PRESETS = ["psnr", "srgan", "esrgan", "realesrgan", "content-style"]


def gradient_of(tables, vgg=None, parts=1, patch_px=64, batch=4, **training):
    trained = tiny(tables, vgg=vgg, patch_px=patch_px, batch=batch, **training)
    feed = FixedFeed(batch=batch, parts=parts, patch_px=patch_px)
    accumulate(trained, feed.pairs(), parts)
    return trained, gradients(trained.network)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("preset", PRESETS)
def test_every_term_of_every_preset_changes_the_generators_gradient(preset, precision, vgg):
    tables, size = tables_of(preset), {"patch_px": 32, "batch": 2, "precision": precision}
    _, whole = gradient_of(tables, vgg, **size)
    assert whole.isfinite().all() and whole.any()
    for term in tables["losses"]:
        _, other = gradient_of(louder(tables, term), vgg, **size)
        assert not torch.equal(whole, other), term


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("preset", ["srgan", "esrgan", "realesrgan"])
def test_every_weight_of_the_discriminator_learns(preset, precision, vgg):
    trained, _ = gradient_of(tables_of(preset), vgg, patch_px=32, batch=2, precision=precision)
    for name, parameter in trained.adversary.discriminator.named_parameters():
        # Relativistic losses compare logits: what all of them have in common does not matter.
        if (preset, name) != ("esrgan", "linear2.bias"):
            assert parameter.grad is not None and parameter.grad.any(), name


@pytest.mark.parametrize(
    "tables",
    [
        PLAIN,
        GAN,
        {
            "losses": {
                "p": {"kind": "pixel", "criterion": "charbonnier"},
                "tv": {"kind": "power-variation"},
            }
        },
        {
            **GAN,
            "losses": {"gan": {"kind": "adversarial", "formula": "srgan", "reduction": "sum"}},
            "discriminator": {"kind": "patch", "channels": 4, "norm": "instance"},
        },
    ],
    ids=["pixel", "gan", "mixture", "srgan-sum"],
)
def test_micro_batches_add_up_to_the_large_batch(tables):
    for whole, parted in zip(exact_gradients(tables, 1), exact_gradients(tables, 4), strict=True):
        torch.testing.assert_close(parted, whole, rtol=1e-6, atol=1e-9)


def exact_gradients(tables, parts):
    """Of generator and discriminator, in float64."""
    trained, feed = tiny(tables), FixedFeed(parts=parts)
    feed.low, feed.high = feed.low.double(), feed.high.double()
    networks = [trained.network.double()]
    if trained.adversary is not None:
        # Still: the estimate of a spectral norm is refined by each pass in training.
        networks.append(trained.adversary.discriminator.double().eval())
    accumulate(trained, feed.pairs(), parts)
    return [gradients(network) for network in networks]


def test_steps_lower_the_loss():
    trained = tiny({**PLAIN, "optimizer": {"learning_rate": 5e-3}})
    totals = [report.losses.total.item() for report in train(trained, FixedFeed())]
    assert trained.step == len(totals) == 20
    assert totals[-1] < 0.5 * totals[0]


def test_a_step_without_clipping_is_that_of_adam_written_out():
    trained = tiny({**PLAIN, **STEADY})
    before = weights(trained.network).double()
    accumulate(trained, FixedFeed().pairs(), 1)
    gradient = gradients(trained.network).double()
    next(
        train(
            tiny_again := tiny({**PLAIN, **STEADY}),
            FixedFeed(),
        )
    )
    # After one step both of Adam's corrected averages are the gradient (squared) itself.
    expected = before - 1e-4 * gradient / (gradient.abs() + 1e-8)
    torch.testing.assert_close(weights(tiny_again.network).double(), expected, rtol=0, atol=1e-7)


def test_a_gradient_is_clipped_to_its_norm():
    tables = {**PLAIN, **STEADY, "optimizer": {"learning_rate": 0.5}}
    trained = tiny(tables, gradient_clip=1e-3)
    trained.optimizer = torch.optim.SGD(trained.network.parameters(), lr=0.5)
    before = weights(trained.network)
    report = next(train(trained, FixedFeed()))
    moved = (weights(trained.network) - before).norm()
    assert report.gradient_norm > 1e-3
    torch.testing.assert_close(moved, torch.tensor(0.5e-3), rtol=1e-3, atol=0)


def test_only_the_discriminator_learns_in_its_warmup():
    tables = {**GAN, "adversary": {"warmup_steps": 2}}
    trained = tiny(tables)
    generator = weights(trained.network)
    discriminator = weights(trained.adversary.discriminator)
    steps = train(trained, FixedFeed())
    reports = [next(steps), next(steps)]
    assert torch.equal(weights(trained.network), generator)
    assert not torch.equal(weights(trained.adversary.discriminator), discriminator)
    assert [report.losses for report in reports] == [None, None]
    next(steps)
    assert not torch.equal(weights(trained.network), generator)


def test_a_step_that_is_not_finite_leaves_all_weights_as_they_are():
    trained, feed = tiny(GAN), FixedFeed(spoiled=frozenset({2}))
    steps = train(trained, feed)
    next(steps)
    before = [weights(trained.network), weights(trained.adversary.discriminator)]
    moments = [value["exp_avg"].clone() for value in trained.optimizer.state.values()]
    assert next(steps).verdict is Verdict.SKIPPED
    after = [weights(trained.network), weights(trained.adversary.discriminator)]
    assert all(map(torch.equal, before, after))
    still = [value["exp_avg"] for value in trained.optimizer.state.values()]
    assert all(map(torch.equal, moments, still))
    assert next(steps).verdict is Verdict.TAKEN


def test_the_guard_lowers_the_rate_of_the_next_steps():
    tables = {**PLAIN, "guard": {"patience": 1}, **STEADY}
    feed = FixedFeed(spoiled=frozenset({1, 2}))
    steps = train(tiny(tables), feed)
    reports = [next(steps) for _ in range(3)]
    verdicts = [report.verdict for report in reports]
    assert verdicts == [Verdict.SKIPPED, Verdict.LOWERED, Verdict.TAKEN]
    assert reports[2].rate == pytest.approx(0.5 * reports[0].rate)


def test_out_of_memory_puts_the_batch_through_in_more_parts():
    trained, notes, feed = tiny(PLAIN), [], FixedFeed()
    plain = trained.forward

    def small_device(low):
        if len(low) > 1:
            raise torch.OutOfMemoryError
        return plain(low)

    trained.forward = small_device
    expected, unhurt = tiny(PLAIN), FixedFeed()
    report = next(train(trained, feed, on_note=notes.append))
    next(train(expected, unhurt))
    assert feed.parts == 4 and notes[-1].endswith("in 4 parts")
    assert report.verdict is Verdict.TAKEN
    torch.testing.assert_close(
        weights(trained.network), weights(expected.network), rtol=0, atol=2e-6
    )


BALANCES = {
    "static": {"kind": "static"},
    "adaptive-gan": {"kind": "adaptive-gan", "refresh_steps": 2},
    "dwa": {"kind": "dwa", "window_steps": 2},
    "uncertainty": {"kind": "uncertainty"},
}


@pytest.mark.parametrize("balance", BALANCES.values(), ids=BALANCES)
@pytest.mark.parametrize("formula", ["bce", "relativistic"])
def test_a_run_that_was_resumed_has_the_same_bits(balance, formula, tmp_path):
    realism = {"kind": "adversarial", "formula": formula}
    if formula == "relativistic":
        realism["halved"] = True
    losses = {"pixel": {"kind": "pixel"}, "luma": {"kind": "pixel", "channels": "luma"}}
    tables = {
        **GAN,
        "losses": {**losses, "realism": realism},
        "balance": balance,
        "discriminator": {"kind": "vgg", "channels": 4},
    }
    straight = tiny(tables, steps=7)
    list(train(straight, FixedFeed()))
    broken = tiny(tables, steps=7)
    steps = train(broken, FixedFeed())
    for _ in range(3):
        next(steps)
    write_checkpoint(tmp_path / "half.pt", capture(broken))
    resumed = tiny(tables, steps=7)
    restore(resumed, read_checkpoint(tmp_path / "half.pt"))
    list(train(resumed, FixedFeed()))
    assert_same(capture(resumed), capture(straight))


def assert_same(ours, theirs, place=""):
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), place
        for name, value in ours.items():
            assert_same(value, theirs[name], f"{place}.{name}")
    elif isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), place
    elif isinstance(ours, list | tuple):
        for number, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(mine, other, f"{place}[{number}]")
    else:
        assert ours == theirs, place


@pytest.mark.parametrize(
    ("tables", "complaint"),
    [(GAN, "another discriminator"), ({**PLAIN, "balance": {"kind": "static"}}, "")],
)
def test_a_checkpoint_of_another_kind_is_refused(tables, complaint):
    state = capture(tiny(PLAIN))
    if complaint:
        with pytest.raises(ConfigError, match=complaint):
            restore(tiny(tables), state)
    with pytest.raises(ConfigError, match="another architecture"):
        restore(tiny(tables, scale=2), state)


def test_the_fused_optimiser_is_the_plain_one():
    torch.manual_seed(0)
    start, gradient = torch.randn(50, dtype=torch.float64), torch.randn(50, dtype=torch.float64)
    results = []
    for make in (
        lambda parameters: build_optimizer(OptimizerSpec(weight_decay=0.1), parameters, CPU),
        lambda parameters: torch.optim.Adam(
            parameters, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.1, foreach=False
        ),
    ):
        parameter = torch.nn.Parameter(start.clone())
        optimizer = make([parameter])
        for _ in range(3):
            parameter.grad = gradient.clone()
            optimizer.step()
        results.append(parameter.detach())
    torch.testing.assert_close(*results, rtol=1e-12, atol=0)
