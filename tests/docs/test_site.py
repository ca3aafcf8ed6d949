"""The built documentation: complete, whole in its links, and asking nothing of the network."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pages import ROOT

from srcli.cli.app import app
from srcli.cli.manual import commands

pytest.importorskip("zensical", reason="the extra docs is not installed")
CONFIGURATION = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
WRITTEN = sorted(str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md"))

# The results may stand in a tree of their own, a shadow root. They come from a worker.
LOOK = """
    const [done] = arguments, end = Date.now() + 8000
    function look() {
        const roots = [...document.querySelectorAll("*")].map(each => each.shadowRoot)
        const texts = roots.map(root => root ? root.textContent : "")
        const text = document.body.innerText + texts.join(" ")
        if (/Picture formats/.test(text) || Date.now() > end) done(text)
        else setTimeout(look, 50)
    }
    look()
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The pages as they are published, built strictly: a broken link ends the build."""
    folder = tmp_path_factory.mktemp("documentation")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    for name in ("srcli", "srcli_docs", "weights.toml"):
        (folder / name).symlink_to(ROOT / name)
    # A build with a proxy that is not there: whoever asks for something fails.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "ALL_PROXY"), "http://localhost:9")
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(
        command, cwd=folder, env=os.environ | nowhere, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "site"


class Page(HTMLParser):
    """What a page offers to link to, and what it refers to."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loads = {""}, [], []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag in {"link", "script", "img", "source", "iframe"}:
            self.loads += [found[key] for key in ("src", "href") if found.get(key)]


page_at = cache(Page)


def listed(nav):
    for entry in nav:
        if isinstance(entry, str):
            yield entry
        else:
            for below in entry.values():
                yield from [below] if isinstance(below, str) else listed(below)


def test_every_page_is_in_the_navigation_once():
    assert sorted(listed(CONFIGURATION["nav"])) == WRITTEN


def test_every_command_has_its_page():
    pages = {Path(page).stem for page in WRITTEN if page.startswith("reference/commands/")}
    assert pages == {each.name.partition(" ")[0] for each in commands(app)}


def test_every_link_and_anchor_leads_somewhere(site):
    built = {str(path.relative_to(site).with_suffix(".md")) for path in site.glob("**/*.html")}
    assert built == {*WRITTEN, "404.md"}
    pages = [(site / page).with_suffix(".html") for page in WRITTEN]
    lost = [
        f"{page}: {link}"
        for page in pages
        for link in page_at(page).links
        if not leads_somewhere(page, urlsplit(link))
    ]
    assert lost == []


def leads_somewhere(page, link):
    if link.scheme or link.netloc:
        return True
    target = (page.parent / unquote(link.path)).resolve() if link.path else page
    is_page = target.suffix == ".html"
    return target.is_file() and (not is_page or unquote(link.fragment) in page_at(target).anchors)


def test_nothing_is_left_to_generate(site):
    assert not any("generated:" in path.read_text("utf-8") for path in site.glob("**/*.html"))
    upscale = (site / "reference/commands/upscale.html").read_text("utf-8")
    assert all(option in upscale for option in ("--long-side", "--seamless", "--color-fix"))
    assert "4x-nomos8ksc" in (site / "reference/weights.html").read_text("utf-8")
    assert "<math" in (site / "explanation/losses.html").read_text("utf-8")
    assert "milestone_steps" in (site / "reference/training-config.html").read_text("utf-8")


def test_pages_load_nothing_from_elsewhere(site):
    loads = {load for path in site.glob("**/*.html") for load in page_at(path).loads}
    assert [load for load in loads if urlsplit(load).netloc] == []
    styles = "".join(path.read_text("utf-8") for path in site.glob("**/*.css"))
    assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*\)|@import[^;]*", styles) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 1280])
def test_pages_fit_and_stay_quiet_in_a_browser(site, browser, scheme, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get((site / "index.html").as_uri())
    browser.execute_script("localStorage.clear()")  # the scheme of an earlier visit
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    for name in ("index", "explanation/losses", "reference/commands/upscale", "reference/python"):
        browser.get((site / f"{name}.html").as_uri())
        room = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.execute_script(room) <= 0, name
        shown = browser.execute_script("return document.body.dataset.mdColorScheme")
        assert shown == {"light": "default", "dark": "slate"}[scheme]
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    assert [url for url in requested(browser) if not url.startswith(("file:", "data:"))] == []


def test_the_search_finds_a_word_without_a_network(site, browser):
    size = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get((site / "index.html").as_uri())
    browser.find_element("css selector", ".md-search__button").click()
    browser.switch_to.active_element.send_keys("premultiplied")
    found = browser.execute_async_script(LOOK)
    assert "Picture formats" in found


def requested(browser):
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            yield message["params"]["request"]["url"]
