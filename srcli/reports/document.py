"""What every page for people is made from: one file, which asks nothing of the network.

A content policy forbids it, and names the page's own style and script by their digests. The parts
lie in `templates/`, readable: `base.html` around the body of the page, `theme.css` before its
style, `common.js` before its script.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from io import BytesIO

from PIL import Image

from srcli import __version__

WEBP_SIDE = 16_383  # what the format holds


def document(name: str, title: str, parts: Mapping[str, str], data: object = None) -> str:
    """The page of the templates `name`, with `parts` (HTML) in its body and `data` for its script.

    Raises ValueError where `data` holds a number that JSON does not have.
    """
    style = _template("theme.css") + _template(f"{name}.css")
    script = _template("common.js") + _template(f"{name}.js")
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_digest(style)}; script-src {_digest(script)}"
    )
    shown_title = escape(title)
    values = {
        "title": shown_title,
        "body": _filled(_template(f"{name}.html"), {"title": shown_title, **parts}),
        "data": json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
        "version": __version__,
        "policy": policy,
        "style": style,
        "script": script,
    }
    return _filled(_template("base.html"), values)


def picture_address(image: Image.Image) -> str:
    """A picture as a data address, with no loss: WebP, or PNG where WebP is too small."""
    if max(image.size) > WEBP_SIDE:
        return image_address(image, "PNG")
    return image_address(image, "WEBP", lossless=True, quality=60, method=2)


def image_address(image: Image.Image, kind: str, **options: int) -> str:
    """A picture as a data address in a format that Pillow writes."""
    file = BytesIO()
    image.save(file, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _filled(template: str, values: Mapping[str, str]) -> str:
    pieces = template.split("{{")  # a value may itself contain the marks
    shown = [pieces[0]]
    for piece in pieces[1:]:
        key, _, rest = piece.partition("}}")
        shown += [values[key], rest]
    return "".join(shown)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _template(name: str) -> str:
    return files("srcli.reports").joinpath("templates", name).read_text(encoding="utf-8")
