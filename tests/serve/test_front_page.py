"""The page of the service in a real browser: drop a picture, compare, ask nobody else."""

import json
import os
import shutil
import tempfile

import pytest
from service_tools import noise

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="Chromium and chromedriver are not installed"
)
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
waiting = pytest.importorskip("selenium.webdriver.support.ui")

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--window-size=1000,700"
)
DROP = """
const [bytes, name] = arguments;
const file = new File([Uint8Array.from(atob(bytes), c => c.charCodeAt(0))], name);
const data = new DataTransfer();
data.items.add(file);
document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
"""


@pytest.fixture(scope="module")
def browser():
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        environment = {**os.environ, "SE_OFFLINE": "true"}
        service = webdriver.ChromeService(DRIVER, env=environment)
        driver = webdriver.Chrome(options=options, service=service)
        yield driver
        driver.quit()


@pytest.fixture
def page(browser, ask):
    browser.get("about:blank")  # the browser's own first page asks for its parts
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(f"http://127.0.0.1:{ask.port}/")
    return browser


def drop(browser, body, name="photo.png"):
    from base64 import b64encode

    browser.execute_script(DROP, b64encode(body).decode(), name)
    shown = waiting.WebDriverWait(browser, 20)
    shown.until(lambda _: is_shown(browser, "result") or is_shown(browser, "problem"))


def is_shown(browser, name):
    return browser.find_element("id", name).is_displayed()


def requests(browser):
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def test_a_dropped_picture_is_enlarged_and_can_be_compared(page, ask):
    drop(page, noise(40, 30))
    assert page.find_element("id", "facts").text.startswith("160 × 120, ")
    page.switch_to.frame("viewer")
    shown = waiting.WebDriverWait(page, 20)
    shown.until(lambda _: page.execute_script("return document.body.dataset.ready") == "yes")
    assert page.execute_script("draw(); return [data.width, data.height]") == [160, 120]
    assert page.execute_script("return sources.map(each => each.naturalWidth)") == [40, 160]
    page.execute_script("change({ view: 'difference' }); draw()")  # reads the pixels of both
    page.switch_to.default_content()
    assert page.get_log("browser") == []
    own = (f"http://127.0.0.1:{ask.port}/", f"blob:http://127.0.0.1:{ask.port}/", "data:")
    asked = requests(page)
    assert len(asked) > 3 and all(address.startswith(own) for address in asked)


def test_what_is_no_picture_is_told_and_another_may_be_tried(page):
    drop(page, b"hello", "letter.txt")
    assert "no picture" in page.find_element("id", "problem").text
    drop(page, bytes(300_000), "large.png")
    assert "too large" in page.find_element("id", "problem").text
    page.find_element("css selector", "[name=scale] option:nth-child(2)").click()
    drop(page, noise(20, 10))
    shown = waiting.WebDriverWait(page, 20)
    shown.until(lambda _: is_shown(page, "viewer"))
    assert page.find_element("id", "facts").text.startswith("40 × 20, ")
    page.find_element("id", "again").click()
    assert is_shown(page, "drop") and not is_shown(page, "viewer")
