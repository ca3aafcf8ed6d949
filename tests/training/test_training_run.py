"""Whole runs as a user starts them, with tiny networks: what they leave, and what stops them."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from srcli.cli.app import main
from srcli.errors import BadWeightsError, DiskFullError, TrainingError
from srcli.io.checkpoints import read_checkpoint
from srcli.metrics.fidelity import Fidelity
from srcli.models.rrdb import RRDBConfig, RRDBNet
from srcli.services.stop import Stop
from srcli.services.training import folder as run_folder
from srcli.services.training import networks, validation
from srcli.services.training.observer import TrainingObserver
from srcli.services.training.pictures import WholePair
from srcli.services.training.preparation import RunOptions
from srcli.services.training.request import FinetuneRequest, finetune, train_file
from srcli.services.training.validation import Scores, Validator

ON_CPU = RunOptions(device="cpu")
RESUMED = RunOptions(device="cpu", resume=True)
SMALL = ["--preset", "psnr", "--steps", "4", "--batch", "2", "--patch", "32", "--lr", "1e-3"]


@pytest.fixture
def srcli(capsys, tmp_path, monkeypatch):
    """Run a command line in an empty folder: the exit code and what was printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


@pytest.fixture
def tune(srcli, photos, tiny_weights):
    def run(*arguments, options=SMALL):
        return srcli("finetune", photos, "-m", tiny_weights, "-d", "cpu", *options, *arguments)

    return run


def request_of(photos, tiny_weights, output, **changes) -> FinetuneRequest:
    given = {"steps": 4, "batch": 2, "patch_px": 32, "learning_rate": 1e-3, "preset": "psnr"}
    return FinetuneRequest(
        folder=photos, model=str(tiny_weights), output=output, **{**given, **changes}
    )


def tensors_of(run: Path, name: str = "last.safetensors") -> dict:
    return load_file(run / name)


def assert_same_bits(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_finetune_ends_with_the_line_that_uses_its_result(tune, srcli, photos, tmp_path):
    code, out, err = tune()
    (line,) = out.splitlines()
    assert (code, line) == (0, "srcli upscale -m runs/photos/best.safetensors PICTURE")
    assert "4 steps of 2 patches of 32 px" in err and "best: step" in err
    picture = photos / "photo0.png"
    words = line.replace("PICTURE", str(picture)).split()[1:]
    assert srcli(*words, "-d", "cpu", "-o", tmp_path / "large.png")[0] == 0
    assert Image.open(tmp_path / "large.png").size == (384, 320)


def test_the_result_loads_elsewhere_and_says_what_it_is(srcli, photos, tmp_path):
    from spandrel import ModelLoader

    tiny = tmp_path / "tiny.safetensors"
    save_file(RRDBNet(RRDBConfig(channels=8, growth=32, blocks=1)).state_dict(), tiny)
    srcli("finetune", photos, "-m", tiny, "-d", "cpu", *SMALL, "-o", "run")
    best = tmp_path / "run" / "best.safetensors"
    other = ModelLoader().load_from_file(best)
    assert (other.architecture.name, other.scale) == ("ESRGAN", 4)
    picture = torch.rand(1, 3, 12, 9)
    ours = networks.build_network(load_file(best))(picture)
    torch.testing.assert_close(ours.clamp(0, 1), other(picture), rtol=0, atol=1e-5)
    with safe_open(best, "pt") as file:
        metadata = file.metadata()
    assert metadata["architecture"] == "RRDB (1 blocks)" and metadata["scale"] == "4"
    assert metadata["base"] == "tiny" and len(metadata["base_sha256"]) == 64
    assert json.loads(metadata["recipe"])["training"]["steps"] == 4
    assert json.loads(metadata["metrics"])["psnr"] > 0


def test_a_run_keeps_its_log_its_sheets_and_its_last_checkpoints(tune, tmp_path):
    tune("-o", "run", "--steps", "12")
    run = tmp_path / "run"
    steps = {path.name for path in (run / "checkpoints").iterdir()}
    assert {"step-000010.pt", "step-000011.pt", "step-000012.pt"} <= steps and len(steps) <= 4
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["type"] == "train"] == list(range(1, 13))
    assert [line["step"] for line in lines if line["type"] == "validation"] == list(range(13))
    first = next(line for line in lines if line["type"] == "train")
    assert {"loss/pixel", "rate", "gradient_norm"} <= first.keys()
    assert Image.open(run / "samples" / "step-000012.png").width == 4 * 264 + 8
    assert list((run / "tensorboard").iterdir())


def test_the_written_configuration_gives_the_same_run_again(tune, srcli, tmp_path):
    tune("-o", "run")
    code, _, _ = srcli("train", "run/config.toml", "-o", "again", "-d", "cpu")
    assert code == 0
    assert_same_bits(tensors_of(tmp_path / "run"), tensors_of(tmp_path / "again"))


def test_json_is_one_object_a_line(tune):
    code, out, err = tune("--json")
    kinds = [json.loads(line)["type"] for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert kinds[:2] == ["begin", "validation"] and kinds[-1] == "report"
    assert json.loads(out.splitlines()[-1])["command"].startswith("srcli upscale -m")


def config_file(tmp_path, photos, tiny_weights, more="", steps=20) -> Path:
    """A training file of short steps; `more` is TOML of its top level."""
    file = tmp_path / "run.toml"
    file.write_text(
        f"""
        data.high = "{photos}"
        network = {{ kind = "pretrained", weights = "{tiny_weights}" }}
        training = {{ steps = {steps}, batch = 2, patch_px = 32 }}
        validation.every_steps = 10
        checkpoints.every_steps = 3
        losses.pixel.kind = "pixel"
        {more}
        """
    )
    return file


GAN = """
        losses.realism = { kind = "adversarial", formula = "relativistic", halved = true }
        discriminator = { kind = "vgg", channels = 4 }
        balance = { kind = "adaptive-gan", refresh_steps = 3 }
        data.degradation = "realesrgan"
        data.sharpened_target = true
"""


@pytest.mark.parametrize(
    ("more", "step"),
    [("", 7), ("", 10), ("", 20), (GAN, 7)],
    ids=["psnr", "before-a-validation", "before-the-last", "gan"],
)
def test_a_run_that_was_stopped_goes_on_with_the_same_bits(
    more, step, photos, tmp_path, tiny_weights
):
    file = config_file(tmp_path, photos, tiny_weights, more)
    train_file(file, tmp_path / "whole", ON_CPU)
    report = train_until(step, file, tmp_path / "parts", ON_CPU)
    assert report.is_stopped and report.steps == step
    train_file(file, tmp_path / "parts", RESUMED)
    for name in ("last.safetensors", "best.safetensors"):
        assert_same_bits(tensors_of(tmp_path / "whole", name), tensors_of(tmp_path / "parts", name))


class _Stopper(TrainingObserver):
    """Wishes the run to end after a step."""

    def __init__(self, after: int) -> None:
        self.after, self.stop = after, Stop()

    def advanced(self, step: int) -> None:
        if step == self.after:
            self.stop.set()


def train_until(step, file, output, options):
    stopper = _Stopper(after=step)
    return train_file(file, output, options, stopper, stopper.stop)


def started(file, output):
    """`srcli train` in a process of its own, given back after some steps."""
    command = [sys.executable, "-m", "srcli", "train", file, "-d", "cpu", "--json", "-o", output]
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
    )
    for line in process.stdout:
        record = json.loads(line)
        if record["type"] == "train" and record["step"] >= 5:
            return process
    raise AssertionError("the run ended before it could be killed")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_goes_on_with_the_same_bits(how, photos, tiny_weights, tmp_path):
    file = config_file(tmp_path, photos, tiny_weights, "log.every_steps = 1", steps=9999)
    process = started(file, tmp_path / "killed")
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == (130 if how is signal.SIGTERM else -signal.SIGKILL)
    saved = max((tmp_path / "killed" / "checkpoints").glob("step-*.pt"))
    step = read_checkpoint(saved)["training"]["step"]
    # Nobody waits for 9999 steps: both runs are stopped at the same one.
    train_until(step + 2, file, tmp_path / "killed", RESUMED)
    train_until(step + 2, file, tmp_path / "whole", ON_CPU)
    assert_same_bits(tensors_of(tmp_path / "killed"), tensors_of(tmp_path / "whole"))
    log = (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
    steps = [each["step"] for each in map(json.loads, log) if each["type"] == "train"]
    assert steps == list(range(1, step + 3))


class _Poisoner(TrainingObserver):
    """Ruins the weights after a step, as an overflow would."""

    def __init__(self, monkeypatch, after: int, *, again: bool) -> None:
        self.after, self.again, self.notes = after, again, []
        self.network = None
        original = networks.start_network

        def spied(*arguments):
            self.network, base = original(*arguments)
            return self.network, base

        monkeypatch.setattr("srcli.services.training.preparation.start_network", spied)

    def advanced(self, step: int) -> None:
        is_due = step == self.after or (self.again and step > self.after)
        if is_due and (self.again or not self.notes):
            with torch.no_grad():
                self.network.body.conv_last.bias.fill_(torch.nan)

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_run_whose_weights_were_ruined_goes_back_and_ends_well(
    tmp_path, photos, tiny_weights, monkeypatch
):
    poisoner = _Poisoner(monkeypatch, after=4, again=False)
    file = config_file(tmp_path, photos, tiny_weights, "guard.patience = 1")
    report = train_file(file, tmp_path / "run", ON_CPU, poisoner)
    assert any("rate is now x0.5" in note for note in poisoner.notes)
    assert any("back to step 3" in note for note in poisoner.notes)
    assert report.steps == 20 and math.isfinite(report.best.scores.psnr)


def test_a_run_that_nothing_helps_stops_with_a_reason_and_sound_checkpoints(
    tmp_path, photos, tiny_weights, monkeypatch
):
    poisoner = _Poisoner(monkeypatch, after=4, again=True)
    file = config_file(tmp_path, photos, tiny_weights, "guard.patience = 1")
    with pytest.raises(TrainingError, match="not numbers at step"):
        train_file(file, tmp_path / "run", ON_CPU, poisoner)
    _, state = run_folder.RunFolder(tmp_path / "run").newest()
    weights = state["training"]["network"].values()
    assert all(value.isfinite().all() for value in weights)


def test_a_full_disk_ends_the_run_with_an_older_checkpoint_whole(
    tmp_path, photos, tiny_weights, monkeypatch
):
    write, calls = run_folder.write_checkpoint, []

    def fill(path, state):
        calls.append(path)
        if len(calls) > 3:
            raise DiskFullError(f"no space left to write {path}", hint="free some space")
        write(path, state)

    monkeypatch.setattr(run_folder, "write_checkpoint", fill)
    request = request_of(photos, tiny_weights, tmp_path / "run")
    with pytest.raises(DiskFullError):
        finetune(request, ON_CPU)
    monkeypatch.setattr(run_folder, "write_checkpoint", write)
    report = finetune(request, RESUMED)
    assert (report.steps, report.is_stopped) == (4, False)


def test_old_checkpoints_make_room_on_a_full_disk(tmp_path, monkeypatch):
    folder = run_folder.RunFolder(tmp_path / "run")
    folder.create()
    write = run_folder.write_checkpoint

    def small_disk(path, state):
        if len(list(path.parent.iterdir())) > 1:
            raise DiskFullError("no space left", hint="")
        write(path, state)

    for step in (1, 2):
        write(folder.checkpoint(step), {"training": {"step": step}})
    monkeypatch.setattr(run_folder, "write_checkpoint", small_disk)
    folder.save({"training": {"step": 3}}, keep=3, best_step=1)
    assert folder.newest()[1] == {"training": {"step": 3}}


def test_a_damaged_checkpoint_is_passed_over(tune, tmp_path):
    tune("-o", "run")
    newest = max((tmp_path / "run" / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(BadWeightsError, match="damaged"):
        read_checkpoint(newest)
    code, _, err = tune("-o", "run", "--resume", options=[])
    assert (code, "going on from step 3" in err) == (0, True)


def killed_before_anything_was_saved(run: Path) -> None:
    for path in (run / "checkpoints").iterdir():
        path.unlink()


@pytest.mark.parametrize("way", [["--resume"], []], ids=["resumed", "started again"])
def test_a_run_that_was_killed_before_it_saved_anything_begins_anew(tune, tmp_path, way):
    tune("-o", "whole")
    tune("-o", "run")
    killed_before_anything_was_saved(tmp_path / "run")
    code, _, err = tune("-o", "run", *way)
    assert (code, "nothing" in err or "before anything was saved" in err) == (0, bool(way))
    assert_same_bits(tensors_of(tmp_path / "run"), tensors_of(tmp_path / "whole"))
    steps = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").open()]
    assert [each["step"] for each in steps if each["type"] == "validation"].count(0) == 1


@pytest.mark.parametrize("begun", ["run", "run/checkpoints"])
def test_a_run_without_even_its_settings_begins_anew(tune, tmp_path, begun):
    (tmp_path / begun).mkdir(parents=True)
    assert tune("-o", "run", "--resume")[0] == 0


def empty(photos: Path) -> list[str]:
    for path in photos.iterdir():
        path.unlink()
    return []


def single(photos: Path) -> list[str]:
    for number in (1, 2, 3):
        (photos / f"photo{number}.png").unlink()
    return []


def unreadable(photos: Path) -> list[str]:
    for number in (0, 1, 2):
        (photos / f"photo{number}.png").write_bytes(b"\x89PNG nothing")
    return []


def pairs(photos: Path, factor: float, names: int = 4) -> list[str]:
    low = photos.parent / "low"
    low.mkdir()
    for number in range(names):
        picture = Image.open(photos / f"photo{number}.png")
        size = (round(picture.width * factor), round(picture.height * factor))
        picture.resize(size, Image.Resampling.BICUBIC).save(low / f"photo{number}.png")
    return ["--low", str(low)]


@pytest.mark.parametrize(
    ("spoil", "code", "phrase"),
    [
        (empty, 2, "0 picture(s) to learn from"),
        (single, 2, "1 picture(s) to learn from"),
        (unreadable, 2, "photo0.png: unreadable"),
        (lambda photos: ["--patch", "512"], 2, "a smaller --patch takes smaller pictures"),
        (lambda photos: ["--patch", "30"], 2, "no multiple of the scale 4"),
        (lambda photos: pairs(photos, 0.5), 2, "times 4 is not"),
        (lambda photos: pairs(photos, 0.25, names=3), 2, "no partner"),
        (
            lambda photos: ["--preset", "content-style", "--offline"],
            3,
            "vgg19 is not on this machine",
        ),
        (lambda photos: ["--vgg-weights", "no.pth", "--preset", "content-style"], 2, "no file"),
        (lambda photos: ["--loss", "sharpness=2"], 2, "there is no loss 'sharpness'"),
        (lambda photos: ["--loss", "pixel"], 2, "is not understood"),
        (lambda photos: ["--scale", "2"], 2, "enlarges x4, not x2"),
        (lambda photos: ["--precision", "fp16"], 2, "no fp16 to train in"),
        (lambda photos: ["-m", "no-such-weights"], 3, "no weights and no file"),
        (lambda photos: ["--resume"], 2, "holds no run to go on with"),
    ],
)
def test_bad_input_is_one_clear_error_before_anything_is_written(
    tune, photos, tmp_path, monkeypatch, spoil, code, phrase
):
    monkeypatch.setenv("SRCLI_HOME", str(tmp_path / "home"))
    options = spoil(photos)
    got, out, err = tune("-o", "run", *options)
    assert (got, out) == (code, "") and phrase in err
    assert err.count("error:") == err.count("hint:") == 1 and "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_written_over(tune):
    tune("-o", "run")
    code, _, err = tune("-o", "run")
    assert (code, "holds a run already" in err) == (1, True)


def test_a_second_run_gets_a_folder_of_its_own(tune, tmp_path):
    tune()
    tune()
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"photos", "photos-2"}


def test_a_checkpoint_of_another_architecture_is_refused(tune, srcli, photos, tmp_path):
    tune("-o", "run")
    file = tmp_path / "run" / "config.toml"
    text = file.read_text().replace('kind = "pretrained"', 'kind = "compact"\nchannels = 4')
    lines = [line for line in text.splitlines() if not line.startswith("weights =")]
    file.write_text("\n".join(lines))
    code, _, err = srcli("finetune", photos, "-d", "cpu", "-o", "run", "--resume")
    assert (code, "another architecture" in err) == (2, True)


def test_vgg_of_a_file_in_torchvisions_naming_serves_the_perceptual_losses(tune, vgg_file):
    options = ["--preset", "content-style", "--steps", "2", "--batch", "1", "--patch", "32"]
    code, _, err = tune("--vgg-weights", vgg_file, "-o", "run", options=options)
    assert (code, "losses pixel + perceptual + style" in err) == (0, True)


def test_without_vgg_the_default_preset_is_psnr_and_says_so(tune, tmp_path, monkeypatch):
    monkeypatch.setenv("SRCLI_HOME", str(tmp_path / "home"))
    code, _, err = tune("--offline", options=SMALL[2:])
    assert (code, "preset psnr, because realesrgan needs the weights of VGG19" in err) == (0, True)


def test_paired_pictures_are_trained_on(tune, photos):
    code, _, err = tune("-o", "run", *pairs(photos, 0.25))
    assert (code, "3 pictures to learn from, 1 to validate on" in err) == (0, True)


def test_a_score_is_the_mean_of_the_scores_of_its_pictures(monkeypatch):
    found = iter([30.0, 31.0, 32.0, 30.0])
    monkeypatch.setattr(
        validation, "measure", lambda *pictures: Fidelity(psnr=next(found), ssim=0.5)
    )
    pair = WholePair(name="x", low=torch.zeros(3, 4, 4), high=torch.zeros(3, 16, 16))
    three, one = (
        Validator([pair] * count, scale=4, device=torch.device("cpu"), samples=0)
        for count in (3, 1)
    )
    assert three.bicubic() == Scores(psnr=31.0, ssim=0.5)
    assert one.bicubic() == Scores(psnr=30.0, ssim=0.5)


def test_the_best_is_chosen_by_the_score_that_is_asked_for():
    sharp, close = Scores(psnr=28.0, ssim=0.8, lpips=0.1), Scores(psnr=30.0, ssim=0.9, lpips=0.2)
    names = ("psnr", "ssim", "lpips")
    assert [max(sharp, close, key=lambda each: each.by(name)) for name in names] == [
        *(close, close, sharp)
    ]
