"""Pictures from many callers at once, through one production line; each caller gets its own.

    order -> decode -> network -> encode -> the ticket's future

The line is that of a folder (`services.pipeline`), with two differences: orders arrive one by one
and without end, and each can be given up by its caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from srcli.errors import ImageError, PixelLimitError, memory_errors
from srcli.io.formats import HEAD_BYTES, PictureFormat, sniff
from srcli.io.pictures import open_picture
from srcli.services.cores import Cores, core_count
from srcli.services.engine import LARGEST_BATCH, Engine
from srcli.services.gate import Gate
from srcli.services.job import Job, PictureOptions, read_ahead, written_job
from srcli.services.line import codec_threads, gate_limit
from srcli.services.observer import Observer
from srcli.services.pipeline import GroupStage, Stage, run_stages
from srcli.services.stop import Stop, StoppedError
from srcli.services.targets import choose_format
from srcli.services.upscale import UpscaleReport, finish_job, run_job, run_together

PICTURE = "what was sent"  # what it is called in messages: its path is nobody's business


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A picture to enlarge, in a file of our own, and a folder of its own for the result."""

    source: Path
    folder: Path
    model: str
    options: PictureOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """An order that is done."""

    path: Path
    format: PictureFormat
    report: UpscaleReport
    together: int  # pictures that shared its run through the network


@dataclass(slots=True, eq=False)
class Ticket:
    """An order on its way. `result` ends in a Served, a SrcliError or a StoppedError."""

    order: Order
    result: Future[Served] = field(default_factory=Future)
    stop: Stop = field(default_factory=Stop)
    job: Job | None = None
    engine: Engine | None = None  # that ran it
    held: int | None = None  # bytes at the gate
    together: int = 1

    def give_up(self) -> None:
        """Nobody waits for it any more: it ends at the next step, or between two tiles."""
        self.stop.set()


class Desk:
    """Takes orders from any thread until it is closed.

    `engines` are the networks by name, a mapping for each device. `result_limit` is the most pixels
    of a result, and of what the network makes on the way.
    """

    def __init__(self, engines: Sequence[Mapping[str, Engine]], *, result_limit: int) -> None:
        self._engines, self._result_limit = engines, result_limit
        self._gate = Gate(gate_limit())
        is_on_cpu = all(engine.device.type == "cpu" for engine in engines[0].values())
        self._cores = Cores() if is_on_cpu and len(engines) == 1 else None
        self._orders: SimpleQueue[Ticket | None] = SimpleQueue()
        self._line = Thread(target=self._work, daemon=True, name="srcli desk")
        self._line.start()

    @property
    def is_open(self) -> bool:
        """Whether the line works."""
        return self._line.is_alive()

    def submit(self, order: Order) -> Ticket:
        """Take an order; its ticket's future is resolved in a thread of the line."""
        ticket = Ticket(order)
        ticket.result.set_running_or_notify_cancel()  # only `give_up` gives it up
        self._orders.put(ticket)
        return ticket

    def close(self, seconds: float | None = None) -> None:
        """Finish what was taken, for so long at most, and end the threads."""
        self._orders.put(None)
        self._line.join(seconds)

    def _work(self) -> None:
        codecs, names = codec_threads(core_count()), len(self._engines)
        groups = any(engine.groups for each in self._engines for engine in each.values())
        stages: list[Stage[Ticket] | GroupStage[Ticket]] = [
            Stage("decode", [partial(self._guard, self._decode)] * codecs.decode),
            GroupStage(
                "network",
                [partial(self._enlarge_all, engines) for engines in self._engines],
                belongs=_belong_together,
                most=self._most,
                queue=(LARGEST_BATCH if groups else 2) * names,
            ),
            Stage("encode", [partial(self._guard, self._encode)] * codecs.encode),
        ]
        for _ in run_stages(self._arriving(), stages, Stop()):
            pass

    def _arriving(self) -> Iterator[Ticket]:
        while (ticket := self._orders.get()) is not None:
            yield ticket

    def _guard(self, step: Callable[[Ticket], None], ticket: Ticket) -> bool:
        """Run one step; whatever ends the ticket here also frees what it holds."""
        try:
            if ticket.stop.is_set():
                raise StoppedError
            with memory_errors(PICTURE):
                step(ticket)
        except Exception as error:  # a bug too is the caller's to report; the others go on
            self._free(ticket)  # before the caller hears of it and deletes the folder
            ticket.result.set_exception(error)
        return not ticket.result.done()

    def _decode(self, ticket: Ticket) -> None:
        order = ticket.order
        options = order.options
        engine = self._engines[0][order.model]
        _check_kind(order.source)
        picture = open_picture(
            order.source, icc=options.icc, pixel_limit=options.max_pixels, name=PICTURE
        )
        kind = choose_format(None, options.format, picture.format)
        target = order.folder / f"result{kind.suffix}"
        size = options.size.resolve(picture.height, picture.width, engine.scale)
        self._check_result(picture.height * picture.width * picture.pages, size[0] * size[1])
        job = ticket.job = written_job(engine, picture, target, options)
        self._check_result(picture.height * picture.width * job.pages * job.native_factor**2)
        self._gate.enter(job.held_bytes)
        ticket.held = job.held_bytes
        with self._codec():
            read_ahead(job)

    def _check_result(self, *areas: int) -> None:
        if max(areas) > self._result_limit:
            raise ResultLimitError(
                f"the result would take {max(areas) / 1e6:,.1f} megapixels, "
                f"{self._result_limit / 1e6:,.1f} are allowed",
                hint="ask for a smaller scale or size, or send a smaller picture",
            )

    def _most(self, ticket: Ticket) -> int:
        assert ticket.job is not None
        picture = ticket.job.picture
        return self._engines[0][ticket.order.model].most_together(picture.height, picture.width)

    def _enlarge_all(self, engines: Mapping[str, Engine], tickets: list[Ticket]) -> list[Ticket]:
        engine = engines[tickets[0].order.model]
        for ticket in tickets:
            ticket.engine = engine
        wanted = [ticket for ticket in tickets if not ticket.stop.is_set()]
        jobs = [ticket.job for ticket in wanted if ticket.job is not None]
        if len(jobs) > 1 and run_together(engine, jobs, Observer()):
            for ticket in wanted:
                ticket.together = len(wanted)
            return [ticket for ticket in tickets if self._guard(_nothing, ticket)]
        alone = partial(self._guard, partial(self._enlarge, engine))
        return [ticket for ticket in tickets if alone(ticket)]

    def _enlarge(self, engine: Engine, ticket: Ticket) -> None:
        assert ticket.job is not None
        if self._cores is None:
            run_job(engine, ticket.job, Observer(), ticket.stop)
            return
        with self._cores.picture(ticket.job.network_megapixels) as share:
            share.renew()
            run_job(engine, ticket.job, Observer(), ticket.stop, share.renew)

    def _codec(self) -> AbstractContextManager[None]:
        return self._cores.codec() if self._cores else nullcontext()

    def _encode(self, ticket: Ticket) -> None:
        job = ticket.job
        assert job is not None and isinstance(job.target, Path) and ticket.engine is not None
        with self._codec():
            report = finish_job(ticket.engine, job)
        served = Served(
            path=job.target,
            format=job.kind,
            report=replace(report, source="-", output="-"),
            together=ticket.together,
        )
        self._free(ticket)
        ticket.result.set_result(served)

    def _free(self, ticket: Ticket) -> None:
        if ticket.job is not None:
            ticket.job.close()
            ticket.job = None
        if ticket.held is not None:
            self._gate.leave(ticket.held)
            ticket.held = None


class ResultLimitError(PixelLimitError):
    """A result of more pixels than are allowed."""


def _check_kind(source: Path) -> None:
    """Refuse what only rare decoders read: some run programs, or follow addresses in a file."""
    with source.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head and sniff(head) is PictureFormat.OTHER:
        raise ImageError(
            f"{PICTURE} is no picture: its content is of no known kind",
            hint="PNG, JPEG, WebP, TIFF, AVIF, HEIC, GIF and BMP are taken",
        )


def _belong_together(one: Ticket, other: Ticket) -> bool:
    if one.job is None or other.job is None or one.order.model != other.order.model:
        return False
    return one.job.shape is not None and one.job.shape == other.job.shape


def _nothing(ticket: Ticket) -> None:
    """The step of a ticket whose run is done already."""
