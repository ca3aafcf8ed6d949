"""What OpenModelDB knows of weights, through its optional package.

The package fetches and keeps the index of openmodeldb.info (an hour, then it asks whether there is
a newer one). Files are fetched by srcli itself, as all others: resumed, checked, kept by digest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from pydantic import ValidationError

from srcli.errors import UnavailableWeightsError, UnknownWeightsError
from srcli.io.cache import cache_root
from srcli.io.catalogue import UrlSource
from srcli.io.sources.network import Hosts, SourceError

KINDS = ("safetensors", "pth")  # of files that srcli reads, the better first
# Hosts that show a page in place of the file.
PAGES = ("drive.google.com", "mediafire.com", "mega.nz", "mega.co.nz", "icedrive.net", "1drv.ms")
_MALFORMED = (AttributeError, LookupError, TypeError, ValueError, RecursionError)
Answer = TypeVar("Answer")
PLACE = "https://openmodeldb.info/models/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What the database says of one model."""

    name: str  # to pull it by
    author: str
    architecture: str
    scale: int
    licence: str  # as the database has it; empty if it states none
    tags: tuple[str, ...]
    description: str
    size: int | None  # bytes of the file that srcli would fetch
    sources: tuple[UrlSource, ...]  # of files that srcli reads, by plain addresses
    elsewhere: tuple[str, ...]  # addresses that only a browser can fetch from

    @property
    def homepage(self) -> str:
        return PLACE + self.name


class Database:
    """The index, from the package's copy or the network."""

    def __init__(self, *, is_cut_off: bool) -> None:
        self._package = _package()
        self._index = self._package.OpenModelDB(cache_dir=str(cache_root() / "openmodeldb"))
        copy = Path(self._index.cache_dir, "models.json")
        has_copy = copy.is_file()
        # The package throws a damaged copy away, and fetches another.
        if self._index.cache_is_valid() and (not is_cut_off or _is_json(copy)):
            return
        if is_cut_off:
            raise UnavailableWeightsError(
                "the index of OpenModelDB is not on this machine, or damaged or too old, and no "
                "connection may be opened",
                hint="search while online",
            )
        if not has_copy:  # with one, the package makes do where the network fails
            self._require_host()

    def search(self, word: str) -> tuple[Model, ...]:
        """Those with the word in name, author, tags or description."""
        return tuple(self._asked(lambda: [*map(_model, self._index.search(word))]))

    def find(self, name: str) -> Model:
        """The one of that name. Raises UnknownWeightsError if there is none, or more than one."""
        try:
            return self._asked(lambda: _model(self._index[name]))
        except self._package.ModelNotFoundError as error:
            raise UnknownWeightsError(
                f"OpenModelDB: {error}", hint=f"look for it: srcli weights search {name}"
            ) from None

    def _asked(self, question: Callable[[], Answer]) -> Answer:
        try:
            return question()
        except self._package.ModelNotFoundError:
            raise
        except self._package.OpenModelDBError as error:
            raise UnavailableWeightsError(f"OpenModelDB: {error}", hint=_LATER) from None
        except _MALFORMED as error:  # neither the package nor we expect other kinds of values
            reason = f"its index is damaged ({type(error).__name__})"
            raise UnavailableWeightsError(f"OpenModelDB: {reason}", hint=_LATER) from error

    def _require_host(self) -> None:
        address = import_module("openmodeldb.client").API_URL
        try:
            Hosts().require(address)
        except SourceError as error:
            raise UnavailableWeightsError(f"OpenModelDB: {error}", hint=_LATER) from None


_LATER = "check the connection, or get the file in a browser and `srcli weights import` it"


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return True


def _package() -> ModuleType:
    try:
        return import_module("openmodeldb")
    except ImportError as error:
        raise UnavailableWeightsError(
            f"OpenModelDB is asked through a package: {error}",
            hint="pip install 'srcli[openmodeldb]'",
        ) from None


def _model(known: Any) -> Model:  # noqa: ANN401
    files = [each for each in known.resources if each.get("type") in KINDS]
    files.sort(key=lambda each: KINDS.index(each["type"]))
    sources = tuple(source for file in files for source in _sources(file))
    urls = [str(url) for file in known.resources for url in file.get("urls", [])]
    plain = {source.url for source in sources}
    return Model(
        name=known.id,
        author=known.author,
        architecture=known.architecture,
        scale=int(known.scale or 0),
        licence=known.license or "",
        tags=tuple(known.tags),
        description=" ".join(str(known.description).split()),
        size=sources[0].size if sources else next((each.get("size") for each in files), None),
        sources=sources,
        elsewhere=tuple(url for url in urls if url not in plain),
    )


def _sources(file: Mapping[str, Any]) -> Iterator[UrlSource]:
    for url in map(str, file.get("urls", [])):
        is_page = any(host in url for host in PAGES)
        is_archive = url.partition("?")[0].lower().endswith((".zip", ".7z", ".rar"))
        if is_page or is_archive:
            continue
        try:
            digest = file.get("sha256")
            yield UrlSource(url=url, sha256=digest and digest.lower(), size=file.get("size"))
        except ValidationError:  # no address, or no digest: the next may be one
            continue
