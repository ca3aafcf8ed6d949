import subprocess
import sys
import tomllib
from importlib.resources import files

import pytest
import torch
from torch import nn

from srcli.errors import ConfigError, UnavailableWeightsError
from srcli.losses.adversarial import AdversarialLoss
from srcli.losses.balance import AdaptiveGanBalance, DynamicWeightAverage, UncertaintyBalance
from srcli.losses.build import build_discriminator, build_losses
from srcli.losses.spec import KINDS, LossConfig
from srcli.losses.tables import parse_losses, with_weight
from srcli.models.discriminators import PatchDiscriminator, UNetDiscriminator, VGGDiscriminator

PRESETS = ["psnr", "srgan", "esrgan", "realesrgan", "content-style"]
PATCH_PX = {"esrgan": 128, "srgan": 64}  # what their discriminators take of a single picture
ADVERSARIAL = {"pixel": {"kind": "pixel"}, "realism": {"kind": "adversarial"}}


def tables_of(preset):
    return tomllib.loads(files("srcli.training").joinpath(f"presets/{preset}.toml").read_text())


def preset_config(preset):
    return parse_losses(loss_tables_of(preset), source=preset)


def loss_tables_of(preset):
    """A preset is a whole training file; these are its tables for the losses."""
    tables = tables_of(preset)
    return {name: tables[name] for name in LossConfig.model_fields if name in tables}


def build(config, network, vgg_weights):
    discriminator = build_discriminator(config.discriminator) if config.discriminator else None
    return build_losses(
        config, last_layer=network.weight, discriminator=discriminator, vgg=vgg_weights
    )


def parse(text):
    return parse_losses(tomllib.loads(text), source="run.toml")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_term_of_every_preset_changes_the_generators_gradient(preset, vgg_weights):
    network, side = nn.Conv2d(3, 3, 3, padding=1), PATCH_PX.get(preset, 32)
    losses = build(preset_config(preset), network, vgg_weights)
    low, target = torch.rand(1, 3, side, side), torch.rand(1, 3, side, side)
    restored = network(low)
    for term in losses.terms.values():
        (gradient,) = torch.autograd.grad(
            term.weight * term.loss(restored, target), network.weight, retain_graph=True
        )
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


@pytest.mark.parametrize("preset", ["psnr", "realesrgan", "content-style"])
def test_the_gradient_of_a_preset_is_the_sum_of_its_terms(preset, vgg_weights):
    network = nn.Conv2d(3, 3, 3, padding=1)
    losses = build(preset_config(preset), network, vgg_weights)
    for module in (term.loss for term in losses.terms.values()):
        module.eval()  # the estimate of a spectral norm stays as it is
    restored, target = network(torch.rand(1, 3, 32, 32)), torch.rand(1, 3, 32, 32)
    parts = [t.weight * t.loss(restored, target) for t in losses.terms.values()]
    (expected,) = torch.autograd.grad(sum(parts), network.weight, retain_graph=True)
    losses(restored, target).total.backward()
    torch.testing.assert_close(network.weight.grad, expected)


def test_the_presets_are_the_published_mixtures():
    weights = {
        preset: {name: spec.weight for name, spec in preset_config(preset).losses.items()}
        for preset in PRESETS
    }
    assert weights == {
        "psnr": {"pixel": 1.0},
        "srgan": {"perceptual": 1.0, "adversarial": 1e-3},
        "esrgan": {"pixel": 1e-2, "perceptual": 1.0, "adversarial": 5e-3},
        "realesrgan": {"pixel": 1.0, "perceptual": 1.0, "adversarial": 0.1},
        "content-style": {"pixel": 1.0, "perceptual": 0.05, "style": 120.0},
    }


def test_the_discriminators_of_the_presets_are_the_published_ones():
    kinds = {p: preset_config(p).discriminator for p in ("srgan", "esrgan", "realesrgan")}
    built = {preset: build_discriminator(spec) for preset, spec in kinds.items()}
    assert isinstance(built["srgan"], VGGDiscriminator)
    assert built["esrgan"].input_px == 128
    assert isinstance(built["realesrgan"], UNetDiscriminator)


def test_only_presets_that_look_at_features_need_vgg():
    needs = {preset: preset_config(preset).needs_vgg for preset in PRESETS}
    assert [preset for preset, needed in needs.items() if not needed] == ["psnr"]


def test_a_preset_without_the_weights_of_vgg_is_refused():
    config = preset_config("content-style")
    with pytest.raises(UnavailableWeightsError):
        build_losses(config, last_layer=nn.Parameter(torch.ones(1)))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[losses.pixel]\nkind='pixel'\nwieght=1.0", "losses.pixel.wieght: "),
        ("[losses.pixel]\nkind='pixel'\nweight='1'", "losses.pixel.weight: "),
        ("[losses.pixel]\nkind='pixel'\nweight=-1", "losses.pixel.weight: "),
        ("[losses.pixel]\nkind='pixel'\nweight=nan", "losses.pixel.weight: "),
        ("[losses.pixel]\nkind='pixel'\ncriterion='l2'", "losses.pixel.criterion: "),
        ("[losses.pixel]\nkind='pixle'", "losses.pixel: "),
        ("[losses.pixel]\nweight=1.0", "losses.pixel: "),
        ("[losses.p]\nkind='pixel'\nweight={kind='linear', start=0.0}", "losses.p.weight.stop: "),
        ("[losses.p]\nkind='pixel'\nweight={kind='line'}", "losses.p.weight: "),
        (
            "[losses.p]\nkind='pixel'\nweight={kind='step', steps=['5'], weights=[1, 2]}",
            "losses.p.weight.steps.0: ",
        ),
        ("[losses.f]\nkind='perceptual'\nlayers={conv9_9=1.0}", "no layer conv9_9"),
        ("[losses.f]\nkind='perceptual'\nlayers={}", "losses.f.layers: "),
        ("[losses.f]\nkind='perceptual'\npreset='esrgan'\nrescale=2.0", "losses.f: "),
        ("[losses.gan]\nkind='adversarial'", "losses.gan needs a table [discriminator]"),
        ("[losses.p]\nkind='pixel'\n[discriminator]\nkind='unet'", "needs an adversarial term"),
        ("[losses.p]\nkind='pixel'\n[balance]\nkind='dwa'", "dwa needs two terms"),
        ("[losses.p]\nkind='pixel'\n[balance]\nkind='adaptive-gan'", "adaptive-gan balances"),
        ("[losses]", "losses: "),
        (
            "[losses.p]\nkind='pixel'\nweight={kind='linear', start=0, stop=1, to_step=0}",
            "to_step must be after from_step",
        ),
        (
            "[losses.p]\nkind='pixel'\nweight={kind='step', steps=[5], weights=[1]}",
            "one more of weights",
        ),
    ],
)
def test_a_mistake_in_the_file_is_an_error_with_its_place(text, complaint):
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert "run.toml: " in str(caught.value)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("formula", ["relativistic", "bce"])
def test_the_hidden_half_must_be_said_where_it_can_be(formula):
    gan = {"kind": "adversarial", "formula": formula}
    missing = formula == "relativistic"
    wrong = gan if missing else {**gan, "halved": False}
    right = {**gan, "halved": True} if missing else gan
    unet = {"discriminator": {"kind": "unet"}}
    with pytest.raises(ConfigError, match="halved = true"):
        parse_losses({"losses": {"gan": wrong}, **unet}, source="run.toml")
    assert parse_losses({"losses": {"gan": right}, **unet}, source="run.toml")


@pytest.mark.parametrize(
    ("balance", "kind", "names"),
    [
        ({"kind": "adaptive-gan", "refresh_steps": 3}, AdaptiveGanBalance, ("realism",)),
        ({"kind": "dwa", "window_steps": 7}, DynamicWeightAverage, ("pixel", "luma")),
        ({"kind": "uncertainty", "likelihood": "gaussian"}, UncertaintyBalance, ("pixel", "luma")),
    ],
)
def test_a_balance_is_given_the_terms_it_may_touch(balance, kind, names):
    losses = {**ADVERSARIAL, "luma": {"kind": "pixel", "channels": "luma"}}
    tables = {"losses": losses, "discriminator": {"kind": "patch"}, "balance": balance}
    config = parse_losses(tables, source="run.toml")
    stack = build(config, nn.Conv2d(3, 3, 1), None)
    assert type(stack.balance) is kind
    assert stack.balance.names == names


def test_a_schedule_in_the_file_drives_its_weight(pictures):
    config = parse(
        "[losses.p]\nkind='pixel'\nweight={kind='linear', start=1, stop=0.5, to_step=10}"
    )
    stack = build(config, nn.Conv2d(3, 3, 1), None)
    early, late = (stack(*pictures, step=step).total for step in (0, 10))
    torch.testing.assert_close(late, early / 2)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "adversarial"])
def test_each_kind_builds_with_nothing_but_its_name(kind, vgg_weights, pictures):
    config = parse_losses(with_weight({}, kind, 1.0), source="options")
    stack = build(config, nn.Conv2d(3, 3, 1), vgg_weights)
    assert stack(*pictures).total > 0


def test_each_discriminator_builds_with_nothing_but_its_name():
    kinds = {"vgg": VGGDiscriminator, "unet": UNetDiscriminator, "patch": PatchDiscriminator}
    for kind, network in kinds.items():
        tables = {"losses": ADVERSARIAL, "discriminator": {"kind": kind}}
        config = parse_losses(tables, source="options")
        assert isinstance(build_discriminator(config.discriminator), network)
        assert isinstance(build(config, nn.Conv2d(3, 3, 1), None).adversarial, AdversarialLoss)


def test_a_weight_can_be_changed_added_and_taken_away():
    tables = loss_tables_of("realesrgan")
    assert with_weight(tables, "pixel", 3.0)["losses"]["pixel"]["weight"] == 3.0
    added = parse_losses(with_weight(tables, "style", 9.0), source="options")
    assert added.losses["style"].weight == 9.0
    reduced = parse_losses(with_weight(tables, "adversarial", 0), source="options")
    assert set(reduced.losses) == {"pixel", "perceptual"}
    assert reduced.discriminator is None
    with pytest.raises(ConfigError, match="no loss 'pixle'"):
        with_weight(tables, "pixle", 1.0)


def test_the_names_of_kinds_are_those_of_the_file_format():
    schema = LossConfig.model_json_schema()["properties"]["losses"]["patternProperties"]
    (terms,) = schema.values()
    assert set(terms["discriminator"]["mapping"]) == set(KINDS)


def test_a_configuration_is_read_without_torch():
    code = "import sys, srcli.losses.tables; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
