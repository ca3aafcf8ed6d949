"""The weights that srcli knows: weights.toml, read strictly, and looked up as people spell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

import srcli
from srcli.errors import ConfigError, UnknownWeightsError
from srcli.io.toml import read_toml

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".param")

Digest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Bytes: TypeAlias = Annotated[int, Field(gt=0)]
Count: TypeAlias = Annotated[int, Field(gt=0)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class WantedFile(_Table):
    """A file that a source gives: its path there, and what it must be where that is known."""

    path: str
    sha256: Digest | None = None
    size: Bytes | None = None

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix.lower()


class HubSource(_Table):
    """A file on the Hugging Face hub."""

    kind: Literal["hub"] = "hub"
    repo: Annotated[str, Field(pattern=r"^[^/]+/[^/]+$")]
    file: str
    revision: str | None = None  # a commit, tag or branch; None is the default branch
    sha256: Digest | None = None
    size: Bytes | None = None
    measured: bool = False

    @property
    def files(self) -> tuple[WantedFile, ...]:
        return (WantedFile(path=self.file, sha256=self.sha256, size=self.size),)

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"hf://{self.repo}/{self.file}{revision}"


class UrlSource(_Table):
    """A file behind a plain address."""

    kind: Literal["url"] = "url"
    url: Annotated[str, Field(pattern=r"^https?://")]
    sha256: Digest | None = None
    size: Bytes | None = None
    measured: bool = False

    @property
    def files(self) -> tuple[WantedFile, ...]:
        return (WantedFile(path=self.url.partition("?")[0], sha256=self.sha256, size=self.size),)

    def __str__(self) -> str:
        return self.url


class PackageSource(_Table):
    """Data files of a Python distribution, which is never imported."""

    kind: Literal["package"] = "package"
    package: str
    version: str
    wheel_sha256: Digest | None = None
    files: Annotated[tuple[WantedFile, ...], Field(min_length=1, max_length=2)]
    measured: bool = False

    def __str__(self) -> str:
        return f"the package {self.package} {self.version}"


class ShippedSource(_Table):
    """A file that is part of srcli: it is always there, and needs no cache."""

    kind: Literal["shipped"] = "shipped"
    file: str  # below srcli/shipped
    sha256: Digest
    size: Bytes
    measured: bool = True

    @property
    def files(self) -> tuple[WantedFile, ...]:
        return (WantedFile(path=self.file, sha256=self.sha256, size=self.size),)

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(srcli.__file__).parent / "shipped" / self.file

    def __str__(self) -> str:
        return f"srcli itself, shipped/{self.file}"


Source: TypeAlias = Annotated[
    HubSource | UrlSource | PackageSource | ShippedSource, Field(discriminator="kind")
]


def pinned(source: Source, files: tuple[WantedFile, ...]) -> Source:
    """The source with the digests and sizes of `files`, which it gave before."""
    if isinstance(source, PackageSource):
        return source.model_copy(update={"files": files})
    return source.model_copy(update={"sha256": files[0].sha256, "size": files[0].size})


class Rrdb(_Table):
    """ESRGAN's network; with unshuffle > 1 it works on a smaller grid of more channels."""

    kind: Literal["rrdb", "esrgan-plus"]
    channels: Count
    growth: Count | None = None
    blocks: Count
    unshuffle: Count = 1


class Compact(_Table):
    """SRVGGNetCompact: a plain stack of convolutions and one pixel shuffle."""

    kind: Literal["compact"]
    channels: Count
    convolutions: Count


class UNetDiscriminator(_Table):
    """Real-ESRGAN's discriminator with spectral normalisation."""

    kind: Literal["unet-discriminator"]
    channels: Count


class Vgg(_Table):
    """A VGG of torchvision, without batch normalisation."""

    kind: Literal["vgg"]
    layers: Literal[16, 19]


class AlexNet(_Table):
    """torchvision's AlexNet."""

    kind: Literal["alexnet"]


class LpipsHeads(_Table):
    """The linear heads of LPIPS on the features of `net`."""

    kind: Literal["lpips"]
    net: Literal["alex", "vgg", "squeeze"]


class StLpips(_Table):
    """Shift-tolerant LPIPS: features and heads in one file."""

    kind: Literal["st-lpips"]
    net: Literal["alex"]


Architecture: TypeAlias = Annotated[
    Rrdb | Compact | UNetDiscriminator | Vgg | AlexNet | LpipsHeads | StLpips,
    Field(discriminator="kind"),
]


class Entry(_Table):
    """One set of weights: what it is, what it is good for, and where it can be had."""

    name: str = ""  # the key of its table
    aliases: tuple[str, ...] = ()
    purpose: str
    role: Literal["upscaler", "discriminator", "features", "metric"] = "upscaler"
    licence: str  # an SPDX identifier; NOASSERTION where the author states none
    commercial: bool = True
    scale: Literal[1, 2, 4, 8] | None = None  # only upscalers have one
    architecture: Architecture
    homepage: str
    note: str = ""
    keep: str = ""  # only tensors whose names begin so are kept of a file that was fetched
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]

    @property
    def is_shipped(self) -> bool:
        """Whether it comes with srcli."""
        return any(isinstance(source, ShippedSource) for source in self.sources)

    @property
    def size(self) -> int | None:
        """Bytes of the files that the first source gives, where they are known."""
        sizes = [file.size for file in self.sources[0].files]
        return sum(size for size in sizes if size) if all(sizes) else None


class _Document(_Table):
    weights: dict[str, Entry]


class Catalogue:
    """Entries by name; look-ups forgive capitals, separators and a file suffix."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = {
            name: entry.model_copy(update={"name": name}) for name, entry in entries.items()
        }
        self._names: dict[str, str] = {}
        for entry in self:
            for spelling in (entry.name, *entry.aliases):
                other = self._names.setdefault(key(spelling), entry.name)
                if other != entry.name:
                    message = f"weights.{entry.name}.aliases: {spelling!r} already means {other}"
                    raise ConfigError(message, hint="give each spelling to one entry")

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def find(self, name: str) -> Entry | None:
        """The entry that `name` spells, or None."""
        found = self._names.get(key(name))
        return self._entries[found] if found else None

    def with_digest(self, digests: tuple[str, ...]) -> tuple[Entry, Source] | None:
        """The entry, and its source, that gives files of exactly these digests, or None."""
        for entry in self:
            for source in entry.sources:
                if tuple(file.sha256 for file in source.files) == digests:
                    return entry, source
        return None

    def unknown(self, name: str, more: tuple[str, ...] = ()) -> UnknownWeightsError:
        """The error for a name that is neither here nor among `more`, with the nearest ones."""
        names = self._names | {key(other): other for other in more}
        wanted = key(name)
        close = get_close_matches(wanted, names, n=3, cutoff=0.6)
        close += [spelling for spelling in names if len(wanted) > 2 and wanted in spelling]
        nearest = list(dict.fromkeys(names[spelling] for spelling in close))[:3]
        similar = f"the nearest: {', '.join(nearest)}" if nearest else "nothing similar is known"
        message = f"no weights and no file named {name!r} ({similar})"
        return UnknownWeightsError(
            message, hint="see `srcli weights list`, or give a path to a file"
        )


def key(spelling: str) -> str:
    """What two spellings of one name have in common.

    >>> key("RealESRGAN_x4plus.pth") == key("realesrgan-x4plus") == key("RealESRGAN x4plus")
    True
    """
    plain = spelling.lower()
    for suffix in SUFFIXES:
        plain = plain.removesuffix(suffix)
    return re.sub(r"[-_:\s]", "", plain)


def catalogue_path() -> Path:
    """Where weights.toml is: in the installed package, or in the checkout it is run from."""
    package = Path(srcli.__file__).parent
    installed = package / "weights.toml"
    return installed if installed.is_file() else package.parent / "weights.toml"


def read_catalogue(path: Path) -> Catalogue:
    """The catalogue in the file. Raises ConfigError that names the place of every problem."""
    hint = "docs/reference/weights.md describes the file"
    return Catalogue(read_toml(path, _Document, hint=hint).weights)


@cache
def catalogue() -> Catalogue:
    """The catalogue that srcli ships."""
    return read_catalogue(catalogue_path())
