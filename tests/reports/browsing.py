"""Opening a page and hearing what it asks of the network."""

import json
from pathlib import Path


def visit(browser, page: Path):
    """Open a page, and wait until it is drawn."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # forget the page before
    browser.get(page.as_uri())
    browser.execute_async_script(
        "const done = arguments[0];"
        "(function wait() { document.body.dataset.ready ? done() : setTimeout(wait, 10) })()"
    )
    return browser


def requests(browser):
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
