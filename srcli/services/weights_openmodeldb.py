"""Weights of OpenModelDB: searched, and pulled like all others, with digest and licence."""

from __future__ import annotations

import re
from functools import partial

from srcli.errors import UnavailableWeightsError
from srcli.io.cache import Cache, Record
from srcli.io.catalogue import catalogue, pinned
from srcli.io.openmodeldb import Database, Model
from srcli.io.sources import Hosts, SourceError, fetch
from srcli.io.sources.network import is_offline
from srcli.services.weights_fetching import (
    BLIND,
    LicenceNotice,
    OnEvent,
    SourceFailed,
    WeightsFile,
    report,
    turn,
)

PREFIX = "openmodeldb:"
UNSTATED = "NOASSERTION"  # as in the catalogue, where an author states no licence


def search_openmodeldb(word: str, *, offline: bool | None = None) -> tuple[Model, ...]:
    """What OpenModelDB has by that word. Raises UnavailableWeightsError."""
    return Database(is_cut_off=is_offline(offline)).search(word)


def from_openmodeldb(
    name: str, cache: Cache, is_cut_off: bool, trust: bool, on_event: OnEvent
) -> WeightsFile:
    """The weights of `openmodeldb:NAME`, fetched, checked and recorded.

    From then on they are here by this name, also offline. Raises UnknownWeightsError or
    UnavailableWeightsError.
    """
    model = Database(is_cut_off=is_cut_off).find(name.removeprefix(PREFIX))
    if is_cut_off:
        message = f"{name} is not on this machine, and no connection may be opened"
        raise UnavailableWeightsError(message, hint="pull it while online")
    ours = record_name(model.name)
    with turn(ours, cache, on_event):
        weights = _fetched(model, ours, cache, trust, on_event)
    if not is_commercial(weights.licence) and cache.is_first_notice(ours):
        on_event(LicenceNotice(ours, weights.licence, model.homepage))
    return weights


def record_name(name: str) -> str:
    """What weights of the database are called here.

    >>> record_name("4x-UltraSharp")
    'openmodeldb-4x-ultrasharp'
    """
    return f"openmodeldb-{re.sub(r'[^a-z0-9.+]+', '-', name.lower()).strip('-.')}"


def is_commercial(licence: str) -> bool:
    """Whether a licence by its name allows commercial use.

    >>> is_commercial("CC-BY-NC-SA-4.0"), is_commercial("MIT")
    (False, True)
    """
    return "NC" not in licence.upper().split("-")


def _fetched(model: Model, ours: str, cache: Cache, trust: bool, on_event: OnEvent) -> WeightsFile:
    hosts, reasons = Hosts(), list[str]()
    for known in model.sources:
        try:
            if known.sha256 is None and not trust:
                raise SourceError(BLIND)
            gained = fetch(known, cache, hosts, partial(report, on_event, ours, str(known)))
        except SourceError as error:
            on_event(SourceFailed(ours, str(known), str(error)))
            reasons.append(str(error))
            continue
        files = tuple(cache.keep(path, wanted) for path, wanted in gained)
        source = pinned(known, tuple(wanted for _, wanted in gained))
        (wanted,) = source.files
        digest = wanted.sha256 or ""
        known_here = catalogue().with_digest((digest,))
        licence = known_here[0].licence if known_here else model.licence or UNSTATED
        record = Record(
            name=ours,
            source=str(source),
            files=source.files,
            is_imported=True,
            licence=licence,
            scale=model.scale or None,
            purpose=f"{', '.join(model.tags)} (OpenModelDB, by {model.author})",
        )
        cache.write_record(record)
        return WeightsFile(
            name=ours,
            files=files,
            entry=known_here[0] if known_here else None,
            digest=digest,
            source=str(source),
            licence=licence,
        )
    raise _unavailable(model, reasons)


def _unavailable(model: Model, reasons: list[str]) -> UnavailableWeightsError:
    if set(reasons) == {BLIND}:
        return UnavailableWeightsError(
            f"no source gave {PREFIX}{model.name}: {BLIND}",
            hint="pass --trust to accept what the source gives, unseen",
        )
    why = "; ".join(dict.fromkeys(reasons)) or "it has no file that can be fetched directly"
    elsewhere = f" ({model.elsewhere[0]})" if model.elsewhere else ""
    return UnavailableWeightsError(
        f"no source gave {PREFIX}{model.name}: {why}",
        hint=f"get it in a browser from {model.homepage}{elsewhere}, "
        "then `srcli weights import` it",
    )
