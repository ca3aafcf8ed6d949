"""The page at `/`, and the viewer in it: the comparison page of `srcli compare`."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from json import dumps

import numpy as np

from srcli import __version__
from srcli.reports.page import Page, Shown, page_html
from srcli.web.parameters import Format
from srcli.web.service import Service

_SOURCES = re.compile(r"'sha256-[^']+'")


@dataclass(frozen=True, slots=True)
class Served:
    """A page and the policy that it is sent with."""

    html: str
    policy: str


def front_page(service: Service) -> Served:
    """Drop a picture, see it arrive, compare."""
    style = _shared("theme.css") + _own("front.css")
    script = _own("front.js")
    limits = service.settings.limits
    facts = {
        "bytes": limits.body_bytes,
        "megapixels": limits.pixels / 1e6,
        "needsKey": service.settings.api_key is not None,
    }
    values = {
        "version": __version__,
        "style": style,
        "script": script,
        "facts": dumps(facts).replace("<", "\\u003c"),
        "models": _options(service.names),
        "formats": _options([kind.value for kind in Format if kind is not Format.TIFF]),
        "limits": f"{limits.pixels / 1e6:g} megapixels and {limits.body_bytes / 2**20:g} MiB",
    }
    html = _filled(_own("front.html"), values)
    # What it makes of the viewer inherits this policy, so its parts must be allowed here too.
    viewed = " ".join(_SOURCES.findall(viewer_page().html))
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "connect-src 'self'; img-src 'self' data: blob:; frame-src blob:; "
        f"style-src {_digest(style)} {viewed}; script-src {_digest(script)} {viewed}"
    )
    return Served(html, policy)


def viewer_page() -> Served:
    """The comparison page with two single pixels, in whose place the page puts its pictures."""
    pixel = np.zeros((1, 1, 3), np.uint8)
    pictures = (Shown(label="before", levels=pixel), Shown(label="after", levels=pixel))
    html = page_html(Page(title="before and after", pictures=pictures, pairs=()))
    return Served(html, "default-src 'none'; frame-ancestors 'none'")


def _options(names: list[str]) -> str:
    return "".join(f"<option>{escape(name)}</option>" for name in names)


def _filled(template: str, values: Mapping[str, str]) -> str:
    first, *pieces = template.split("{{")
    shown = [first]
    for piece in pieces:
        key, _, rest = piece.partition("}}")
        shown += [values[key], rest]
    return "".join(shown)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _shared(name: str) -> str:
    return files("srcli.reports").joinpath("templates", name).read_text("utf-8")


def _own(name: str) -> str:
    return files("srcli.web").joinpath("templates", name).read_text("utf-8")
