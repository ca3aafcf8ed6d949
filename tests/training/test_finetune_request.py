"""The options of `srcli finetune` as a training file, without a run."""

from pathlib import Path

import pytest

from srcli.errors import ConfigError, UsageError
from srcli.services.training.networks import Sources
from srcli.services.training.preparation import RunOptions
from srcli.services.training.request import (
    FinetuneRequest,
    check_start,
    finetune,
    finetune_config,
    run_folder,
)

OFFLINE = RunOptions(sources=Sources(offline=True))
NETD = "realesrgan-x4plus-netd"


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SRCLI_HOME", str(tmp_path))


def config_of(**options):
    notes = []
    request = FinetuneRequest(folder=Path("photos"), **options)
    return finetune_config(request, OFFLINE, notes.append), notes


def test_options_replace_what_the_preset_says():
    config, _ = config_of(
        preset="esrgan", steps=7, batch=3, patch_px=128, learning_rate=1e-5, degradation="light"
    )
    training = config.training
    assert (training.steps, training.batch, training.patch_px) == (7, 3, 128)
    assert (config.optimizer.learning_rate, config.data.degradation) == (1e-5, "light")


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({}, "realesrgan-x4plus"),
        ({"scale": 4}, "realesrgan-x4plus"),
        ({"scale": 2}, "realesrgan-x2plus"),
        ({"model": "esrgan"}, "esrgan"),
    ],
)
def test_the_scale_chooses_the_weights_that_nobody_named(options, weights):
    assert config_of(preset="psnr", **options)[0].network.weights == weights


def test_a_scale_without_weights_asks_for_some():
    with pytest.raises(UsageError, match="no weights are known to start from at scale 3"):
        config_of(preset="psnr", scale=3)


def test_a_discriminator_that_cannot_be_had_starts_from_nothing_and_says_so():
    config, (note,) = config_of(preset="realesrgan")
    assert config.adversary.weights is None
    assert note.startswith("the discriminator starts from nothing: ") and NETD in note


def test_a_discriminator_belongs_to_the_weights_it_was_trained_against(monkeypatch):
    monkeypatch.setattr(Sources, "obtain", lambda self, name: name)
    assert config_of(preset="realesrgan")[0].adversary.weights == NETD
    config, (note,) = config_of(preset="realesrgan", model="esrgan")
    assert config.adversary.weights is None and "none was released for esrgan" in note


def test_losses_are_changed_added_and_taken_away_by_name():
    config, _ = config_of(preset="esrgan", losses=("adversarial=0", "pixel=0.5", "style=9"))
    weights = {name: spec.weight for name, spec in config.losses.items()}
    assert weights == {"perceptual": 1.0, "pixel": 0.5, "style": 9.0}
    assert config.discriminator is None and config.adversary is None


def test_given_low_pictures_leave_nothing_to_degrade():
    config, _ = config_of(preset="realesrgan", low=Path("low"))
    assert config.data.low == "low" and "degradation" not in config.data.model_fields_set


def test_an_impossible_option_is_an_error_with_its_place():
    with pytest.raises(ConfigError, match=r"the options: optimizer.learning_rate: "):
        config_of(preset="psnr", learning_rate=-1.0)


def test_a_run_has_the_name_of_its_pictures_and_a_number_if_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_folder(None, "cats", resume=False) == Path("runs/cats")
    (tmp_path / "runs/cats").mkdir(parents=True)
    assert run_folder(None, "cats", resume=False) == Path("runs/cats-2")
    (tmp_path / "runs/cats-2").mkdir()
    assert run_folder(None, "cats", resume=True) == Path("runs/cats-2")
    assert run_folder(Path("here"), "cats", resume=True) == Path("here")


def test_there_is_nothing_to_resume_where_no_run_is(tmp_path):
    request = FinetuneRequest(folder=tmp_path, output=tmp_path / "none")
    with pytest.raises(UsageError, match="holds no run to go on with"):
        finetune(request, RunOptions(resume=True))


def test_a_run_whose_settings_were_damaged_by_hand_is_not_gone_on_with(tmp_path):
    (tmp_path / "config.toml").write_text('network = {kind = "pretrained", weights = 5}', "utf-8")
    request = FinetuneRequest(folder=tmp_path, output=tmp_path, model="swift")
    with pytest.raises(ConfigError, match="network"):
        finetune(request, RunOptions(resume=True))


@pytest.mark.parametrize(
    ("model", "is_refused"),
    [(None, False), ("RealESRGAN_x4plus.pth", False), ("realesrnet-x4plus", True)],
)
def test_a_run_goes_on_from_its_own_weights_and_no_others(tmp_path, model, is_refused):
    network = {"kind": "pretrained", "weights": "realesrgan-x4plus"}
    if is_refused:
        with pytest.raises(UsageError, match="began with realesrgan-x4plus"):
            check_start({"network": network}, model, tmp_path)
    else:
        check_start({"network": network}, model, tmp_path)
