"""The page of a training run in a real browser: curves, samples, light and dark, a look again."""

import json

import numpy as np
import pytest
from browsing import requests, visit

from srcli.reports.progress import ProgressRow, save_sheet
from srcli.services.training.folder import RunFolder
from srcli.services.training.log import MetricsLog
from srcli.services.training.page import RunPage, report_runs

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
waiting = pytest.importorskip("selenium.webdriver.support.wait")

LEFT, RIGHT, SPACE = "\ue012", "\ue014", " "
STEPS = (10, 20, 30)
BEGIN = {
    "network": "RRDB (1 blocks), x4",
    "base": "nothing",
    "losses": ["pixel", "style"],
    "device": "cpu",
    "precision": "fp32",
    "steps": 30,
    "batch": 2,
    "patch_px": 32,
    "parts": 1,
    "training": 3,
    "validation": 1,
    "time": "2020-01-01 00:00 UTC",
    "software": "srcli",
}


def level(value, side):
    return np.full((side, side, 3), value, np.uint8)


def make_run(path, *, ends=True, factor=1.0):
    """A run of thirty steps: the loss falls by ten each time, the samples are 10, 20, 30 gray."""
    folder = RunFolder(path)
    folder.create()
    folder.write_config("[training]\nsteps = 30\n")
    log = MetricsLog(folder, tensorboard=False, from_step=0)
    log.tell("begin", 0, BEGIN)
    log.tell("bicubic", 0, {"psnr": 30.5, "ssim": 0.8})
    log.write("validation", 0, {"psnr": 28.0, "ssim": 0.7})
    for step in STEPS:
        loss = factor * 10.0 ** (-step // 10)
        numbers = {"loss/pixel": loss, "loss/total": 2 * loss, "weighted/pixel": loss}
        numbers |= {"weighted/style": loss / 2, "rate": 1e-4, "seconds": float(step)}
        log.write("train", step, numbers)
        log.write("validation", step, {"psnr": 28.0 + step / 10, "ssim": 0.7 + step / 300})
        row = ProgressRow(
            title="<b>cat</b>.png",
            low=level(1, 8),
            before=level(2, 32),
            now=level(step, 32),
            target=level(200, 32),
        )
        folder.sheet(step).parent.mkdir(exist_ok=True)
        save_sheet(folder.sheet(step), [row])
    log.tell("warning", 20, {"text": "numbers ran away: the learning rate is now x0.5"})
    if ends:
        log.tell("end", 30, {"state": "done", "seconds": 31.0})
    return folder


@pytest.fixture
def show(browser, tmp_path):
    def open_page(**run):
        return visit(browser, RunPage(make_run(tmp_path / "photos", **run)).write())

    return open_page


def press(browser, *keys):
    for key in keys:
        browser.find_element("tag name", "body").send_keys(key)


def gray_of(browser, name):
    """The level of the middle of a picture, as the browser decodes it."""
    return browser.execute_async_script(
        """const done = arguments[1], image = document.querySelector(`img[alt$="${arguments[0]}"]`);
        image.decode().then(() => {
          const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          done(context.getImageData(4, 4, 1, 1).data[0]);
        });""",
        name,
    )


def text_of(browser, selector):
    return browser.find_element("css selector", selector).text


def test_the_slider_and_the_keys_show_the_samples_of_a_step(show):
    browser = show()
    seen = [gray_of(browser, "now")]
    press(browser, LEFT)
    seen.append(gray_of(browser, "now"))
    press(browser, "\ue011")  # home
    seen.append(gray_of(browser, "now"))
    browser.find_element("id", "step").send_keys(RIGHT)
    assert [*seen, gray_of(browser, "now")] == [30, 20, 10, 20]
    assert text_of(browser, "#step-value") == "step 20"
    assert [gray_of(browser, name) for name in ("low", "before", "target")] == [1, 2, 200]


def test_a_picture_that_is_held_shows_the_target(show):
    browser = show()
    image = browser.find_element("css selector", 'img[alt$="now"]')
    webdriver.ActionChains(browser).click_and_hold(image).perform()
    held = gray_of(browser, "now")
    webdriver.ActionChains(browser).release().perform()
    assert (held, gray_of(browser, "now")) == (200, 30)


def test_every_loss_term_and_every_metric_has_a_curve_with_its_levels(show):
    browser = show()
    titles = [each.text for each in browser.find_elements("css selector", ".chart b")]
    assert titles == [
        *("PSNR, dB", "SSIM", "What each term adds", "total", "pixel"),
        *("learning rate", "seconds per step, validation included"),
    ]
    key = text_of(browser, ".chart .key")
    assert [word in key for word in ("run 31", "before 28", "bicubic 30.5")] == [True] * 3


def test_pointing_at_a_curve_tells_its_value_in_all_charts_and_a_click_shows_the_samples(show):
    browser = show()
    charts = browser.find_elements("css selector", ".chart svg")
    webdriver.ActionChains(browser).move_to_element_with_offset(charts[0], 40, 0).click().perform()
    assert {each.text for each in browser.find_elements("css selector", ".chart .at")} == {
        "step 20"
    }
    assert "run 30" in text_of(browser, ".chart .key")
    assert gray_of(browser, "now") == 20


def test_on_a_logarithmic_chart_a_tenth_is_always_as_far(show):
    browser = show()
    press(browser, "l")
    heights = browser.execute_script(
        "const made = charts.find((each) => each.title === 'pixel');"
        "return made.series[0].points.map((point) => made.y(point[1]))"
    )
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1])


def test_warnings_figures_and_settings_are_told_as_text(show):
    browser = show()
    assert "step 20 numbers ran away" in text_of(browser, "#warnings")
    assert "31.00 dB\nstep 30, before 28.00 dB, bicubic 30.50 dB" in text_of(browser, "#figures")
    assert text_of(browser, "#rows h3") == "<b>cat</b>.png"
    browser.find_element("css selector", "summary").click()
    assert "steps = 30" in text_of(browser, "#settings pre")


def test_a_run_under_way_is_looked_at_again_and_keeps_what_was_chosen(show, tmp_path):
    browser = show(ends=False)
    press(browser, LEFT, "l", "t")
    browser.execute_script("window.old = true; document.activeElement.blur(); lookAgain()")
    visit_again = "return window.old === undefined && document.body.dataset.ready"
    waiting.WebDriverWait(browser, 10).until(lambda driver: driver.execute_script(visit_again))
    chosen = browser.execute_script("return [state.log, sampled[state.place]]")
    assert (chosen, text_of(browser, "#state")) == ([True, 20], "running")
    press(browser, "r")
    assert "held" in text_of(browser, "#news")


def test_a_run_that_is_over_is_not_looked_at_again(show):
    browser = show()
    assert browser.execute_script("return data.refresh") == 0
    assert text_of(browser, "#state") == "done"


def test_nothing_is_asked_for_and_nothing_goes_wrong(show):
    browser = show(ends=False)
    press(browser, *"lltt", LEFT, RIGHT, SPACE, SPACE, "?", "\ue00c")
    for width in (390, 1000):
        browser.set_window_size(width, 700)
        wide = browser.execute_script("return document.documentElement.scrollWidth > innerWidth")
        assert not wide
    assert browser.get_log("browser") == []
    assert all(url.startswith(("file:", "data:")) for url in requests(browser))


def test_two_runs_lie_over_each_other(browser, tmp_path):
    for name, factor in (("one", 1.0), ("two", 3.0)):
        make_run(tmp_path / name, factor=factor)
    made = report_runs((tmp_path / "one", tmp_path / "two"), tmp_path / "both.html")
    visit(browser, made.page)
    curves = json.loads(
        browser.execute_script(
            "return JSON.stringify(charts.find((each) => each.title === 'pixel').series)"
        )
    )
    assert [(each["label"], each["points"][0][1]) for each in curves] == [
        ("one", 0.1),
        ("two", pytest.approx(0.3)),
    ]
    labels = [each.text for each in browser.find_elements("css selector", "#rows span")]
    assert labels == ["low", "before", "one", "two", "target"]
