"""The judge: agreement with others, laws, and what becomes of bad input."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from srcli.degradations.names import Preset
from srcli.errors import ConfigError, ImageError, UnknownWeightsError, UsageError
from srcli.io.drift import ColorFix
from srcli.metrics.fidelity import Channels
from srcli.services.engine import Engine, EngineOptions
from srcli.services.evaluate import EvaluateRequest, evaluate
from srcli.services.levels import read_levels
from srcli.services.network import load_network
from srcli.services.scores import parse_channels, parse_metrics
from srcli.services.sizes import TargetSize
from srcli.services.upscale import PictureOptions, upscale_file

CPU = EngineOptions(device="cpu")


@pytest.fixture
def targets(tmp_path):
    """Three smooth colour pictures; sides are no multiples of four."""
    folder = tmp_path / "targets"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name, size in (("one", (61, 50)), ("two", (48, 66)), ("three", (70, 47))):
        coarse = Image.fromarray(generator.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def restored(targets):
    """The same with noise, under names with a scale."""
    folder = targets.parent / "restored"
    folder.mkdir()
    for path in targets.iterdir():
        levels = np.asarray(Image.open(path)).astype(int)
        noise = np.random.default_rng(1).integers(-9, 10, levels.shape)
        noisy = Image.fromarray((levels + noise).clip(0, 255).astype(np.uint8))
        noisy.save(folder / f"{path.stem}_x4.png")
    return folder


def run(**options):
    return evaluate(EvaluateRequest(engine=CPU, **options))


def scores(report, picture):
    (candidate,) = report.candidates
    (score,) = (each.scores for each in candidate.pictures if each.picture == picture)
    return score


def test_psnr_and_ssim_are_those_of_scikit_image(targets, restored):
    report = run(target=targets, restored=(restored,), channels=(Channels.RGB,), crop=3)
    first, second = (
        np.asarray(Image.open(path))[3:-3, 3:-3]
        for path in (restored / "one_x4.png", targets / "one.png")
    )
    psnr = peak_signal_noise_ratio(second, first)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    _, whole = structural_similarity(first, second, channel_axis=2, full=True, **settings)
    expected = {"psnr-rgb": psnr, "ssim-rgb": whole[5:-5, 5:-5].mean()}  # windows inside only
    assert scores(report, "one") == pytest.approx(expected, abs=1e-9)


def test_the_mean_is_over_pictures(targets, restored):
    (candidate,) = run(target=targets, restored=(restored,)).candidates
    each = [picture.scores["psnr-y"] for picture in candidate.pictures]
    assert candidate.means["psnr-y"] == pytest.approx(sum(each) / 3)


def test_targets_against_themselves_are_perfect_and_consistent(targets):
    report = run(target=targets, restored=(targets,), models=("bicubic",))
    perfect, _ = report.candidates
    assert perfect.means == {"psnr-y": np.inf, "ssim-y": 1.0, "consistency": np.inf}
    assert report.winners(report.columns[0]) == (str(targets),)


def test_a_network_is_judged_by_what_upscale_gives(targets, tiny_weights, tmp_path):
    """The same engine: scores of upscale's files equal those of the network itself."""
    low, made = tmp_path / "low", tmp_path / "made"
    low.mkdir(), made.mkdir()
    options = PictureOptions(size=TargetSize(scale=4), color_fix=ColorFix.OFF)
    engine = Engine(load_network(tiny_weights), CPU)
    for path in targets.iterdir():
        small = Image.open(path)
        small.resize((small.width // 4, small.height // 4)).save(low / path.name)
        upscale_file(engine, low / path.name, made / path.name, options)
    report = run(target=targets, low=low, restored=(made,), models=(str(tiny_weights),))
    files, network = report.candidates
    assert network.means == pytest.approx(dict(files.means), abs=1e-9)
    assert not network.failed


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_a_network_is_judged_at_other_scales_than_its_own(targets, tiny_weights, scale):
    report = run(target=targets, models=(str(tiny_weights), "nearest"), scale=scale)
    assert [candidate.failed for candidate in report.candidates] == [0, 0]
    assert f"to x{scale}" in report.candidates[0].description


def test_a_gray_picture_is_scored_as_it_is(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "gray.png")
    Image.fromarray(levels ^ 4).save(tmp_path / "other.png")
    target, other = tmp_path / "gray.png", tmp_path / "other.png"
    report = run(target=target, restored=(other,), crop=0)
    # Every level is 4 off; luma of a colour picture would make it 219/255 of that.
    assert scores(report, "gray")["psnr-y"] == pytest.approx(10 * np.log10(255**2 / 16))


def test_the_same_seed_makes_the_same_low_pictures(targets):
    options = {"target": targets, "models": ("bicubic",), "degradation": Preset.REALESRGAN}
    first, again, other = (run(**options, seed=seed).candidates[0].means for seed in (1, 1, 2))
    assert first == again != other


def test_a_target_may_have_rows_beyond_a_multiple_of_the_scale_but_not_more(targets, tmp_path):
    target = read_levels(targets / "one.png")
    for name, rows in (("near", 48), ("far", 45)):
        image = Image.fromarray(target[:, :rows, :60].permute(1, 2, 0).numpy())
        image.save(tmp_path / f"{name}.png")
    near = run(target=targets / "one.png", restored=(tmp_path / "near.png",))
    far = run(target=targets / "one.png", restored=(tmp_path / "far.png",))
    assert scores(near, "one")["psnr-y"] == np.inf
    (problem,) = far.candidates[0].pictures[0].problems
    assert isinstance(problem, ImageError) and "60 x 45" in str(problem)
    assert far.exit_code == 1


def test_a_missing_partner_is_named_and_the_rest_is_scored(targets, restored):
    (restored / "two_x4.png").rename(restored / "unknown.png")
    report = run(target=targets, restored=(restored,))
    (candidate,) = report.candidates
    assert (candidate.failed, report.exit_code) == (1, 1)
    assert [path.name for path in report.lonely] == ["unknown.png"]
    (problem,) = (each for picture in candidate.pictures for each in picture.problems)
    assert "two has no partner" in str(problem)
    assert candidate.means["psnr-y"] > 30


def test_a_candidate_that_left_pictures_out_cannot_win(targets, restored):
    for name in ("one", "two"):
        (restored / f"{name}_x4.png").unlink()
    report = run(target=targets, restored=(restored,), models=("bicubic", "nearest"))
    for column in report.columns:
        assert str(restored) not in report.winners(column)


def test_a_picture_too_small_for_one_metric_keeps_the_others(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (12, 12), (9, 9, len(name))).save(tmp_path / name)
    report = run(target=tmp_path / "a.png", restored=(tmp_path / "b.png",), crop=2)
    score = report.candidates[0].pictures[0]
    assert score.scores == {"psnr-y": np.inf, "ssim-y": None}
    assert "SSIM needs 11 x 11" in str(score.problems[0])


def test_a_metric_without_weights_is_left_out_with_a_remedy(
    targets, restored, monkeypatch, tmp_path
):
    monkeypatch.setenv("SRCLI_HOME", str(tmp_path / "empty"))
    request = EvaluateRequest(
        target=targets, restored=(restored,), metrics=("psnr", "lpips"), offline=True, engine=CPU
    )
    report = evaluate(request)
    assert [column.name for column in report.columns] == ["psnr-y"]
    assert "srcli weights pull alexnet" in report.unavailable["lpips"].hint
    assert report.exit_code == 3


def test_weights_that_are_unknown_leave_the_other_candidates(targets):
    report = run(target=targets, models=("no-such-model", "bicubic"))
    assert [candidate.name for candidate in report.candidates] == ["bicubic"]
    assert isinstance(report.unavailable["no-such-model"], UnknownWeightsError)
    assert report.exit_code == 3


def test_nothing_that_can_be_judged_is_an_error(targets):
    with pytest.raises(UnknownWeightsError):
        run(target=targets, models=("no-such-model",))
    with pytest.raises(UsageError, match="nothing to judge"):
        run(target=targets)


def test_consistency_without_low_pictures_says_what_to_name(targets, restored):
    report = run(target=targets, restored=(restored,), metrics=("psnr", "consistency"))
    assert "--low" in report.unavailable["consistency"].hint
    with pytest.raises(UsageError, match="low pictures"):
        run(target=targets, restored=(restored,), metrics=("consistency",))


@pytest.mark.parametrize(
    ("text", "phrase"), [("psnr,niqe", "pyiqa:niqe"), ("", "psnr"), ("pyiqa:", "pyiqa")]
)
def test_an_unknown_metric_is_told_with_the_known_ones(text, phrase):
    with pytest.raises(UsageError) as raised:
        parse_metrics(text)
    assert phrase in raised.value.hint


def test_metrics_and_channels_are_read_from_words():
    assert parse_metrics("PSNR, ssim,psnr,pyiqa:niqe") == ("psnr", "ssim", "pyiqa:niqe")
    assert parse_channels("y, rgb") == (Channels.Y, Channels.RGB)
    with pytest.raises(UsageError, match="not understood"):
        parse_channels("luma")


@pytest.mark.parametrize(("mode", "count"), [("FR", 2), ("NR", 1)])
def test_other_metrics_come_from_pyiqa(targets, restored, monkeypatch, mode, count):
    class Metric:
        metric_mode, lower_better = mode, True

        def __call__(self, *pictures):
            assert all(picture.shape[:2] == (1, 3) and picture.max() <= 1 for picture in pictures)
            return torch.tensor(float(len(pictures)))

    package = SimpleNamespace(
        list_models=lambda: ["some"], create_metric=lambda name, device: Metric(), __version__="9"
    )
    monkeypatch.setitem(sys.modules, "pyiqa", package)
    report = run(target=targets, restored=(restored,), metrics=("pyiqa:some",))
    assert report.candidates[0].means == {"pyiqa:some": count}
    assert not report.columns[0].is_higher_better
    assert "pyiqa 9" in report.protocol[0]


def test_without_pyiqa_its_metrics_name_the_package(targets, restored, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(ConfigError) as raised:
        run(target=targets, restored=(restored,), metrics=("pyiqa:niqe",))
    assert "pip install pyiqa" in raised.value.hint
