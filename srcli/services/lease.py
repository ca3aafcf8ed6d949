"""Who is at work on a folder of a store, so that a second run is refused and a dead one is not.

An object names the process and is written again every few seconds. On the same machine the process
is looked for; of another machine the object is watched for a while: no clock is compared.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from dataclasses import asdict, dataclass

import psutil

from srcli.errors import ImageError, OutputError
from srcli.io import stores
from srcli.io.addresses import Remote

HEARTBEAT_SECONDS = 10.0
PATIENCE_SECONDS = 25.0  # without a heartbeat: then its process is taken for dead
_LOOK_SECONDS = 1.0
_FRESH_SECONDS = 2.0  # that a look at who has it is good for
_MOST_PID = 1 << 31


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a lease."""

    host: str
    pid: int
    started: float  # seconds since 1970: a process number alone comes again
    token: str
    beat: int = 0

    @property
    def is_possible(self) -> bool:
        """Whether this can be a process: the object may hold anything."""
        is_number = isinstance(self.pid, int) and 0 <= self.pid < _MOST_PID
        return is_number and isinstance(self.host, str) and isinstance(self.started, float)

    def is_same_run(self, other: Holder | None) -> bool:
        return other is not None and other.token == self.token


class Lease:
    """The right to write to a folder; kept by `renew`, ended by `give_back`."""

    def __init__(self, folder: Remote, place: Remote, holder: Holder) -> None:
        self._folder, self._place, self._holder = folder, place, holder
        self._is_lost = False
        self._looked = 0.0  # by this machine's clock, which goes on while it sleeps

    @classmethod
    def take(cls, folder: Remote, place: Remote) -> Lease:
        """Raises OutputError where another process is at work, or the store refuses."""
        before = _read(place)
        if before is not None and _is_alive(before, place):
            raise _refused(folder, before)
        token = secrets.token_hex(8)
        lease = cls(folder, place, Holder(socket.gethostname(), os.getpid(), _started(), token))
        lease._write()
        lease.check()  # the last of two that came at once has it
        lease._looked = 0.0  # the first may have looked too soon: it looks again before it writes
        return lease

    def renew(self) -> None:
        """Say that the process is alive."""
        self._look()
        if not self._is_lost:
            holder = self._holder
            self._holder = Holder(**{**asdict(holder), "beat": holder.beat + 1})
            self._write()

    def check(self) -> None:
        """Raise OutputError where somebody else has it now; asks the store unless it just did.

        He came at the same moment, or when this process was thought dead.
        """
        if abs(time.time() - self._looked) > _FRESH_SECONDS:
            self._look()
            self._looked = time.time()
        if self._is_lost:
            raise OutputError(
                f"another srcli took over {self._folder}",
                hint="it came at the same time, or this one was cut off for too long; look at it",
            )

    def give_back(self) -> None:
        """Let the next one in."""
        if not self._is_lost:
            stores.delete(self._place)

    def _look(self) -> None:
        now = _read(self._place)
        is_anothers = now is not None and not self._holder.is_same_run(now)
        self._is_lost = self._is_lost or is_anothers  # also after the other has given it back

    def _write(self) -> None:
        stores.write(json.dumps(asdict(self._holder)).encode(), self._place)


def _read(place: Remote) -> Holder | None:
    try:
        holder = Holder(**json.loads(stores.read(place)))
    except (ValueError, TypeError, RecursionError):  # of another version, or damaged: nobody's
        return None
    except ImageError:
        if stores.entry_at(place) is None:
            return None
        raise
    return holder if holder.is_possible else None


def _is_alive(holder: Holder, place: Remote) -> bool:
    if holder.host == socket.gethostname():
        try:
            started = psutil.Process(holder.pid).create_time()
        except psutil.Error:
            return False
        return abs(started - holder.started) < 1
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
        now = _read(place)
        if now != holder:
            return now is not None  # it was given back meanwhile
    return False


def _started() -> float:
    return psutil.Process().create_time()


def _refused(folder: Remote, holder: Holder) -> OutputError:
    host = holder.host if holder.host.isprintable() else ascii(holder.host)
    return OutputError(
        f"another srcli is at work on {folder} (process {holder.pid} on {host})",
        hint="wait until it is done, or choose another folder with --output",
    )
