"""report.html: there from the first validation on, whole, final at the end; made again at will."""

import json
from math import inf

import numpy as np
import pytest
from PIL import Image
from test_training_run import ON_CPU, request_of

from srcli.cli.app import main
from srcli.errors import DiskFullError, UsageError
from srcli.reports.progress import ProgressRow, read_sheet, save_sheet
from srcli.services.stop import Stop
from srcli.services.training import page
from srcli.services.training.folder import RunFolder
from srcli.services.training.log import MetricsLog, read_log
from srcli.services.training.observer import TrainingObserver
from srcli.services.training.request import finetune


def data_of(path) -> dict:
    text = path.read_text("utf-8")
    start = text.index('id="data">') + len('id="data">')
    return json.loads(text[start : text.index("</script>", start)])


class _Reader(TrainingObserver):
    """Reads the page after each step."""

    def __init__(self, path) -> None:
        self.path, self.states, self.steps = path, [], []

    def advanced(self, step: int) -> None:
        (run,) = data_of(self.path)["runs"]
        self.states.append(run["state"])
        self.steps.append(run["curves"]["validation"]["psnr"][-1][0])


def test_the_page_follows_the_run_and_ends_with_it(photos, tiny_weights, tmp_path):
    reader = _Reader(tmp_path / "run" / "report.html")
    finetune(request_of(photos, tiny_weights, tmp_path / "run"), ON_CPU, reader)
    assert reader.states == ["running"] * 4
    assert reader.steps == [0, 1, 2, 3]  # those that were scored before the step
    data = data_of(reader.path)
    (run,) = data["runs"]
    assert (run["state"], data["refresh"]) == ("done", 0)
    assert [each["step"] for each in run["samples"]] == [1, 2, 3, 4]
    assert run["curves"]["loss"].keys() == {"total", "pixel"}
    assert run["start"]["psnr"] > 0 and run["bicubic"]["psnr"] > 0


def test_a_stopped_run_says_so_and_goes_on_in_the_same_page(photos, tiny_weights, tmp_path):
    stop, request = Stop(), request_of(photos, tiny_weights, tmp_path / "run")
    stop.set()
    finetune(request, ON_CPU, stop=stop)
    assert [each["state"] for each in read_log(tmp_path / "run" / "metrics.jsonl")[-1:]] == [
        "stopped"
    ]


def test_a_page_that_cannot_be_written_does_not_end_the_run(
    photos, tiny_weights, tmp_path, monkeypatch
):
    def full(self):
        raise DiskFullError("no space", hint="make some")

    monkeypatch.setattr(page.RunPage, "write", full)
    heard = []
    observer = TrainingObserver()
    observer.note = heard.append
    report = finetune(request_of(photos, tiny_weights, tmp_path / "run"), ON_CPU, observer)
    assert report.steps == 4 and heard == ["no more pages: no space"]


def test_a_disk_that_is_full_from_the_first_line_on_is_what_ended_the_run(
    photos, tiny_weights, tmp_path, monkeypatch
):
    def full(self, record):
        raise DiskFullError("no space", hint="make some")

    monkeypatch.setattr(MetricsLog, "_append", full)
    heard = []
    observer = TrainingObserver()
    observer.note = heard.append
    with pytest.raises(DiskFullError, match="no space"):
        finetune(request_of(photos, tiny_weights, tmp_path / "run"), ON_CPU, observer)
    assert heard == [] and not (tmp_path / "run" / "report.html").exists()


def test_the_command_makes_the_page_again(photos, tiny_weights, tmp_path, capsys):
    finetune(request_of(photos, tiny_weights, tmp_path / "run"), ON_CPU)
    written = tmp_path / "run" / "report.html"
    first = data_of(written)
    written.unlink()
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path / "run")])
    assert (ended.value.code, capsys.readouterr().out.strip()) == (0, str(written))
    assert {**data_of(written), "written": first["written"]} == first


def test_a_score_without_bounds_and_a_damaged_file_of_settings_do_not_cost_the_page(tmp_path):
    folder = RunFolder(tmp_path)
    log = MetricsLog(folder, tensorboard=False, from_step=0)
    log.tell("bicubic", 0, {"psnr": inf, "ssim": 1.0})  # of a flat picture
    log.write("validation", 0, {"psnr": inf, "ssim": 1.0})
    folder.config.write_bytes(b"# \xff")
    page.report_runs([tmp_path])
    (run,) = data_of(folder.page)["runs"]
    assert (run["bicubic"], run["curves"]["validation"]["psnr"]) == ({"ssim": 1.0}, [[0, None]])


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        page.report_runs([tmp_path])


@pytest.mark.parametrize("sides", [(8, 32), (16, 16), (5, 40), (3, 200)])
def test_the_rows_of_a_sheet_are_cut_out_as_they_were(sides, tmp_path):
    random = np.random.default_rng(1)
    small, large = (random.integers(0, 256, (side, side + 1, 3), np.uint8) for side in sides)
    rows = [
        ProgressRow(title=f"é{n}", low=small, before=large, now=255 - large, target=large)
        for n in range(2)
    ]
    save_sheet(tmp_path / "sheet.png", rows)
    for row, cut in zip(rows, read_sheet(tmp_path / "sheet.png"), strict=True):
        assert cut.title == row.title
        for name in ("low", "before", "now", "target"):
            np.testing.assert_array_equal(np.asarray(getattr(cut, name)), getattr(row, name))


def test_any_other_picture_has_no_rows(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "other.png")
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG")
    assert [read_sheet(tmp_path / name) for name in ("other.png", "damaged.png")] == [(), ()]
