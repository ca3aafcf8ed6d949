"""One self-contained page that shows pictures against each other, and an index of such pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from PIL import Image

from srcli.reports.difference import Difference, Levels, enlarged
from srcli.reports.document import document, image_address, picture_address

THUMBNAIL = (520, 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One picture of a page, (H, W, 3)."""

    label: str
    levels: Levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The difference of two pictures, by their places on the page."""

    first: int
    second: int
    difference: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Relative addresses of the pages around this one."""

    index: str
    previous: str | None = None
    following: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page shows. The largest picture gives the size; the others are enlarged in it."""

    title: str
    pictures: tuple[Shown, ...]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...] = ()
    corner: tuple[int, int] = (0, 0)  # left and top of what is shown, in the whole picture
    links: Links | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One page in the index."""

    title: str
    address: str
    thumbnail: str  # a data address
    psnr: float


def page_html(page: Page) -> str:
    """The whole page as a text."""
    pictures = "".join(
        f'<img alt="{escape(shown.label)}" src="{picture_address(Image.fromarray(shown.levels))}">'
        for shown in page.pictures
    )
    parts = {"links": _links(page.links), "notes": _items(page.notes), "pictures": pictures}
    return document("page", page.title, parts, _data(page))


def index_html(title: str, cards: Sequence[Card], notes: Sequence[str] = ()) -> str:
    """The index as a text: a card with a thumbnail for each page."""
    shown = "".join(
        f'<a href="{_quoted(card.address)}" data-psnr="{min(card.psnr, 999):.4f}">'
        f'<img alt="" src="{card.thumbnail}"><div><b>{escape(card.title)}</b>'
        f"<span>{_decibels(card.psnr)}</span></div></a>"
        for card in cards
    )
    summary = f"{len(cards)} pictures; the left half is the first, the right half the last"
    items = f"<ul>{_items(notes)}</ul>" if notes else ""
    return document("index", title, {"summary": summary, "cards": shown, "notes": items})


def thumbnail(first: Levels, last: Levels) -> str:
    """Left half of one picture, right half of another, as a small data address."""
    height, width = max(first.shape[:2], last.shape[:2])
    half = Image.fromarray(enlarged(first, height, width))
    whole = Image.fromarray(enlarged(last, height, width))
    for picture in (half, whole):
        picture.thumbnail(THUMBNAIL, Image.Resampling.BOX)
    middle = whole.width // 2
    whole.paste(half.crop((0, 0, middle, whole.height)), (0, 0))
    whole.paste((255, 255, 255), (middle, 0, middle + 2, whole.height))
    return image_address(whole, "WEBP", quality=82)


def _data(page: Page) -> dict[str, object]:
    height, width = (max(shown.levels.shape[axis] for shown in page.pictures) for axis in (0, 1))
    return {
        "width": width,
        "height": height,
        "left": page.corner[0],
        "top": page.corner[1],
        "pictures": [{"label": shown.label} for shown in page.pictures],
        "pairs": [
            {
                "first": pair.first,
                "second": pair.second,
                "psnr": None if math.isinf(pair.difference.psnr) else pair.difference.psnr,
                "mean": pair.difference.mean,
                "largest": pair.difference.largest,
                "changed": pair.difference.changed,
            }
            for pair in page.pairs
        ],
    }


def _links(links: Links | None) -> str:
    if links is None:
        return ""
    places = {
        "index": ("All", links.index),
        "prev": ("← Previous", links.previous),
        "next": ("Next →", links.following),
    }
    return "".join(
        f'<a rel="{name}" href="{_quoted(address)}">{text}</a>'
        for name, (text, address) in places.items()
        if address
    )


def _quoted(address: str) -> str:
    """As a link has it, whatever bytes the name of a file has.

    >>> _quoted("a b\\udcff.html")
    'a%20b%FF.html'
    """
    return quote(address, errors="surrogateescape")


def _items(sentences: Sequence[str]) -> str:
    return "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)


def _decibels(psnr: float) -> str:
    return "equal" if math.isinf(psnr) else f"{psnr:.2f} dB"
