"""Comparison pages in a real browser: what moves, what is shown, and that nothing is asked for."""

import shutil

import numpy as np
import pytest
from browsing import requests, visit
from PIL import Image

from srcli.services.compare import CompareOptions, compare

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
wheel = pytest.importorskip("selenium.webdriver.common.actions.wheel_input")

WIDTH, HEIGHT = 96, 64
SPOT = (70, 20)  # x and y of the one pixel that differs


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Colours that tell where they are, the same with one pixel a level off, and a small one."""
    folder = tmp_path_factory.mktemp("pictures")
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    levels = np.stack((across * 2, down * 3, (across + down) % 200), axis=2).astype(np.uint8)
    other = levels.copy()
    other[SPOT[1], SPOT[0], 2] += 1
    for name, each in (("a", levels), ("b", other), ("low", levels[2::4, 2::4])):
        Image.fromarray(each).save(folder / f"{name}.png")
    Image.new("RGB", (WIDTH, HEIGHT), (255, 0, 0)).save(folder / "red.png")
    Image.new("RGB", (WIDTH, HEIGHT), (0, 0, 255)).save(folder / "blue.png")
    return folder


@pytest.fixture
def show(browser, pictures, tmp_path):
    """Open a page of these pictures, and wait until they are drawn."""

    def open_page(*names):
        places = [pictures / f"{name}.png" for name in names]
        page = tmp_path / "page.html"
        compare(places, page=page, options=CompareOptions(overwrite=True))
        return visit(browser, page)

    return open_page


def ask(browser, expression):
    return browser.execute_script(f"draw(); return {expression}")


def pixel(browser, x, y):
    """The colour of the stage at CSS pixels."""
    at = f"Math.round({x} * ratio()), Math.round({y} * ratio()), 1, 1"
    return tuple(ask(browser, f"[...context.getImageData({at}).data].slice(0, 3)"))


def stage_of(browser):
    return browser.find_element("id", "stage")


def press(browser, *keys):
    for key in keys:
        browser.find_element("tag name", "body").send_keys(key)


def drag(browser, element, x, y):
    webdriver.ActionChains(browser).drag_and_drop_by_offset(element, x, y).perform()


def test_dragging_the_border_shows_more_of_one_picture(show):
    browser = show("red", "blue")
    size = stage_of(browser).size
    quarter = size["width"] * 0.4, size["height"] / 2
    assert pixel(browser, *quarter) == (255, 0, 0)
    drag(browser, browser.find_element("id", "divider"), -round(size["width"] * 0.3), 0)
    assert ask(browser, "state.split") == pytest.approx(0.2, abs=0.01)
    assert pixel(browser, *quarter) == (0, 0, 255)


def test_the_border_moves_by_keys_and_says_where_it_is(show):
    browser = show("red", "blue")
    press(browser, *["\ue014"] * 3, "\ue008\ue012")  # right three times, shift + left
    divider = browser.find_element("id", "divider")
    assert ask(browser, "state.split") == pytest.approx(0.43)
    assert divider.get_attribute("aria-valuenow") == "43"


def test_space_shows_the_other_picture_while_it_is_held(show):
    browser = show("red", "blue")
    left = 0.4 * stage_of(browser).size["width"], 200
    press(browser, "s")
    webdriver.ActionChains(browser).key_down(" ").perform()
    assert pixel(browser, *left) == (0, 0, 255)
    webdriver.ActionChains(browser).key_up(" ").perform()
    assert pixel(browser, *left) == (255, 0, 0)


def test_zoom_and_pan_are_the_same_in_every_pane(show):
    browser = show("a", "b", "a")
    press(browser, "c")
    whole = panes_pixels(browser)
    origin = wheel.ScrollOrigin.from_element(stage_of(browser), -60, 40)
    webdriver.ActionChains(browser).scroll_from_origin(origin, 0, -600).perform()
    drag(browser, stage_of(browser), 33, -21)
    moved = panes_pixels(browser)
    assert moved[0] == moved[1] == moved[2] != whole[0]
    assert ask(browser, "state.zoom > zoomThatFits() * 3 && !state.fits")


def panes_pixels(browser):
    """A few pixels of each pane, at the same places in it."""
    script = """panes().map(pane => [[.5, .5], [.3, .4], [.7, .6]].map(([x, y]) =>
        [...context.getImageData(Math.round(pane.x + x * pane.width),
                                 Math.round(pane.y + y * pane.height), 1, 1).data].join()))"""
    return ask(browser, script)


def test_zooming_keeps_the_point_under_the_pointer(show):
    browser = show("a", "b")
    before = ask(browser, "pointAt(300, 200)")
    browser.execute_script("zoomTo(state.zoom * 5, 300, 200)")
    assert ask(browser, "pointAt(300, 200)") == pytest.approx(before)


def test_a_planted_difference_is_all_that_the_difference_view_shows(show):
    browser = show("a", "b")
    press(browser, "d", "]", "]", "]")  # one level, amplified 64 times
    levels = ask(
        browser,
        "[...difference().getContext('2d').getImageData(0, 0, data.width, data.height).data]",
    )
    seen = np.reshape(levels, (HEIGHT, WIDTH, 4))[:, :, :3]
    assert seen[SPOT[1], SPOT[0]].tolist() == [0, 0, 64]
    assert np.count_nonzero(seen) == 1
    place = ask(
        browser,
        f"[{SPOT[0]} + .5, {SPOT[1]} + .5].map((at, axis) => (at - [state.x, state.y][axis])"
        " * scale() + [stage.clientWidth, stage.clientHeight][axis] / 2)",
    )
    assert pixel(browser, *place) == (0, 0, 64)


def test_the_figures_are_those_of_the_pair_in_view(show):
    browser = show("a", "b", "low")
    text = browser.find_element("id", "figures").text
    browser.execute_script("change({ right: 1 })")
    ask(browser, "1")
    changed = browser.find_element("id", "figures").text
    assert "1 of 255" not in text and "1 of 255" in changed and "0.0163 %" in changed


def test_the_loupe_tells_the_values_of_the_pixel_in_every_picture(show):
    browser = show("a", "b")
    press(browser, "l")
    place = ask(browser, "{ x: stage.clientWidth / 2, y: stage.clientHeight / 2 }")
    browser.execute_script(
        f"Object.assign(state, {{ x: {SPOT[0]}.5, y: {SPOT[1]}.5, fits: false }}); draw();"
        f"look({{ x: {place['x']}, y: {place['y']} }})"
    )
    captions = [each.text for each in browser.find_elements("css selector", "#loupe figcaption")]
    x, y = SPOT
    assert captions == [f"a.png\n70, 20: {2 * x} {3 * y} 90", f"b.png\n70, 20: {2 * x} {3 * y} 91"]


def test_a_small_picture_shows_its_pixels_as_squares(show):
    browser = show("low", "a")
    browser.execute_script("change({ split: 1 }); zoomTo(8)")
    colours = {pixel(browser, x, 300) for x in range(200, 520, 4)}
    assert len(colours) <= 1 + 320 / (8 * 4) + 1  # a square is 4 points of 8 pixels


def test_two_fingers_zoom_and_one_moves(show):
    browser = show("a", "b")
    before = ask(browser, "state.zoom")
    touch(browser, "touchStart", (300, 250), (400, 250))
    touch(browser, "touchMove", (250, 250), (450, 250))
    touch(browser, "touchEnd")
    assert ask(browser, "state.zoom") == pytest.approx(2 * before, rel=0.05)
    start = ask(browser, "state.x")
    touch(browser, "touchStart", (300, 250))
    touch(browser, "touchMove", (340, 250))
    touch(browser, "touchEnd")
    assert ask(browser, f"(state.x - {start}) * scale()") == pytest.approx(-40, abs=1)


def touch(browser, kind, *points):
    fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})


def test_nothing_is_asked_for_and_nothing_goes_wrong_in_any_view(show):
    browser = show("low", "a", "b")
    press(browser, *"cdhd[]slx+-0124tt", "\ue012", "\ue013", "?", "\ue00c")
    drag(browser, stage_of(browser), 20, 20)
    ask(browser, "1")
    assert browser.get_log("browser") == []
    asked = requests(browser)
    assert asked and all(url.startswith(("file:", "data:")) for url in asked)


def test_the_page_itself_forbids_requests(show):
    browser = show("a", "b")
    script = "const done = arguments[0]; fetch('https://example.org').catch(e => done(String(e)))"
    assert "Failed to fetch" in browser.execute_async_script(script)
    assert any("Content Security Policy" in each["message"] for each in browser.get_log("browser"))
    assert not any(url.startswith("http") for url in requests(browser))


def test_it_is_light_or_dark_as_the_system_says_and_as_the_button_says(show):
    browser = show("a", "b")

    def brightness():
        return sum(
            ask(browser, "getComputedStyle(stage).backgroundColor.match(/\\d+/g).map(Number)")
        )

    seen = {}
    for scheme in ("dark", "light"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        seen[scheme] = brightness()
    press(browser, "t")
    assert seen["dark"] < 200 < 500 < seen["light"]
    assert brightness() == seen["dark"]


def test_an_index_leads_to_pages_and_pages_to_each_other(browser, pictures, tmp_path):
    for place, name in (("one", "a"), ("two", "b")):
        (tmp_path / place).mkdir()
        for title in ("x", "y"):
            shutil.copy(pictures / f"{name}.png", tmp_path / place / f"{title}.png")
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "two" / "y.png")
    report = compare((tmp_path / "one", tmp_path / "two"), page=tmp_path / "out")
    browser.get(report.index.as_uri())
    browser.find_element("css selector", "[data-order=psnr]").click()
    titles = [card.text for card in browser.find_elements("css selector", "#cards b")]
    browser.find_elements("css selector", "#cards a")[0].click()
    press(browser, "p")
    assert titles == ["y", "x"]
    assert browser.title == "x"
    assert browser.get_log("browser") == []
