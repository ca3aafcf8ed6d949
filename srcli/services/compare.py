"""Pictures against each other: a page for each, an index for folders, a sheet of crops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, pairwise
from pathlib import Path

from srcli.errors import ImageError, OutputError, SrcliError, UsageError
from srcli.io.files import output_errors, replacing
from srcli.io.foreign_save import save_whole
from srcli.io.looks import is_folder, is_there
from srcli.reports.difference import difference
from srcli.reports.page import Card, Links, Page, Pair, Shown, index_html, page_html, thumbnail
from srcli.reports.sheet import Box, comparison_sheet, interesting_boxes
from srcli.services.naming import distinct
from srcli.services.partners import match
from srcli.services.picture_sets import PictureSet, check_box, read_set

PAGE, FOLDER = Path("compare.html"), Path("compare")
PAGES = "pages"  # inside the folder, beside its index
LIMIT_MEGAPIXELS = 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """What is shown, and how much of it."""

    labels: tuple[str, ...] = ()  # for each place; empty takes names
    limit_megapixels: float = LIMIT_MEGAPIXELS  # of a picture on a page
    part: Box | None = None  # all that a page shows
    crops: tuple[Box, ...] = ()  # rows of a sheet; empty looks for them
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.limit_megapixels <= 0:
            hint = "use a number above 0"
            raise UsageError(f"impossible limit {self.limit_megapixels} MP", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One set of pictures: what was written, and how they differ."""

    title: str
    labels: tuple[str, ...]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]
    page: Path | None = None
    sheet: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCompared:
    """A set of pictures that could not be compared, and why."""

    title: str
    error: SrcliError


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareReport:
    """What became of it all."""

    done: tuple[Compared, ...]
    failed: tuple[NotCompared, ...]
    index: Path | None
    lonely: tuple[Path, ...]  # without a partner

    @property
    def exit_code(self) -> int:
        """1 when a picture had no partner or could not be compared."""
        return int(bool(self.failed or self.lonely))


OnCompared = Callable[[Compared | NotCompared], None]


def compare(
    places: Sequence[Path],
    *,
    page: Path | None = None,
    sheet: Path | None = None,
    options: CompareOptions | None = None,
    on_compared: OnCompared = lambda result: None,
) -> CompareReport:
    """Compare files with each other, or folders picture by picture.

    Files make one page; `page` None is compare.html, or none where only a sheet is asked for.
    Folders make a folder of pages with an index.html. Raises UsageError, ImageError or
    OutputError where nothing can be compared or written.
    """
    options = options or CompareOptions()
    labels = _labels(places, options.labels)
    if any(is_folder(place) for place in places):
        if sheet is not None:
            hint = "name files for a sheet; folders make pages"
            raise UsageError("a sheet shows one set of pictures, not folders", hint=hint)
        return _compare_folders(places, labels, page or FOLDER, options, on_compared)
    rows = match(*places).rows
    page = PAGE if page is None and sheet is None else page
    for target in (page, sheet):
        _check_target(target, places, overwrite=options.overwrite)
    pictures = read_set(rows[0][1], labels)
    result = _compared(pictures, " · ".join(labels))
    if page is not None:
        result = _write_page(page, pictures, result, options)
    if sheet is not None:
        _write_sheet(sheet, pictures, options)
        result = replace(result, sheet=sheet)
    on_compared(result)
    return CompareReport(done=(result,), failed=(), index=None, lonely=())


def compare_upscaled(
    source: Path, output: Path, *, page: Path | None = None, options: CompareOptions | None = None
) -> Compared:
    """A page of a picture and what was made of it; beside the output where `page` is None."""
    options = options or CompareOptions(labels=(source.name, output.name), overwrite=True)
    target = page or output.with_suffix(".html")
    (result,) = compare((source, output), page=target, options=options).done
    return result


def _compared(pictures: PictureSet, title: str) -> Compared:
    levels = pictures.at_one_size()
    pairs = tuple(
        Pair(first=first, second=second, difference=difference(levels[first], levels[second]))
        for first, second in combinations(range(len(levels)), 2)
    )
    return Compared(title=title, labels=pictures.labels, pairs=pairs, notes=pictures.notes)


def _write_page(
    target: Path,
    pictures: PictureSet,
    result: Compared,
    options: CompareOptions,
    links: Links | None = None,
) -> Compared:
    corner = (0, 0)
    if options.part is not None:
        pictures, corner = pictures.part(options.part), (options.part.left, options.part.top)
    pictures = pictures.shrunk(options.limit_megapixels)
    shown = zip(pictures.labels, pictures.levels, strict=True)
    page = Page(
        title=result.title,
        pictures=tuple(Shown(label=label, levels=levels) for label, levels in shown),
        pairs=result.pairs,
        notes=pictures.notes,
        corner=corner,
        links=links,
    )
    with replacing(target) as partial:
        _write_html(partial, page_html(page))
    return replace(result, page=target, notes=pictures.notes)


def _write_sheet(target: Path, pictures: PictureSet, options: CompareOptions) -> None:
    levels = pictures.at_one_size()
    for box in options.crops:
        check_box(box, pictures.size)
    boxes = options.crops or interesting_boxes(levels)
    sheet = comparison_sheet(list(zip(pictures.labels, levels, strict=True)), boxes)
    with replacing(target) as partial:
        save_whole(sheet, partial)


def _compare_folders(
    places: Sequence[Path],
    labels: Sequence[str],
    folder: Path,
    options: CompareOptions,
    on_compared: OnCompared,
) -> CompareReport:
    index = folder / "index.html"
    if is_there(folder) and not is_folder(folder):
        raise OutputError(f"{folder} is a file", hint="name a folder for the pages of folders")
    _check_target(index, (), overwrite=options.overwrite)
    partners = match(*places)
    with output_errors(folder):
        (folder / PAGES).mkdir(parents=True, exist_ok=True)
    cards: list[Card] = []
    done: list[Compared] = []
    failed: list[NotCompared] = []

    def sound() -> Iterator[tuple[str, PictureSet]]:
        for title, paths in partners.rows:
            try:
                yield title, read_set(paths, labels)
            except ImageError as error:
                failed.append(NotCompared(title=title, error=error))
                on_compared(failed[-1])

    names, previous = _page_names([title for title, _ in partners.rows]), None
    for current, following in pairwise(chain(sound(), [None])):
        assert current is not None
        title, pictures = current
        address = Path(PAGES) / names[title]
        links = Links(
            index=f"../{index.name}",
            previous=previous,
            following=names[following[0]] if following else None,
        )
        result = _write_page(folder / address, pictures, _compared(pictures, title), options, links)
        cards.append(_card(address, pictures, result))
        done.append(result)
        on_compared(result)
        previous = address.name
    notes = [f"{each.title}: {each.error}" for each in failed]
    notes += [f"{path} has no partner" for path in partners.lonely]
    with replacing(index) as partial:
        _write_html(partial, index_html(" · ".join(labels), cards, notes))
    return CompareReport(
        done=tuple(done), failed=tuple(failed), index=index, lonely=partners.lonely
    )


def _card(address: Path, pictures: PictureSet, result: Compared) -> Card:
    last = len(pictures.levels) - 1
    (pair,) = (pair for pair in result.pairs if (pair.first, pair.second) == (0, last))
    return Card(
        title=result.title,
        address=address.as_posix(),
        thumbnail=thumbnail(pictures.levels[0], pictures.levels[last]),
        psnr=pair.difference.psnr,
    )


def _page_names(titles: Sequence[str]) -> dict[str, str]:
    """A page in one folder for each picture of a tree."""
    flat = distinct(title.replace("/", "__") for title in titles)
    return {title: f"{name}.html" for title, name in zip(titles, flat, strict=True)}


def _write_html(path: Path, html: str) -> None:
    path.write_text(html, "utf-8", "backslashreplace")  # the name of a picture may be no text


def _labels(places: Sequence[Path], wanted: Sequence[str]) -> tuple[str, ...]:
    """As asked for; else the names, with as many folders before them as tells them apart."""
    if len(places) < 2:
        raise UsageError("one picture cannot be compared", hint="name two or more")
    if wanted and len(wanted) != len(places):
        message = f"{len(wanted)} labels for {len(places)} places"
        raise UsageError(message, hint="say --label once for each, in their order")
    if wanted:
        return tuple(wanted)
    parts = [place.absolute().parts for place in places]
    for length in range(1, max(map(len, parts)) + 1):
        names = tuple("/".join(each[-length:]) for each in parts)
        if len(set(names)) == len(names):
            return names
    return tuple(f"{place.name} ({number})" for number, place in enumerate(places, 1))


def _check_target(target: Path | None, places: Sequence[Path], *, overwrite: bool) -> None:
    if target is None or not is_there(target):
        return
    if any(is_there(place) and target.samefile(place) for place in places):
        raise OutputError(f"{target} is an input itself", hint="name another output")
    if not overwrite:
        raise OutputError(f"{target} exists already", hint="use --overwrite to replace it")
