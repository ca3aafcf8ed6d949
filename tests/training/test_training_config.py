"""Training files: whole, commented, strict; and what "auto" means."""

import subprocess
import sys
import tomllib

import pytest

from srcli.errors import ConfigError
from srcli.services.training.assembly import _plan
from srcli.training.config import (
    AdversarySpec,
    TrainingConfig,
    config_tables,
    json_schema,
    parse_config,
)
from srcli.training.defaults import Machine, settle
from srcli.training.document import (
    PRESETS,
    preset_document,
    preset_tables,
    reference_tables,
    toml_value,
    write_document,
)

SMALL = {"data": {"high": "photos"}, "losses": {"pixel": {"kind": "pixel"}}}
CPU = Machine(is_accelerated=False, precisions=("fp32", "bf16"), cores=2)
GPU = Machine(is_accelerated=True, precisions=("fp32", "fp16", "bf16"), cores=16)


def parse(tables):
    return parse_config(tables, source="run.toml")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_printed_preset_is_a_whole_file_that_means_the_preset(preset):
    printed = parse(tomllib.loads(preset_document(preset)))
    meant = preset_tables(preset)
    assert printed == parse({**meant, "data": {"high": "photos", **meant.get("data", {})}})


@pytest.mark.parametrize("preset", PRESETS)
def test_a_printed_preset_explains_its_purpose_and_each_key_of_its_run(preset):
    lines = preset_document(preset).splitlines()
    assert lines[0].startswith("# ")
    run = lines[lines.index(next(line for line in lines if line.startswith("[training]"))) :]
    keys = [line for line in run[: run.index("")] if not line.startswith("[")]
    assert len(keys) == 8 and all(" # " in key for key in keys)


def test_a_written_file_is_read_back_the_same():
    weight = {"kind": "step", "steps": [5, 9], "weights": [0.0, 0.5, 1.0]}
    config = parse(
        {
            **SMALL,
            "data": {"high": 'a "folder"\\n', "low": "b"},
            "network": {"kind": "compact", "scale": 2},
            "losses": {
                "pixel": {"kind": "pixel", "weight": weight},
                "deep": {"kind": "perceptual", "layers": {"conv5_4": 1.0}},
                "realism": {"kind": "adversarial"},
            },
            "discriminator": {"kind": "patch"},
            "balance": {"kind": "dwa"},
            "schedule": {"kind": "multistep", "milestone_steps": [3, 7]},
            "teacher": {"weights": "realesrgan-x4plus"},
        }
    )
    assert parse(tomllib.loads(write_document(config))) == config
    assert parse(config_tables(config)) == config


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"training": {"stepps": 5}}, "training.stepps: unknown key (did you mean steps?)"),
        ({"trainig": {}}, "trainig: unknown key (did you mean training?)"),
        ({"training": {"steps": 2.5}}, "training.steps: "),
        ({"training": {"steps": 0}}, "training.steps: "),
        ({"optimizer": {"learning_rate": "1e-4"}}, "optimizer.learning_rate: "),
        ({"data": {}}, "data.high: missing"),
        ({"network": {"kind": "rrdb", "scale": 3}}, "network.scale: "),
        ({"network": {"kind": "swinir"}}, "network: "),
        ({"schedule": {"kind": "multistep", "milestone_steps": [5, 2]}}, "must grow"),
        ({"losses": {"pixel": {"kind": "pixel", "wieght": 1.0}}}, "did you mean weight?"),
        ({"adversary": {}}, "[adversary] needs an adversarial term"),
        ({"training": {"batch": 4, "accumulation": 3}}, "cannot be cut into 3 equal parts"),
        ({"data": {"high": "a", "low": "b", "degradation": "area"}}, "low pictures already"),
    ],
)
def test_a_mistake_is_an_error_with_its_place(changes, complaint):
    with pytest.raises(ConfigError) as caught:
        parse({**SMALL, **changes})
    assert str(caught.value).startswith("run.toml: ") and complaint in str(caught.value)


def test_auto_becomes_numbers_that_suit_the_device():
    slow, fast = (settle(parse(SMALL), machine, scale=4) for machine in (CPU, GPU))
    assert (slow.steps, slow.batch, slow.patch_px, slow.precision) == (300, 4, 96, "fp32")
    assert (fast.steps, fast.batch, fast.patch_px, fast.precision) == (5000, 16, 192, "bf16")
    assert (slow.decay, fast.decay) == (0.9667, 0.998)
    assert '"auto"' not in write_document(slow.written_into(parse(SMALL)))


@pytest.mark.parametrize(("weights", "warmup"), [(None, 30), ("realesrgan-x4plus-netd", 0)])
def test_only_a_fresh_discriminator_is_warmed_up(weights, warmup):
    tables = {
        **SMALL,
        "losses": {"realism": {"kind": "adversarial"}},
        "discriminator": {"kind": "unet"},
        "adversary": {"weights": weights} if weights else {},
    }
    assert settle(parse(tables), CPU, scale=4).warmup_steps == warmup


def test_a_run_that_goes_on_from_the_file_it_wrote_is_planned_as_it_was_begun():
    begun = parse(
        {
            **SMALL,
            "losses": {"realism": {"kind": "adversarial"}},
            "discriminator": {"kind": "unet"},
            "training": {"steps": 1000},
        }
    )
    resumed = parse(config_tables(settle(begun, CPU, scale=4).written_into(begun)))
    one, other = (
        _plan(config, settle(config, CPU, scale=4), config.adversary or AdversarySpec())
        for config in (begun, resumed)
    )
    assert one == other


@pytest.mark.parametrize(
    ("discriminator", "patch_px", "complaint"),
    [
        ({"kind": "patch"}, 98, "no multiple of the scale 4"),
        ({"kind": "unet"}, 100, "no multiple of 8, which the U-Net discriminator needs"),
        ({"kind": "vgg", "input_px": 128}, 96, "takes 128 px, not 96"),
    ],
)
def test_a_patch_that_does_not_suit_is_refused_before_step_1(discriminator, patch_px, complaint):
    tables = {
        **SMALL,
        "losses": {"realism": {"kind": "adversarial"}},
        "discriminator": discriminator,
        "training": {"patch_px": patch_px},
    }
    with pytest.raises(ConfigError, match=complaint):
        settle(parse(tables), CPU, scale=4)


def test_a_precision_that_the_device_has_not_is_refused():
    config = parse({**SMALL, "training": {"precision": "fp16"}})
    with pytest.raises(ConfigError, match="no fp16"):
        settle(config, CPU, scale=4)
    assert settle(config, GPU, scale=4).precision == "fp16"


def test_the_schema_knows_every_table_and_allows_nothing_else():
    schema = json_schema()
    assert set(schema["properties"]) == set(TrainingConfig.model_fields)
    assert schema["additionalProperties"] is False
    assert sorted(schema["required"]) == ["data", "losses"]


def test_the_reference_names_every_key_that_a_file_may_have():
    page = "\n".join(reference_tables())
    for table in TrainingConfig.model_fields:
        if table not in {"losses", "discriminator", "balance"}:
            assert f"## `[{table}]" in page
    assert all(f"| `{key}` |" in page for key in ("high", "steps", "milestone_steps", "keep"))


def test_values_are_written_as_toml_reads_them():
    values = {"a": 1e-7, "b": 'x"\\', "c": True, "d": [1, 2.5], "e": {"f": "ü"}}
    for name, value in values.items():
        assert tomllib.loads(f"{name} = {toml_value(value)}") == {name: value}


def test_files_are_read_and_printed_without_torch():
    code = "import sys, srcli.training.document as d; d.preset_document('esrgan'); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
