"""The pairs of a step: in parts, again after a failure, from a teacher, within memory."""

import copy
import weakref

import pytest
import torch
from test_training_loop import assert_same
from training_tools import CPU, GAN, MACHINE, PLAIN, FixedFeed, tiny, weights

from srcli.data.pairs import DegradedPairs
from srcli.degradations.names import Preset
from srcli.degradations.presets import DEGRADATIONS
from srcli.errors import ConfigError, OutOfMemoryError, UsageError
from srcli.models.network import wrap_rrdb
from srcli.models.rrdb import RRDBConfig, RRDBNet
from srcli.services.training import fitting, preparation
from srcli.services.training.feed import TaughtPairs, TrainingFeed
from srcli.services.training.networks import Sources, teacher_network
from srcli.services.training.pictures import find_pictures, whole_pair
from srcli.services.training.teaching import taught_source
from srcli.training.adversary import Adversary
from srcli.training.config import parse_config
from srcli.training.defaults import settle
from srcli.training.distributed import Processes
from srcli.training.probe import fits, picture_bytes, untouched
from srcli.training.state import capture


@pytest.fixture
def source(photos):
    return DegradedPairs(sorted(photos.iterdir()), DEGRADATIONS[Preset.LIGHT], scale=4, patch_px=32)


def lows(feed, steps=1):
    return torch.cat([pair.low for _ in range(steps) for pair in feed.pairs()])


@pytest.mark.parametrize("workers", [0, 2])
def test_parts_are_the_pictures_of_the_whole_batch(source, workers):
    whole = TrainingFeed(source, batch=4, parts=1, device=CPU)
    parted = TrainingFeed(source, batch=4, parts=4, device=CPU, workers=workers)
    assert torch.equal(lows(whole, 3), lows(parted, 3))
    parted.close()


@pytest.mark.parametrize("taken", [0, 1])
def test_a_step_that_failed_gets_the_same_pictures_again(source, taken):
    feed, other = (TrainingFeed(source, batch=4, parts=2, device=CPU) for _ in range(2))
    assert torch.equal(lows(feed), lows(other))
    step = feed.pairs()
    for _ in range(taken):
        next(step)
    if taken:
        feed.retry_smaller()
        assert feed.parts == 4
    assert torch.equal(lows(feed), lows(other))


def test_a_feed_goes_on_from_its_state(source):
    feed = TrainingFeed(source, batch=2, parts=1, device=CPU)
    lows(feed, 2)
    state = feed.state()
    other = TrainingFeed(source, batch=2, parts=1, device=CPU, workers=1)
    other.restore(state)
    assert torch.equal(lows(feed, 2), lows(other, 2))
    other.close()


def test_other_pictures_are_not_gone_on_with(source, photos):
    fewer = DegradedPairs(
        sorted(photos.iterdir())[1:], DEGRADATIONS[Preset.LIGHT], scale=4, patch_px=32
    )
    state = TrainingFeed(source, batch=2, parts=1, device=CPU).state()
    with pytest.raises(ConfigError, match="not those the run was started with"):
        TrainingFeed(fewer, batch=2, parts=1, device=CPU).restore(state)


def test_single_pictures_cannot_be_cut(source):
    feed = TrainingFeed(source, batch=2, parts=2, device=CPU)
    with pytest.raises(OutOfMemoryError, match="not even one pair"):
        feed.retry_smaller()


@pytest.mark.parametrize("tables", [PLAIN, GAN])
def test_the_memory_probe_leaves_no_trace(tables):
    training = tiny(tables)
    before = copy.deepcopy(capture(training))
    with untouched(training):
        picture_bytes(training, next(FixedFeed().pairs()))
        torch.rand(3)
    assert_same(capture(training), before)


def test_the_memory_probe_says_nothing_to_other_processes():
    def speak(values):
        raise AssertionError("the others may try another number of times, and would never answer")

    training = tiny({**GAN, "balance": {"kind": "adaptive-gan"}}, patch_px=32)
    training.forward = training.losses.balance.average = speak
    assert fits(training, list(FixedFeed(batch=2, patch_px=32).pairs()))
    assert training.forward is training.losses.balance.average is speak


def test_a_try_that_does_not_fit_leaves_no_way_back_in_memory(monkeypatch):
    term = {"kind": "adversarial", "formula": "relativistic", "halved": False}
    training = tiny(
        {**GAN, "losses": {"realism": term}, "discriminator": {"kind": "patch", "channels": 4}}
    )
    ways_back = []

    def fails(adversary, restored, real):
        ways_back.append(weakref.ref(adversary.loss._shared.logits))
        raise MemoryError

    monkeypatch.setattr(Adversary, "judge", fails)
    assert not fits(training, list(FixedFeed(batch=2).pairs()))
    assert len(ways_back) == 1 and ways_back[0]() is None


def test_a_run_on_a_card_has_all_bits_of_float32_from_its_first_step_on(monkeypatch):
    card = torch.device("cuda", 0)
    monkeypatch.setattr(preparation, "choose_device", lambda wanted: card)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert preparation.device_of("cuda") == card
    assert not torch.backends.cudnn.allow_tf32


def test_the_memory_of_a_picture_grows_with_its_area():
    training = tiny(PLAIN)
    small, large = (
        picture_bytes(training, next(FixedFeed(batch=2, patch_px=side).pairs()))
        for side in (64, 128)
    )
    # At least the features at the full size: two convolutions of 8 channels in float32.
    assert small > 2 * 8 * 4 * 64**2
    assert large == pytest.approx(4 * small, rel=0.02)


@pytest.mark.parametrize(("pictures_that_fit", "parts"), [(8, 1), (4, 2), (3, 4), (1, 8)])
def test_the_parts_of_a_batch_fit_in_memory(source, monkeypatch, pictures_that_fit, parts):
    training = tiny(PLAIN, patch_px=32)
    need = picture_bytes(training, source.batch([0, 1], CPU))
    monkeypatch.setattr(fitting, "_budget", lambda device: pictures_that_fit * need * 1.01)
    assert fitting.fitting_parts(training, source, batch=8, parts=1) == parts


def test_what_does_not_fit_at_all_is_an_error(source, monkeypatch):
    monkeypatch.setattr(fitting, "_budget", lambda device: 1.0)
    with pytest.raises(OutOfMemoryError, match="not even one pair"):
        fitting.fitting_parts(tiny(PLAIN, patch_px=32), source, batch=8, parts=1)


@pytest.fixture
def teacher():
    torch.manual_seed(3)
    network = wrap_rrdb(RRDBNet(RRDBConfig(channels=8, growth=4, blocks=1)))
    return network.requires_grad_(False).eval()


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_a_teachers_picture_is_mixed_into_the_target(source, teacher, share):
    plain = source.batch([0, 1], CPU)
    taught = TaughtPairs(source, teacher, share, "t").batch([0, 1], CPU)
    expected = (1 - share) * plain.high + share * teacher(plain.low).clamp(0, 1)
    assert torch.equal(taught.low, plain.low)
    torch.testing.assert_close(taught.high, expected, rtol=0, atol=1e-6)
    assert taught.sharpened is taught.high


def taught(photos, network, folder, **tables):
    given = {
        "data": {"high": str(photos)},
        "losses": {"pixel": {"kind": "pixel"}},
        "training": {"steps": 1000, "batch": 4, "patch_px": 32},
        **tables,
    }
    config = parse_config(given, source="test")
    pictures = find_pictures(config.data, scale=4, patch_px=32, seed=0)
    settled = settle(config, MACHINE, scale=4)
    made = taught_source(
        pictures, config, settled, network, folder, device=CPU, processes=Processes()
    )
    return config, pictures, made


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_teachers_pictures_are_made_once_where_the_low_ones_stay_the_same(
    photos, teacher, tmp_path, share
):
    spec = {"weights": "t", "share": share}
    config, pictures, made = taught(photos, teacher, tmp_path / "t", teacher=spec)
    batch = made.batch(range(3), CPU)
    files = sorted((tmp_path / "t").rglob("*.png"))
    times = [path.stat().st_mtime_ns for path in files]
    _, _, again = taught(photos, teacher, tmp_path / "t", teacher=spec)
    assert len(files) == 9 and times == [path.stat().st_mtime_ns for path in files]
    assert torch.equal(again.batch(range(3), CPU).high, batch.high)
    pair = whole_pair(pictures.training[0], config.data, scale=4, largest_px=0, seed=0)
    enlarged = teacher(pair.low[None].float() / 255)[0].clamp(0, 1)
    target = enlarged.lerp(pair.high / 255, 1 - share)
    assert any(occurs(part, target) for part in batch.high)


def test_what_another_teacher_made_is_not_taken_for_this_one_s(photos, teacher, tmp_path):
    spec = {"weights": "t", "share": 1.0}
    _, _, first = taught(photos, teacher, tmp_path / "t", teacher=spec)
    torch.manual_seed(4)
    other = wrap_rrdb(RRDBNet(RRDBConfig(channels=8, growth=4, blocks=1))).eval()
    _, _, made = taught(photos, other, tmp_path / "t", teacher=spec)
    _, _, alone = taught(photos, other, tmp_path / "alone", teacher=spec)
    highs = [each.batch(range(3), CPU).high for each in (first, made, alone)]
    assert torch.equal(highs[1], highs[2]) and not torch.equal(highs[0], highs[1])


def occurs(part, picture):
    """Whether a patch, however it lies, is a part of the picture to within 8 bits."""
    for turned in (turn for flip in (part, part.flip(2)) for turn in turns(flip)):
        windows = picture.unfold(1, 32, 4).unfold(2, 32, 4)  # patches lie on the low pixels' grid
        difference = (windows - turned[:, None, None]).abs().amax(dim=(0, 3, 4))
        if difference.min() < 2 / 255:
            return True
    return False


def turns(part):
    return [part.rot90(times, (1, 2)) for times in range(4)]


def test_a_random_degradation_asks_the_teacher_for_each_patch(photos, teacher, tmp_path):
    data = {"high": str(photos), "degradation": "light"}
    _, _, made = taught(photos, teacher, tmp_path / "t", teacher={"weights": "t"}, data=data)
    assert isinstance(made, TaughtPairs) and not (tmp_path / "t").exists()


def test_a_teacher_of_another_scale_is_refused(tiny_weights):
    with pytest.raises(UsageError, match="enlarges x4, the network in training x2"):
        teacher_network(str(tiny_weights), Sources(offline=True), scale=2)


def test_a_taught_pair_still_knows_its_pictures(source, teacher):
    one, other = (TaughtPairs(source, teacher, 1.0, name).fingerprint for name in ("a", "b"))
    assert one != other and weights(teacher).any()
