"""Where a picture can lie: a path on this machine, or an address in a store.

    Path("photos/a.jpg")              "photos/a.jpg"  or  "file:///photos/a.jpg"
    Remote("s3", "bucket/a.jpg")      "s3://bucket/a.jpg"

Both have a name, a stem, a suffix, a parent and `/`, which is all that naming results needs. What
an address shows of itself never holds a secret; io.stores reads and writes what it names.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

from srcli.errors import UsageError
from srcli.io.files import can_be

OBJECT_SCHEMES = ("s3", "gs", "az", "hf", "memory")
WEB_SCHEMES = ("http", "https")
SCHEMES = (*OBJECT_SCHEMES, *WEB_SCHEMES)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.S)  # two letters: C:// is a drive
# What a signature adds to the address of an object, in lower case; it changes, the object does not.
_SIGNED = re.compile(
    r"x-amz-.*|x-goog-.*|googleaccessid|awsaccesskeyid|expires|signature|key-pair-id|policy"
    r"|se|sig|sip|sp|spr|sr|srt|ss|st|sv|skoid|sktid|skt|ske|sks|skv|token|access_token"
)


@dataclass(frozen=True, slots=True)
class Remote:
    """A place in a store, by a key whose parts are separated by slashes.

    `str()` of it is what is shown, written down and compared: an address without secrets.
    """

    scheme: str
    key: str  # without a slash at its end
    access: str = field(default="", compare=False, repr=False)  # how to reach it, if not by its key

    def __str__(self) -> str:
        return f"{self.scheme}://{self.key}"

    def __truediv__(self, below: str | PurePath) -> Remote:
        text = below.as_posix() if isinstance(below, PurePath) else below
        return self if text in ("", ".") else Remote(self.scheme, f"{self.key}/{text}")

    @property
    def url(self) -> str:
        """What the store is asked for. May hold a secret: never shown."""
        return self.access or str(self)

    @property
    def name(self) -> str:
        """The last part, without the digest of a query.

        >>> Remote("s3", "bucket/trip/a.b.jpg").name
        'a.b.jpg'
        """
        return self.key.rpartition("/")[2].partition("?")[0] if self._is_web else self._last

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def parts(self) -> tuple[str, ...]:
        return (f"{self.scheme}://", *self.key.split("/"))

    @property
    def parent(self) -> Remote:
        """The folder; a bucket is its own."""
        above = self.key.rpartition("/")[0]
        return Remote(self.scheme, above or self.key)

    @property
    def is_shared(self) -> bool:
        """Whether other processes and machines see the same."""
        return self.scheme != "memory"

    def is_below(self, folder: Remote) -> bool:
        """Whether it lies in `folder`, at any depth."""
        return self.scheme == folder.scheme and self.key.startswith(f"{folder.key}/")

    def below(self, folder: Remote) -> PurePosixPath:
        """Its path below `folder`.

        >>> str(Remote("s3", "bucket/trip/a.jpg").below(Remote("s3", "bucket")))
        'trip/a.jpg'
        """
        assert self.is_below(folder), (str(self), str(folder))
        return PurePosixPath(self.key.removeprefix(f"{folder.key}/"))

    @property
    def _is_web(self) -> bool:
        return self.scheme in WEB_SCHEMES

    @property
    def _last(self) -> str:
        return self.key.rpartition("/")[2]


Address: TypeAlias = Path | Remote


def address_of(text: str | os.PathLike[str]) -> Address:
    """What a user wrote, as an address. Raises UsageError for a store that srcli does not know.

    >>> address_of("photos/a.jpg"), address_of("file:///photos/a%20b.jpg")
    (PosixPath('photos/a.jpg'), PosixPath('/photos/a b.jpg'))
    >>> str(address_of("https://host/a.jpg?X-Amz-Signature=0123"))
    'https://host/a.jpg'
    """
    matched = _SCHEME.match(text) if isinstance(text, str) else None
    if matched is None:
        return _path(Path(text))
    scheme, rest = matched[1].lower(), matched[2]
    if scheme == "file":
        return _path(Path(_local(rest.removeprefix("localhost"))))
    if scheme not in SCHEMES:
        raise UsageError(
            f"srcli knows no {scheme}:// addresses",
            hint=f"use a path, or one of {', '.join(f'{known}://' for known in SCHEMES)}",
        )
    _check(scheme, rest)
    return _web(scheme, rest) if scheme in WEB_SCHEMES else Remote(scheme, rest.rstrip("/"))


def _path(path: Path) -> Path:
    if not can_be(path):
        raise UsageError(f"{path} can be no file: its name is too long", hint="check the path")
    return path


def _local(place: str) -> str:
    """The path behind `file://`; a name may hold bytes that are no UTF-8, a drive has no slash."""
    try:
        path = os.fsdecode(unquote_to_bytes(os.fsencode(place)))
    except UnicodeEncodeError:  # half a character, which no name holds
        return place
    return path[1:] if os.name == "nt" and re.match(r"/[A-Za-z]:", path) else path


def is_remote(text: str) -> bool:
    """Whether a user wrote the address of a store."""
    matched = _SCHEME.match(text)
    return matched is not None and matched[1].lower() != "file"


def relative_to(address: Address, folder: Address) -> PurePath:
    """The path of an address below a folder of the same kind."""
    if isinstance(address, Remote) and isinstance(folder, Remote):
        return address.below(folder)
    assert isinstance(address, Path) and isinstance(folder, Path)
    return address.relative_to(folder)


def _check(scheme: str, rest: str) -> None:
    if not rest.strip("/"):
        raise UsageError(f"{scheme}:// names nothing", hint=f"write {scheme}://BUCKET/FOLDER")
    if "@" in rest.partition("/")[0] and scheme != "hf":  # hf://repo@revision
        raise UsageError(
            f"a {scheme}:// address holds a name or a password before its @",
            hint="keep secrets in the store's own environment or configuration files",
        )


def _web(scheme: str, rest: str) -> Remote:
    """An address of the web: two signatures of one object are one address."""
    try:
        parts = urlsplit(f"{scheme}://{rest}")
    except ValueError as error:
        raise UsageError(
            f"{scheme}://{rest.partition('?')[0]} is no address: {error}",
            hint="check how the host is spelled",
        ) from None
    meant = [
        pair
        for pair in parse_qsl(parts.query, keep_blank_values=True)
        if not _SIGNED.fullmatch(pair[0].lower())
    ]
    # A query may hold what nobody else must see, and may be what tells two pictures apart.
    told = f"?{hashlib.sha256(repr(sorted(meant)).encode()).hexdigest()[:8]}" if meant else ""
    key = f"{parts.netloc}{parts.path}".rstrip("/")
    return Remote(scheme, f"{key}{told}", access=parts._replace(fragment="").geturl())
